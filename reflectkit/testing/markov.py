"""A language model whose every answer is known, as a GGUF file that the real engine loads.

Embeddings are one-hot and the only layer adds nothing, so the logits of the next token depend on
the last token alone: a Markov chain, written down as a table. Standard library only.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable, Mapping
from itertools import pairwise
from math import log, sqrt
from pathlib import Path
from typing import Final

__all__ = ["chain", "write_chain"]

_WIDTH: Final = 320
_NORMAL, _CONTROL, _USER_DEFINED = 1, 3, 4
_CONTROLS = ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
_TAGS = tuple(f"<{slash}{n}>" for n in ("thinking", "reflection", "output") for slash in ("", "/"))
_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}"
    "{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' }}{{ m['content'] }}"
    "{{ '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)

#: last token -> next token -> how often, in proportion
Table = Mapping[str, Mapping[str, float]]


def chain(*tokens: str) -> dict[str, dict[str, float]]:
    """A table in which each token is followed by the next one, for certain."""
    return {a: {b: 1.0} for a, b in pairwise(tokens)}


def _byte_tokens() -> list[str]:
    """The 256 bytes in the printable spelling that GPT-2 gave them."""
    kept = {*range(33, 127), *range(161, 173), *range(174, 256)}
    rest = iter(range(256, 512))
    return [chr(b if b in kept else next(rest)) for b in range(256)]


def _spell(text: str) -> str:
    """``text`` in the byte spelling of the vocabulary."""
    table = _byte_tokens()
    return "".join(table[b] for b in text.encode())


def _vocabulary(words: Iterable[str], tags_are_control: bool) -> tuple[list[str], list[int]]:
    plain = _byte_tokens() + [_spell(w) for w in ("\n\n", *words)]
    kinds = [_NORMAL] * len(plain) + [_CONTROL] * len(_CONTROLS)
    kinds += [_CONTROL if tags_are_control else _USER_DEFINED] * len(_TAGS)
    tokens = [*plain, *_CONTROLS, *_TAGS]
    spare = _WIDTH - len(tokens)
    return tokens + [f"<|spare_{i}|>" for i in range(spare)], kinds + [_CONTROL] * spare


def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _value(value: object) -> bytes:
    if isinstance(value, bool):
        return struct.pack("<I?", 7, value)
    if isinstance(value, int):
        return struct.pack("<II", 4, value)
    if isinstance(value, float):
        return struct.pack("<If", 6, value)
    if isinstance(value, str):
        return struct.pack("<I", 8) + _string(value)
    assert isinstance(value, list)
    kind, pack = (8, _string) if isinstance(value[0], str) else (5, struct.Struct("<i").pack)
    return struct.pack("<IIQ", 9, kind, len(value)) + b"".join(map(pack, value))


def _zeros(n: int) -> array[float]:
    return array("f", bytes(4 * n))


def _identity() -> array[float]:
    matrix = _zeros(_WIDTH * _WIDTH)
    for i in range(_WIDTH):
        matrix[i * _WIDTH + i] = 1.0
    return matrix


def _head(table: Table, index: Mapping[str, int]) -> array[float]:
    matrix = array("f", [-2.0]) * (_WIDTH * _WIDTH)  # e**(-2 * sqrt(320)): as good as impossible
    for last, following in table.items():
        for token, weight in following.items():
            matrix[index[token] * _WIDTH + index[last]] = log(weight) / sqrt(_WIDTH)
    return matrix


def _tensors(head: array[float]) -> list[tuple[str, tuple[int, ...], array[float]]]:
    square, ones = (_WIDTH, _WIDTH), array("f", [1.0]) * _WIDTH
    rows: list[tuple[str, tuple[int, ...], array[float]]] = [
        ("token_embd.weight", square, _identity()),
        ("output_norm.weight", (_WIDTH,), ones),
        ("output.weight", square, head),
        ("blk.0.attn_norm.weight", (_WIDTH,), ones),
        ("blk.0.ffn_norm.weight", (_WIDTH,), ones),
    ]
    for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
        rows.append((f"blk.0.{name}.weight", square, _zeros(_WIDTH * _WIDTH)))
    for name, shape in (("gate", (_WIDTH, 32)), ("up", (_WIDTH, 32)), ("down", (32, _WIDTH))):
        rows.append((f"blk.0.ffn_{name}.weight", shape, _zeros(_WIDTH * 32)))
    return rows


def _metadata(tokens: list[str], kinds: list[int], context: int) -> dict[str, object]:
    return {
        "general.architecture": "llama",
        "general.name": "markov",
        "llama.context_length": context,
        "llama.embedding_length": _WIDTH,
        "llama.block_count": 1,
        "llama.feed_forward_length": 32,
        "llama.attention.head_count": 4,
        "llama.attention.head_count_kv": 4,
        "llama.attention.layer_norm_rms_epsilon": 1e-6,
        "llama.rope.dimension_count": _WIDTH // 4,
        "llama.vocab_size": _WIDTH,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "llama-bpe",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": kinds,
        # The engine refuses a vocabulary without merges; this one makes no token.
        "tokenizer.ggml.merges": [f"{_spell(chr(1))} {_spell(chr(2))}"],
        "tokenizer.ggml.bos_token_id": tokens.index("<|begin_of_text|>"),
        "tokenizer.ggml.eos_token_id": tokens.index("<|eot_id|>"),
        "tokenizer.ggml.eot_token_id": tokens.index("<|eot_id|>"),
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.chat_template": _TEMPLATE,
    }


def write_chain(
    path: Path,
    table: Table,
    *,
    words: Iterable[str] = (),
    context: int = 512,
    tags_are_control: bool = False,
    version: int = 3,
    metadata: Mapping[str, object] | None = None,
) -> Path:
    """Write a model that follows ``table`` to ``path``, and return the path.

    Keys and followers are single characters, the tags, ``<|eot_id|>``, or one of ``words``, which
    become tokens (a word that the Llama-3 pattern splits is never found in a prompt). After a
    token that has no row anything may come. A prompt ends in two line feeds, which are one token,
    so an answer begins with what follows that. ``tags_are_control`` makes the tags special tokens,
    as in Reflection 70B. ``metadata`` replaces or adds entries of the header.
    """
    tokens, kinds = _vocabulary(words, tags_are_control)
    index = {token: i for i, token in enumerate(tokens)}
    spelled = {_key(a, index): {_key(b, index): w for b, w in f.items()} for a, f in table.items()}
    tensors = _tensors(_head(spelled, index))
    values = _metadata(tokens, kinds, context) | dict(metadata or {})
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(values))
    head += b"".join(_string(k) + _value(v) for k, v in values.items())
    path.write_bytes(_with_tensors(head, tensors))
    return path


def _key(token: str, index: Mapping[str, int]) -> str:
    return token if token in index else _spell(token)


def _with_tensors(head: bytes, tensors: list[tuple[str, tuple[int, ...], array[float]]]) -> bytes:
    offset, data = 0, b""
    for name, shape, values in tensors:
        head += _string(name) + struct.pack("<I", len(shape))
        head += struct.pack(f"<{len(shape)}Q", *shape) + struct.pack("<IQ", 0, offset)
        raw = values.tobytes()
        data += raw + bytes(-len(raw) % 32)
        offset = len(data)
    return head + bytes(-len(head) % 32) + data
