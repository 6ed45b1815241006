"""``counter_for``: the best counter for a model, one for each model in the whole process."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Final

from ..budget.tokens import Counter, LearnedCounter
from ..models.embedded import embedded_models
from ..models.profile import spellings
from .encodings import base_tokenizer, counter_named, encoding_of, is_cached
from .files import counter_from

__all__ = ["counter_for"]

#: so many models are remembered; the one that was asked for longest ago is forgotten first
_KEPT: Final = 256
_counters: OrderedDict[tuple[str, str], Counter] = OrderedDict()
_lock = threading.Lock()


def counter_for(model: str = "", *, path: str | os.PathLike[str] | None = None) -> Counter:
    """The best counter there is for ``model``; the same one each time, with what it has learnt.

    Exact with the tokenizer at ``path``, for embedded models, and for those whose encoding
    tiktoken knows and has in its cache. Every other model gets a ``LearnedCounter``, which begins
    with an estimate. Nothing is downloaded. Raises as ``counter_from`` does, and takes as long.
    """
    shown = "" if path is None else str(Path(path).expanduser().resolve())
    key = (next(iter(spellings(model)), ""), shown)
    with _lock:
        if key not in _counters:
            _counters[key] = _made(model, shown)
            while len(_counters) > _KEPT:
                _counters.popitem(last=False)
        _counters.move_to_end(key)
        return _counters[key]


def _made(model: str, path: str) -> Counter:
    embedded = embedded_models()
    if path or model in embedded:
        return counter_from(path or embedded[model])
    encoding = encoding_of(model)
    if encoding and is_cached(encoding):
        return counter_named(encoding)
    base = base_tokenizer()
    return LearnedCounter(base.count if base else None)
