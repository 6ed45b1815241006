"""tiktoken's own encodings, from its cache: nothing here goes to the network unless told to.

``tiktoken.get_encoding`` downloads what its cache lacks, without a time limit and whatever the
settings say of being offline. So the cache is looked into first.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ..errors import ConfigurationError
from .exact import ExactCounter, Tokenizer
from .vocabulary import Split, Vocabulary

__all__ = ["base_tokenizer", "counter_named", "encoding_of", "is_cached"]

_HOST: Final = "https://openaipublic.blob.core.windows.net/"
_FILES: Final[Mapping[str, tuple[str, str]]] = {
    "r50k": (
        "encodings/r50k_base.tiktoken",
        "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930",
    ),
    "p50k": (
        "encodings/p50k_base.tiktoken",
        "94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069",
    ),
    "cl100k": (
        "encodings/cl100k_base.tiktoken",
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    ),
    "o200k": (
        "encodings/o200k_base.tiktoken",
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    ),
    "gpt2 merges": (
        "gpt-2/encodings/main/vocab.bpe",
        "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
    ),
    "gpt2 tokens": (
        "gpt-2/encodings/main/encoder.json",
        "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
    ),
}
#: encoding -> the files that tiktoken makes it of
_ENCODINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "o200k_base": ("o200k",),
    "o200k_harmony": ("o200k",),
    "cl100k_base": ("cl100k",),
    "p50k_base": ("p50k",),
    "p50k_edit": ("p50k",),
    "r50k_base": ("r50k",),
    "gpt2": ("gpt2 merges", "gpt2 tokens"),
}
#: the nearest to most models' vocabularies, the nearest first
_BASES: Final = ("o200k_base", "cl100k_base")
_tokenizers: dict[str, Tokenizer] = {}


def counter_named(
    encoding: str, *, download: bool = False, state: Mapping[str, Any] | None = None
) -> ExactCounter:
    """An exact counter with one of tiktoken's encodings, such as ``"o200k_base"``.

    Its file must lie in tiktoken's cache (``TIKTOKEN_CACHE_DIR``, or a folder of its choice in the
    temporary one), whole; ``download``: tiktoken may fetch it. Raises ``ConfigurationError`` for
    an unknown name, for a missing or damaged file, and for a download that failed.
    """
    if encoding not in _ENCODINGS:
        raise ConfigurationError(
            f"There is no encoding {encoding!r}.", hint=f"There are: {', '.join(_ENCODINGS)}."
        )
    if not download and encoding not in _tokenizers and not is_cached(encoding):
        files = ", ".join(_HOST + _FILES[name][0] for name in _ENCODINGS[encoding])
        raise ConfigurationError(
            f"The file of the encoding {encoding} is not in tiktoken's cache ({_folder()}), and "
            "nothing is downloaded unasked.",
            hint=f"Pass download=True once, or bring a cache along in TIKTOKEN_CACHE_DIR: {files}.",
        )
    return ExactCounter(_tokenizer(encoding), state=state)


def encoding_of(model: str) -> str | None:
    """The encoding that tiktoken's table has for a model's name; None for unknown models."""
    from tiktoken.model import encoding_name_for_model

    try:
        name = encoding_name_for_model(model.rpartition("/")[2])
    except KeyError:
        return None
    return name if name in _ENCODINGS else None


def base_tokenizer() -> Tokenizer | None:
    """The tokenizer that other models' counts are learnt from: the best whose file is at hand."""
    found = next((name for name in _BASES if name in _tokenizers or is_cached(name)), None)
    return _tokenizer(found) if found else None


def is_cached(encoding: str) -> bool:
    """tiktoken would find every file of the encoding in its cache, whole."""
    return all(_is_whole(*_FILES[name]) for name in _ENCODINGS[encoding])


def _folder() -> str:
    """Where tiktoken looks; "" when it is told to cache nothing."""
    for variable in ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR"):
        if variable in os.environ:
            return os.environ[variable]
    return str(Path(tempfile.gettempdir(), "data-gym-cache"))


def _is_whole(file: str, sha256: str) -> bool:
    folder = _folder()
    name = hashlib.sha1((_HOST + file).encode(), usedforsecurity=False).hexdigest()
    try:
        data = Path(folder, name).read_bytes() if folder else b""
    except OSError:
        return False
    return hashlib.sha256(data).hexdigest() == sha256


def _tokenizer(encoding: str) -> Tokenizer:
    if encoding not in _tokenizers:
        _tokenizers[encoding] = Tokenizer(_loaded(encoding))
    return _tokenizers[encoding]


def _loaded(encoding: str) -> Vocabulary:
    import tiktoken

    try:
        found = tiktoken.get_encoding(encoding)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"The encoding {encoding} could not be loaded: {error}.",
            hint="Without it counter_for(model) learns from what servers report.",
        ) from error
    # tiktoken's page on extending it builds new encodings from these three
    return Vocabulary(
        name=encoding,
        ranks=found._mergeable_ranks,
        splits=(Split(found._pat_str, drops=True),),
        specials=tuple(found._special_tokens),
    )
