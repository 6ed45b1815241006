"""Keys and values of a batch whose rows come and go.

Rows end together and begin where they may: shorter ones have empty places on the left, which the
attention mask hides. A row's places are known without asking the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import torch
from transformers.cache_utils import (
    Cache,
    DynamicCache,
    DynamicLayer,
    DynamicSlidingWindowLayer,
)

__all__ = ["join", "joins", "keep", "new_cache", "used"]

if TYPE_CHECKING:
    Layer = object
else:
    Layer = DynamicLayer

Tensor = Any

#: places that are added when the room is used up
_BLOCK: Final = 256


class Slab(Layer):
    """One layer's keys and values in a block of memory with room to grow.

    A step writes into it; the layer that it stands in for copies everything at every step.
    """

    is_initialized: bool

    def __init__(self, **_: Any) -> None:
        super().__init__()
        self._room: list[Tensor] = []
        self._length = 0

    def update(self, keys: Tensor, values: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Add the newest places; all keys and values."""
        if not self.is_initialized:
            self.dtype, self.device = keys.dtype, keys.device
            self.is_initialized = True
        first, self._length = self._length, self._length + keys.shape[-2]
        if not self._room or self._length > self._room[0].shape[-2]:
            self._move([_room(new, self._length) for new in (keys, values)], first)
        for room, new in zip(self._room, (keys, values), strict=True):
            room[:, :, first : self._length] = new
        return self._show()

    def join(self, other: Slab) -> None:
        """Put the rows of ``other`` below, the ends on one line."""
        length = max(self._length, other._length)
        rooms = []
        for mine, theirs in zip(self._room, other._room, strict=True):
            rows, more = mine.shape[0], theirs.shape[0]
            room = _room(mine, length, rows + more)
            room[:rows, :, length - self._length : length] = mine[:, :, : self._length]
            room[rows:, :, length - other._length : length] = theirs[:, :, : other._length]
            rooms.append(room)
        self._room, self._length = rooms, length
        self._show()

    def keep(self, rows: Tensor, start: int) -> None:
        """Keep ``rows`` alone, and of their places those from ``start`` on."""
        length = self._length - start
        rooms = []
        for old in self._room:
            room = _room(old, length, len(rows))
            room[:, :, :length] = old[rows.to(old.device), :, start : self._length]
            rooms.append(room)
        self._room, self._length = rooms, length
        self._show()

    def _move(self, rooms: list[Tensor], used: int) -> None:
        for old, room in zip(self._room, rooms, strict=False):
            room[:, :, :used] = old[:, :, :used]
        self._room = rooms

    def _show(self) -> tuple[Tensor, Tensor]:
        self.keys, self.values = (room[:, :, : self._length] for room in self._room)
        return self.keys, self.values


def _room(like: Tensor, length: int, rows: int | None = None) -> Tensor:
    """Empty places, at least ``length``; zeros, as what is masked must still be a number."""
    batch, heads, _, width = like.shape
    places = -(-(length + 1) // _BLOCK) * _BLOCK
    return like.new_zeros((rows or batch, heads, places, width))


def joins(config: Any) -> bool:
    """Whether rows of such a model can share a cache: only attention looks back, layer by layer.

    States of other kinds (recurrent, convolutional, compressed, shared between layers) cannot be
    shifted, nor can attention in chunks, whose borders are counted from the left.
    """
    text = config.get_text_config(decoder=True)
    if "chunked_attention" in (getattr(text, "layer_types", None) or ()):
        return False
    layers = DynamicCache(config=config).layers
    return all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in layers)


def used(cache: Any) -> bool:
    """Whether the model has put what it read into ``cache``, and not somewhere of its own."""
    recurrent = [s for layer in cache.layers if (s := getattr(layer, "has_previous_state", None))]
    return bool(cache.layers) and all(any(states.values()) for states in recurrent)


def new_cache(config: Any, *, shared: bool) -> Any:
    """An empty cache: one that others can join, or the model's own kind."""
    return Cache(layer_class_to_replicate=Slab) if shared else DynamicCache(config=config)


def join(cache: Any, other: Any) -> None:
    """Put the rows of ``other`` below those of ``cache``."""
    for mine, theirs in zip(cache.layers, other.layers, strict=True):
        mine.join(theirs)


def keep(cache: Any, rows: Sequence[int], start: int) -> None:
    """Keep ``rows`` alone, from the place ``start`` on."""
    index = torch.tensor(rows)
    for layer in cache.layers:
        layer.keep(index, start)
