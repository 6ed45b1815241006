"""Counts from files are those of a plain reading of the same merges; other kinds are refused."""

from __future__ import annotations

import base64
import json
import random
import time
import unicodedata
from pathlib import Path
from typing import Any

import pytest
import regex

from reflectkit.backends.nano import NanoBackend
from reflectkit.counters import ExactCounter, counter_from
from reflectkit.counters.vocabulary import LLAMA3
from reflectkit.errors import ConfigurationError, MissingCapability
from reflectkit.models.embedded import embedded_models

TAGS = ("<thinking>", "</thinking>", "<output>", "<|eot_id|>", "<", ">", "thinking", " ", "\n")
BLANKS = " \n\t\r\u00a0\u2003\u3000\x0b\x0c\x1c\x85ab1."
ENDINGS = ("'S", "'ll", "'Re", "'ſ", "ſ", "K", "I'm", " ", "'", "é", "e\u0301", "ǅ", "Ⅻ", "½", "٣")


def known(characters: str) -> str:
    """Without characters that this Python's Unicode does not know: tables of others may differ."""
    return "".join(c for c in characters if unicodedata.category(c) not in ("Cn", "Cs"))


def odd_text(rng: random.Random) -> str:
    size = rng.randrange(1, 60)
    raw = bytes(rng.randrange(256) for _ in range(size))
    scripts = (
        (0x1F300, 0x1F700),
        (0x200D, 0x200E),
        (0x4E00, 0x9FFF),
        (0xAC00, 0xD7A3),
        (32, 0x700),
    )
    kinds = (
        lambda: raw.decode("latin-1"),
        lambda: raw.decode("utf-8", "replace"),
        lambda: "".join(chr(rng.randrange(*rng.choice(scripts))) for _ in range(size)),
        lambda: "".join(rng.choices(BLANKS, k=size)),
        lambda: "".join(rng.choices(TAGS, k=size)),
        lambda: "".join(rng.choices(ENDINGS, k=size)),
        lambda: json.dumps({"id": rng.randrange(10**9), "x": [rng.random(), None, raw.hex()]}),
        lambda: ", ".join(str(rng.randrange(10 ** rng.randrange(1, 12))) for _ in range(size)),
    )
    return known(rng.choice(kinds)())


@pytest.fixture(scope="module")
def texts(prose: list[str]) -> list[str]:
    """2,000 texts of many kinds."""
    rng = random.Random(11)
    code = Path(json.__file__).read_text("utf-8") * 2
    cuts = [(rng.choice([*prose, code]), rng.random(), rng.randrange(300)) for _ in range(600)]
    whole = [text[(at := int(place * len(text))) : at + size] for text, place, size in cuts]
    return [*whole, *(odd_text(rng) for _ in range(1400))]


def mismatches(counter: ExactCounter, truth: Any, texts: list[str], **how: bool) -> list[str]:
    return [t for t in texts if counter.count(t, **how) != truth(t)]


def test_tokenizer_json_counts_as_its_merges_do(bpe: Any, texts: list[str], tmp_path: Path) -> None:
    counter = counter_from(bpe.write(tmp_path))
    assert len(texts) == 2000
    assert mismatches(counter, bpe.count, texts) == []
    assert counter.exact
    assert counter.upper(texts[0]) == counter.count(texts[0])


def test_a_folder_is_searched(bpe: Any, tmp_path: Path) -> None:
    bpe.write(tmp_path)
    assert counter_from(tmp_path).count("the the") == bpe.count("the the")


def test_ids_out_of_order_change_nothing(bpe: Any, texts: list[str], tmp_path: Path) -> None:
    """Merges decide; vocabularies exist whose ids were given in another order."""
    data = bpe.tokenizer_json()
    tokens = list(data["model"]["vocab"])
    random.Random(3).shuffle(tokens)
    data["model"]["vocab"] = {t: i for i, t in enumerate(tokens)}
    path = bpe.write(tmp_path, model=data["model"])
    assert mismatches(counter_from(path), bpe.count, texts[:700]) == []


@pytest.mark.parametrize("ignore_merges", [False, True])
def test_tokens_that_no_merge_reaches(
    bpe: Any, make_bpe: Any, texts: list[str], tmp_path: Path, ignore_merges: bool
) -> None:
    """By themselves tiktoken would merge any neighbours whose union is in the vocabulary."""
    extra = [b" documentation", b"zq", b" qx", b"qxz", b"importlib", b"\n\n\n\n"]
    other = make_bpe(bpe.merges, extra=extra, ignore_merges=ignore_merges)
    more = [" documentation", "zqzq", " qxz qxz", "importlib.import", "\n\n\n\n", "zq qx"]
    counter = counter_from(other.write(tmp_path))
    assert mismatches(counter, other.count, [*more, *texts[:700]]) == []


def test_a_pair_that_tiktoken_would_merge_and_the_list_does_not(
    make_bpe: Any, tmp_path: Path
) -> None:
    """ "abc" is made of "ab" and "c"; where "bc" comes first, "a" and "bc" stay apart."""
    tricky = make_bpe([(b"b", b"c"), (b"a", b"b"), (b"ab", b"c"), (b"x", b"y"), (b"xy", b"bc")])
    counter = counter_from(tricky.write(tmp_path))
    texts = ["abc", "ab", "bc", "aabbc", "xybc", "xyabc", "abcabc"]
    assert [counter.count(t) for t in texts] == [tricky.count(t) for t in texts]


def test_splits_in_a_row(make_bpe: Any, bpe: Any, texts: list[str], tmp_path: Path) -> None:
    parts = [r"\p{N}{1,3}", "[一-龥]+", r"\p{L}+"]
    cuts = [{"type": "Split", "pattern": {"Regex": p}, "behavior": "Isolated"} for p in parts]
    level = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}
    sequence = {"type": "Sequence", "pretokenizers": [*cuts, level]}
    counter = counter_from(bpe.write(tmp_path, pre_tokenizer=sequence))

    def pieces(text: str) -> list[str]:
        found = [text]
        for part in parts:
            found = [p for f in found for p in regex.split(f"({part})", f) if p]
        return found

    def truth(text: str) -> int:
        return sum(len(bpe.parts(p.encode())) for p in pieces(text))

    assert mismatches(counter, truth, texts) == []


def test_a_form_is_kept(bpe: Any, tmp_path: Path) -> None:
    counter = counter_from(bpe.write(tmp_path, normalizer={"type": "NFKC"}))
    assert counter.count("ﬁne") == bpe.count("fine")
    assert bpe.count("ﬁne") != bpe.count("fine")


def test_special_tokens_count_as_one_where_the_model_speaks(bpe: Any, tmp_path: Path) -> None:
    counter = counter_from(bpe.write(tmp_path))
    text = "<thinking>the"
    assert counter.count(text, special=True) == 1 + bpe.count("the")
    assert counter.count(text) == bpe.count(text) > counter.count(text, special=True)


@pytest.mark.parametrize(
    ("flag", "text", "tokens"),
    [("lstrip", "a  <m>", 2), ("rstrip", "<m>  \na", 2), ("single_word", "<m>", 1)],
)
def test_flags_of_added_tokens(bpe: Any, tmp_path: Path, flag: str, text: str, tokens: int) -> None:
    added = [{"content": "<m>", flag: True}]
    counter = counter_from(bpe.write(tmp_path, added_tokens=added))
    assert counter.count(text, special=True) == tokens
    if flag == "single_word":
        assert counter.count("a<m>b", special=True) == bpe.count("a<m>b")


async def test_the_embedded_vocabulary_counts_as_llama_cpp_does(texts: list[str]) -> None:
    counter = counter_from(embedded_models()["nano-reflect"])
    async with NanoBackend("nano-reflect") as model:
        await model.load()
        assert model.count is not None
        assert mismatches(counter, model.count, texts, special=True) == []
    assert counter.count("<thinking>") > counter.count("<thinking>", special=True) == 1


def ranks_file(path: Path, bpe: Any) -> Path:
    tokens = dict.fromkeys([*(bytes([b]) for b in range(256)), *(a + b for a, b in bpe.merges)])
    lines = [f"{base64.b64encode(t).decode()} {i}" for i, t in enumerate(tokens)]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_file_of_ranks(bpe: Any, make_bpe: Any, texts: list[str], tmp_path: Path) -> None:
    path = ranks_file(tmp_path / "tokenizer.model", bpe)
    counter = counter_from(path, pattern=LLAMA3, specials=["<|eot_id|>"])
    truth = make_bpe(bpe.merges, pattern=LLAMA3)
    assert mismatches(counter, truth.count, texts) == []
    assert counter.count("<|eot_id|>", special=True) == 1
    with pytest.raises(ConfigurationError, match="pattern="):
        counter_from(path)


@pytest.mark.parametrize(
    ("name", "data", "error", "says"),
    [
        ("tokenizer.json", b"{", ConfigurationError, "no JSON"),
        ("tokenizer.json", b"{}", ConfigurationError, "no model"),
        ("tokenizer.model", b"\n\x0e\n\x05<unk>", MissingCapability, "SentencePiece"),
        ("tokenizer.model", b"AA== 0\nAA== x\n", ConfigurationError, "Line 2"),
        ("tokenizer.model", b"AA== 0\nAQ== 0\n", ConfigurationError, "one rank"),
        ("tokenizer.model", b"version https://git-lfs.x", ConfigurationError, "LFS"),
        ("m.gguf", b"GGUX", ConfigurationError, "no GGUF"),
    ],
)
def test_damaged_files(
    tmp_path: Path, name: str, data: bytes, error: type[Exception], says: str
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(error, match=says):
        counter_from(tmp_path / name)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"model": {"type": "Unigram", "vocab": []}}, "Unigram"),
        ({"model": {"type": "WordPiece", "vocab": {}}}, "WordPiece"),
        ({"pre_tokenizer": {"type": "Metaspace"}}, "Metaspace"),
        ({"pre_tokenizer": None}, "no byte-level cut"),
        ({"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True}}, "blank before"),
        ({"normalizer": {"type": "Lowercase"}}, "Lowercase"),
        ({"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}] * 2}}, "several"),
    ],
)
def test_other_kinds_are_refused(
    bpe: Any, tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(MissingCapability, match=says) as caught:
        counter_from(bpe.write(tmp_path, **changes))
    assert "counter_for" in caught.value.hint


@pytest.mark.parametrize("asked", ["byte_fallback", "unk_token", "end_of_word_suffix"])
def test_models_that_ask_for_more_are_refused(bpe: Any, tmp_path: Path, asked: str) -> None:
    model = bpe.tokenizer_json()["model"] | {asked: "x"}
    with pytest.raises(MissingCapability, match=asked):
        counter_from(bpe.write(tmp_path, model=model))


def test_a_vocabulary_without_all_bytes_is_refused(bpe: Any, tmp_path: Path) -> None:
    model = bpe.tokenizer_json()["model"]
    model["vocab"].pop("a")
    with pytest.raises(MissingCapability, match="single bytes"):
        counter_from(bpe.write(tmp_path, model=model))


@pytest.mark.parametrize("missing", ["nowhere", "."])
def test_nothing_there(tmp_path: Path, missing: str) -> None:
    with pytest.raises(ConfigurationError):
        counter_from(tmp_path / missing)


HUGE = ["a", "A", " ", "\n", " \n", "^", "7", "汉", "\ud800", "\0", "a ", "e\u0301", "<thinking>"]


@pytest.mark.parametrize("unit", HUGE, ids=ascii)
def test_huge_texts_take_linear_time(bpe: Any, tmp_path: Path, unit: str) -> None:
    counter = counter_from(bpe.write(tmp_path))
    seconds = []
    for size in (50_000, 400_000):
        text = (unit * size)[:size]
        began = time.perf_counter()
        assert 0 < counter.count(text) <= len(text.encode("utf-8", "surrogatepass"))
        assert 0 < counter.count(text, special=True) <= counter.count(text)
        seconds.append(time.perf_counter() - began)
    assert seconds[1] < 40 * max(seconds[0], 0.01)  # eight times the text; quadratic would be 64


def test_halves_of_surrogate_pairs(bpe: Any, tmp_path: Path) -> None:
    counter = counter_from(bpe.write(tmp_path))
    assert counter.count("a\ud83db") == bpe.count("a\ufffdb")
    assert counter.count("\ud83d\ude00") == bpe.count("😀")
