"""How long prompt and answer may be, and what else a server states of a model: pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from .findings import Finding
from .observations import Observations

__all__ = ["NEEDED", "context_of", "limits", "named_context", "stated_context"]

#: tokens that a reflecting answer may need, from the published evaluation (6,000) and model card
NEEDED: Final = 4096
#: from here on a smaller context than the model's is a choice that people make for its memory
_ROOMY: Final = 8192
#: Ollama's context where nothing sets it
_OLLAMA: Final = 4096
#: how servers name their context when they refuse what would not fit
_CONTEXT: Final = re.compile(
    r"context (?:length|window|size)\D{0,40}?(\d[\d,]{2,})"
    r"|(\d[\d,]{2,})[- ]tokens? (?:of )?context",
    re.IGNORECASE,
)
_PARAMETER: Final = r"^\s*{}\s+(-?\d+)\s*$"
_HALF: Final = re.compile(r"(?:^|[^a-z0-9])(?:fp16|f16|float16)(?:[^a-z0-9]|$)", re.IGNORECASE)


def limits(seen: Observations) -> Iterator[Finding]:
    """Room for prompt and answer, as the server states it and as it gives it."""
    yield from _context(seen)
    yield from _caps(seen)
    half = _sixteen_bits(seen)
    if half and seen.profile.tag_ids:
        yield Finding("float16", half)


def stated_context(seen: Observations) -> int | None:
    """Tokens of context that the listing or the model's settings promise; None if they do not."""
    return max(_stated(seen), default=None)


def context_of(seen: Observations) -> int | None:
    """Tokens of context that there are, as far as that was said at all."""
    return min((*_stated(seen), *_refused_above(seen)), default=None)


def named_context(words: str) -> int | None:
    """Tokens of context that a refusal names."""
    found = _CONTEXT.search(words)
    return int((found[1] or found[2]).replace(",", "")) if found else None


def number(value: object, name: str) -> int | None:
    """A positive number under that name of an object; None for anything else."""
    found = value.get(name) if isinstance(value, Mapping) else None
    return found if isinstance(found, int) and not isinstance(found, bool) and found > 0 else None


def _stated(seen: Observations) -> list[int]:
    listed = seen.listed
    found = (
        number(listed, "max_model_len"),
        number(listed, "context_length"),
        number(listed.get("meta"), "n_ctx"),
        number(listed.get("top_provider"), "context_length"),
        _ollama(seen) if seen.kind == "ollama" else None,
    )
    return [n for n in found if n]


def _refused_above(seen: Observations) -> list[int]:
    asked = seen.filled
    named = named_context(asked.fault) if asked and asked.refused else None
    return [named] if named else []


def _ollama(seen: Observations) -> int:
    stated = parameter(seen, "num_ctx")
    return stated if stated and stated > 0 else _OLLAMA


def parameter(seen: Observations, name: str) -> int | None:
    """A number among the parameters that Ollama shows."""
    text = str(seen.shown.get("parameters", ""))
    found = re.search(_PARAMETER.format(name), text, re.MULTILINE)
    return int(found[1]) if found else None


def _context(seen: Observations) -> Iterator[Finding]:
    listed, least = stated_context(seen), context_of(seen)
    if listed and least and least < listed:
        yield Finding("context-overstated", f"{listed} listed, {least} served")
    if least and least < seen.profile.context:
        chosen = least >= _ROOMY and not seen.profile.tag_ids
        yield Finding(
            "context-reduced" if chosen else "context-small",
            f"{least} tokens; the model was made for more: {seen.profile.context}",
        )


def _caps(seen: Observations) -> Iterator[Finding]:
    """Only a model that reflects needs thousands of tokens for every answer."""
    if not seen.profile.tag_ids:
        return
    cap = number(seen.listed.get("top_provider"), "max_completion_tokens")
    cap = cap or parameter(seen, "num_predict")
    if cap and 0 < cap <= NEEDED:
        yield Finding("cap-advertised", f"answers of at most {cap} tokens")
    elif seen.needed and seen.needed.refused:
        yield Finding("answers-capped", seen.needed.fault)


def _sixteen_bits(seen: Observations) -> str:
    """Where it is said that the weights are float16; "" if nowhere."""
    details, meta = seen.shown.get("details"), seen.listed.get("meta")
    stated = {
        "quantization_level": details.get("quantization_level")
        if isinstance(details, Mapping)
        else None,
        "ftype": meta.get("ftype") if isinstance(meta, Mapping) else None,
        "name": seen.model if _HALF.search(seen.model) else None,
        "dtype": seen.listed.get("dtype"),
    }
    for name, value in stated.items():
        if isinstance(value, str) and _HALF.search(value):
            return f"{name}: {value}"
    return ""
