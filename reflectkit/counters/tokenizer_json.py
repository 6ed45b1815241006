"""Reads ``tokenizer.json``: byte-level BPE, whatever cuts the text into pieces before.

What a file asks for and is not known here is refused: a count that is nearly right is not exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from ..errors import ConfigurationError
from .vocabulary import GPT2, Form, Split, Vocabulary, refused, with_merges

__all__ = ["read_tokenizer_json"]

Data = Mapping[str, Any]

#: what a BPE model may ask for, and must not here
_UNKNOWN: Final = (
    "dropout",
    "unk_token",
    "continuing_subword_prefix",
    "end_of_word_suffix",
    "byte_fallback",
)
_FORMS: Final[Mapping[str, Form]] = {"NFC": "NFC", "NFD": "NFD", "NFKC": "NFKC", "NFKD": "NFKD"}
_FLAGS: Final = (("lstrip", "l"), ("rstrip", "r"), ("single_word", "w"))


def read_tokenizer_json(
    path: Path, data: Data, pattern: str | None, specials: tuple[str, ...] | None
) -> Vocabulary:
    """Raises ``MissingCapability`` for what is not byte-level BPE, ``ConfigurationError`` for a
    file with parts missing."""
    model = data.get("model")
    if not isinstance(model, dict) or "vocab" not in model:
        raise ConfigurationError(
            f"The file {path} is no tokenizer.json: it has no model.", hint="Check the path."
        )
    _check_model(path, model)
    forms = tuple(_forms(path, data.get("normalizer")))
    if len(forms) > 1:
        raise refused(path, f"normalises several times: {', '.join(forms)}", "normalizer")
    splits = tuple(_splits(path, data.get("pre_tokenizer")))
    added = [a for a in data.get("added_tokens") or () if a.get("content")]
    ranks, whole = with_merges(
        path,
        model["vocab"].keys() - {a["content"] for a in added},
        [_pair(path, merge) for merge in model.get("merges") or ()],
        whole=bool(model.get("ignore_merges")),
    )
    return Vocabulary(
        name=str(path),
        ranks=ranks,
        splits=(Split(pattern),) if pattern else splits,
        whole=whole,
        specials=tuple(a["content"] for a in added) if specials is None else specials,
        strips={a["content"]: flags for a in added if (flags := _flags(a))},
        form=forms[0] if forms else "",
    )


def _check_model(path: Path, model: Data) -> None:
    kind = model.get("type") or ("BPE" if "merges" in model else "unknown")
    if kind != "BPE":
        raise refused(path, f"is of the kind {kind}", "byte-level vocabulary")
    if asked := [name for name in _UNKNOWN if model.get(name)]:
        raise refused(path, f"asks for {', '.join(asked)}", "byte-level vocabulary")


def _pair(path: Path, merge: Any) -> tuple[str, str]:
    pair = merge.split(" ") if isinstance(merge, str) else merge
    if len(pair) != 2:
        raise ConfigurationError(f"The file {path} has a merge of other than two: {merge!r}.")
    return pair[0], pair[1]


def _flags(added: Data) -> str:
    return "".join(flag for name, flag in _FLAGS if added.get(name))


def _forms(path: Path, normalizer: Data | None) -> Iterator[Form]:
    kind = normalizer.get("type") if normalizer else None
    if kind == "Sequence" and normalizer:
        for part in normalizer.get("normalizers") or ():
            yield from _forms(path, part)
    elif kind in _FORMS:
        yield _FORMS[str(kind)]
    elif kind is not None:
        raise refused(path, f"normalises with {kind}", "normalizer")


def _splits(path: Path, cut: Data | None) -> Iterator[Split]:
    kind = cut.get("type") if cut else None
    if cut is None or kind is None:
        raise refused(path, "has no byte-level cut", "byte-level vocabulary")
    if kind == "Sequence":
        for part in cut.get("pretokenizers") or ():
            yield from _splits(path, part)
    elif kind == "ByteLevel":
        if cut.get("add_prefix_space"):
            raise refused(path, "puts a blank before each text", "add_prefix_space")
        if cut.get("use_regex", True):
            yield Split(GPT2)
    elif kind == "Digits":
        yield Split(r"\p{N}" if cut.get("individual_digits") else r"\p{N}+")
    elif kind == "Split":
        yield _split(path, cut)
    else:
        raise refused(path, f"cuts with {kind}", "pre_tokenizer")


def _split(path: Path, cut: Data) -> Split:
    import regex

    given = cut.get("pattern") or {}
    pattern = given.get("Regex") or regex.escape(given.get("String", ""))
    behaviour, inverted = cut.get("behavior"), bool(cut.get("invert"))
    if not pattern or (behaviour != "Isolated" and not (behaviour == "Removed" and inverted)):
        raise refused(path, f"cuts with Split, behaviour {behaviour}", "pre_tokenizer")
    return Split(pattern, drops=behaviour == "Removed")
