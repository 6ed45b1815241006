"""Text comes out as it went in, token by token, however a tokenizer spells bytes and blanks."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("tokenizers")  # reflectkit[transformers]
pytest.importorskip("transformers")  # reflectkit[transformers]
pytest.importorskip("torch")  # reflectkit[transformers]

from reflectkit.backends._hf.ask import ask
from reflectkit.backends._hf.text import Detokenizer, Text
from reflectkit.errors import ConfigurationError
from reflectkit.messages import Message, Request

TEMPLATE = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
WORDS = [
    "the",
    "cat",
    "on",
    "a",
    "mat",
    "café",
    "über",
    "日本語",
    "🙂",
    "<think>",
    "</think>",
    "\n\n",
]


def bytes_() -> Any:
    """Every byte a token, spelled as GPT-2 does: characters of two to four tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE({c: n for n, c in enumerate(letters)}, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens(["<think>", "</think>"])
    return PreTrainedTokenizerFast(tokenizer_object=inner, chat_template=TEMPLATE)


def pieces() -> Any:
    """Blanks as a sign before words, and bytes for what is unknown, as in Llama 2."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = ["<unk>", *(f"<0x{n:02X}>" for n in range(256)), "▁"]
    vocabulary += [chr(n) for n in range(33, 127)] + ["▁the", "▁cat", "the", "cat", "at"]
    scores = [(piece, -float(n)) for n, piece in enumerate(dict.fromkeys(vocabulary))]
    inner = Tokenizer(models.Unigram(scores, unk_id=0, byte_fallback=True))
    inner.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="never")
    inner.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    inner.add_special_tokens(["<think>", "</think>"])
    return PreTrainedTokenizerFast(tokenizer_object=inner, chat_template=TEMPLATE)


TEXTS = {"bytes": Text(bytes_()), "pieces": Text(pieces())}


@pytest.mark.parametrize("name", TEXTS)
@given(
    before=st.sampled_from(["", "the", "\n\n", "<think>", "é"]),
    said=st.text(max_size=30) | st.lists(st.sampled_from(WORDS)).map(" ".join),
)
@settings(max_examples=200)
def test_nothing_is_lost_and_nothing_comes_twice(name: str, before: str, said: str) -> None:
    text = TEXTS[name]
    letters = Detokenizer(text.decode, text.encode(before))
    came = [letters.feed(token) for token in text.encode(said)]
    assert "".join(came) + letters.finish() == said


@pytest.mark.parametrize("name", TEXTS)
@given(ids=st.lists(st.integers(0, 255), max_size=60))
def test_bytes_that_are_no_text(name: str, ids: list[int]) -> None:
    """They come as replacement characters, soon, and none is waited for for ever."""
    letters = Detokenizer(TEXTS[name].decode)
    waited = 0
    for token in ids:
        waited = 0 if letters.feed(token) else waited + 1
        assert waited < 16
    letters.finish()
    assert letters.finish() == "", "the end is told of once"


@pytest.mark.parametrize("name", TEXTS)
def test_a_character_comes_whole(name: str) -> None:
    text = TEXTS[name]
    letters = Detokenizer(text.decode)
    came = [letters.feed(token) for token in text.encode("🙂é")]
    assert [c for c in came if c] == ["🙂", "é"]


@pytest.mark.parametrize("name", TEXTS)
def test_tokens_by_their_beginning(name: str) -> None:
    text = TEXTS[name]
    (tag,) = text.encode("</think>")
    assert tag in text.beginning("</think>")
    assert tag in text.beginning("</th")
    assert all(text.decode([i]).startswith("</th") for i in text.beginning("</th"))
    assert text.beginning("zebra") == []


def test_prompts_are_rendered_and_not_added_to() -> None:
    text = TEXTS["bytes"]
    asked = ask(Request(messages=(Message("user", "<think>é"),)))
    assert text.render(asked) == "<think>é"
    assert len(text.encode("<think>é")) == 3
    assert text.special([0, 1, 9999, *text.encode("<think>")]) == text.encode("<think>")


def test_a_template_of_ones_own_wins() -> None:
    own = Text(bytes_(), "[{{ messages[0]['content'] }}]")
    assert own.render(ask(Request(messages=(Message("user", "a"),)))) == "[a]"
    bare = bytes_()
    bare.chat_template = None
    with pytest.raises(ConfigurationError, match="no chat template"):
        Text(bare)
