"""``counter_from``: an exact counter from a model's folder or from its tokenizer's file."""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ..errors import ConfigurationError
from ..models.gguf import Header, read_header
from .exact import ExactCounter, Tokenizer
from .tokenizer_json import read_tokenizer_json
from .vocabulary import GPT2, LLAMA3, QWEN2, Split, Vocabulary, refused, with_merges

__all__ = ["counter_from", "read_ranks"]

#: what a model's folder may hold, the most telling first
_NAMES: Final = ("tokenizer.json", "tokenizer.model", "*.tiktoken", "*.gguf")
#: llama.cpp's name of a pre-tokenizer -> how it cuts, and whether whole pieces are looked up
_GGUF: Final[Mapping[str, tuple[str, bool]]] = {
    "llama-bpe": (LLAMA3, True),
    "llama3": (LLAMA3, True),
    "llama-v3": (LLAMA3, True),
    "qwen2": (QWEN2, False),
    "gpt-2": (GPT2, False),
}
#: kinds of token in a GGUF file that stand for themselves: control, user-defined
_SPECIAL_KINDS: Final = (3, 4)
_LLAMA3_RANKS: Final = 128_000
_LLAMA3_SPECIALS: Final = (
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|python_tag|>",
    "<|finetune_right_pad_id|>",
    *(f"<|reserved_special_token_{n}|>" for n in range(251)),
)


def counter_from(
    path: str | os.PathLike[str],
    *,
    pattern: str | None = None,
    specials: Sequence[str] | None = None,
    state: Mapping[str, Any] | None = None,
) -> ExactCounter:
    """An exact counter from a model's folder, or from one of these files:

    ``tokenizer.json`` with a byte-level BPE; a file of ranks (``tokenizer.model`` of Llama 3,
    ``*.tiktoken``); a GGUF file with a byte-level vocabulary. ``pattern`` cuts a text into pieces
    and ``specials`` are the tokens of the protocol, where the file does not say; for Llama 3 both
    are known. ``state``: see ``ExactCounter``. A vocabulary of a hundred thousand tokens takes some
    seconds to read: call this in a thread where others must not wait.

    Raises ``ConfigurationError`` when there is no such file or it is damaged, and
    ``MissingCapability`` for tokenizers of other kinds: Unigram, WordPiece, SentencePiece's BPE,
    unknown normalisers and cuts.
    """
    file = _file(Path(path).expanduser())
    vocabulary = _read(file, pattern, None if specials is None else tuple(specials))
    return ExactCounter(Tokenizer(vocabulary), state=state)


def _file(path: Path) -> Path:
    if path.is_dir():
        found = [f for name in _NAMES for f in sorted(path.glob(name))]
        if not found:
            raise ConfigurationError(
                f"The folder {path} holds no tokenizer.", hint=f"Looked for: {', '.join(_NAMES)}."
            )
        return found[0]
    if not path.is_file():
        raise ConfigurationError(f"There is no file {path}.", hint="Check the path.")
    return path


def _read(path: Path, pattern: str | None, specials: tuple[str, ...] | None) -> Vocabulary:
    if path.suffix == ".gguf":
        return _read_gguf(path, pattern, specials)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"The file {path} cannot be read: {error.strerror}.") from error
    if data.lstrip()[:1] == b"{":
        return read_tokenizer_json(path, _json(path, data), pattern, specials)
    if data.startswith(b"version https://git-lfs"):
        raise ConfigurationError(
            f"The file {path} is a Git LFS pointer.", hint="Download the file itself."
        )
    if data[:1] == b"\n":
        raise refused(path, "is a SentencePiece model", "byte-level vocabulary")
    return _of_ranks(path, read_ranks(path, data), pattern, specials)


def _json(path: Path, data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(
            f"The file {path} is no JSON: {error}.", hint="Download it again."
        ) from error
    return found if isinstance(found, dict) else {}


def read_ranks(path: Path, data: bytes) -> dict[bytes, int]:
    """The ranks of a file with a token in base64 and its rank on each line.

    Raises ``ConfigurationError`` for another file, and where two tokens share a rank.
    """
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(data.splitlines(), 1):
        try:
            token, rank = line.split() if line.strip() else (b"", b"")
            if token:
                ranks[base64.b64decode(token, validate=True)] = int(rank)
        except (ValueError, binascii.Error) as error:
            raise ConfigurationError(
                f"Line {number} of {path} is no token and rank.",
                hint="Expected tokenizer.json, a file of ranks in base64, or a GGUF file.",
            ) from error
    if len(set(ranks.values())) != len(ranks):
        raise ConfigurationError(
            f"The file {path} gives one rank to two tokens.", hint="Download it again."
        )
    return ranks


def _of_ranks(
    path: Path, ranks: dict[bytes, int], pattern: str | None, specials: tuple[str, ...] | None
) -> Vocabulary:
    if pattern is None and len(ranks) != _LLAMA3_RANKS:
        raise ConfigurationError(
            f"The file {path} has {len(ranks)} ranks: it is not Llama 3's, so how its model cuts "
            "texts is not known.",
            hint="Pass the model's own pattern=, and its special tokens as specials=.",
        )
    known = _LLAMA3_SPECIALS if pattern is None else ()
    return Vocabulary(
        name=str(path),
        ranks=ranks,
        splits=(Split(pattern or LLAMA3, drops=True),),
        specials=known if specials is None else specials,
    )


def _read_gguf(path: Path, pattern: str | None, specials: tuple[str, ...] | None) -> Vocabulary:
    header = read_header(path)
    kind, pre = header.get("tokenizer.ggml.model"), str(header.get("tokenizer.ggml.pre"))
    if kind != "gpt2":
        raise refused(path, f"is of llama.cpp's kind {kind!r}", "byte-level vocabulary")
    if pattern is None and pre not in _GGUF:
        raise refused(path, f"cuts texts in a way named {pre!r}, which is not known here", "cuts")
    known, whole = _GGUF.get(pre, ("", False))
    tokens = header.array("tokenizer.ggml.tokens")
    merges = [_pair(path, merge) for merge in header.array("tokenizer.ggml.merges")]
    apart = _special_tokens(header, tokens)
    ranks, alone = with_merges(path, set(tokens) - set(apart), merges, whole=whole)
    return Vocabulary(
        name=str(path),
        ranks=ranks,
        splits=(Split(pattern or known),),
        whole=alone,
        specials=apart if specials is None else specials,
    )


def _special_tokens(header: Header, tokens: Sequence[str]) -> tuple[str, ...]:
    kinds = header.array("tokenizer.ggml.token_type")
    return tuple(t for t, kind in zip(tokens, kinds, strict=False) if kind in _SPECIAL_KINDS and t)


def _pair(path: Path, merge: str) -> tuple[str, str]:
    left, blank, right = merge.partition(" ")
    if not blank or " " in right:
        raise ConfigurationError(f"The file {path} has a merge of other than two: {merge!r}.")
    return left, right
