"""How much memory a model takes, computed from its configuration alone."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ...errors import ConfigurationError

__all__ = ["Memory", "memory"]

#: bits of one number. 4bit: four, and a scale of 32 bits for each 64 numbers
_BITS: Final[Mapping[str, float]] = {
    "float32": 32,
    "bfloat16": 16,
    "float16": 16,
    "float8": 8,
    "int8": 8,
    "4bit": 4.5,
}
#: what quantising leaves alone, embeddings and the head, stays in this many bits
_KEPT: Final = 16
#: configurations whose weights are not a row of equal dense layers
_OTHERS: Final = (
    "num_experts",
    "num_local_experts",
    "n_routed_experts",
    "kv_lora_rank",
    "state_size",
    "text_config",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Bytes: of the weights, and of keys and values for each token and for all of them."""

    weights: int
    per_token: int
    cache: int

    @property
    def total(self) -> int:
        """Weights and cache. What a step works with comes on top: reckon with a tenth more."""
        return self.weights + self.cache


def memory(
    config: Mapping[str, Any] | str | os.PathLike[str] | Any,
    *,
    dtype: str = "bfloat16",
    context: int = 8192,
    batch: int = 1,
    cache_dtype: str = "bfloat16",
) -> Memory:
    """What ``batch`` answers of ``context`` tokens each take at the same time.

    ``config``: a ``config.json`` as a mapping, its folder, or a configuration of transformers; of a
    dense model in the manner of Llama. ``dtype``: float32, bfloat16, float16, float8, int8 or 4bit,
    of the weights; the last three leave embeddings and head at 16 bits, as the usual quantisers do.
    ``cache_dtype``: of keys and values.

    Raises ``ConfigurationError`` for another kind of model or a type that it does not know.
    """
    for given in (dtype, cache_dtype):
        if given not in _BITS:
            raise ConfigurationError(f"There is no type {given!r}.", hint=f"Known: {_known()}.")
    read = _Numbers(config)
    hidden, layers, heads = (
        read[name] for name in ("hidden_size", "num_hidden_layers", "num_attention_heads")
    )
    width = read.get("head_dim") or hidden // heads
    keys = (read.get("num_key_value_heads") or heads) * width
    attention = 2 * hidden * heads * width + 2 * hidden * keys
    inner = layers * (attention + 3 * hidden * read["intermediate_size"])
    words = read["vocab_size"] * hidden * (1 if read.get("tie_word_embeddings") else 2)
    norms = (2 * layers + 1) * hidden
    outer = max(_BITS[dtype], _KEPT)
    per_token = round(2 * layers * keys * _BITS[cache_dtype] / 8)
    return Memory(
        weights=round((inner * _BITS[dtype] + (words + norms) * outer) / 8),
        per_token=per_token,
        cache=per_token * context * batch,
    )


class _Numbers:
    """The numbers of a configuration, however it comes."""

    def __init__(self, config: Any) -> None:
        if isinstance(config, str | os.PathLike):
            config = _read(Path(config))
        self._found: Mapping[str, Any] = config if isinstance(config, Mapping) else vars(config)
        other = next((name for name in _OTHERS if self._found.get(name)), None)
        if other:
            raise ConfigurationError(
                f"A model with {other} is not a row of dense layers: its memory is not known here.",
                hint="Add up the sizes of its weight files.",
            )

    def __getitem__(self, name: str) -> int:
        value = self.get(name)
        if not value:
            raise ConfigurationError(f"The configuration has no {name}.")
        return value

    def get(self, name: str) -> int:
        """The number, or 0."""
        return int(self._found.get(name) or 0)


def _read(folder: Path) -> Any:
    try:
        return json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"There is no config.json to read in {folder} ({type(error).__name__})."
        ) from error


def _known() -> str:
    return ", ".join(_BITS)
