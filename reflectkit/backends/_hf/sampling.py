"""One token for every row of a batch, drawn at once on the model's device."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from .ask import Sampling

__all__ = ["Draw", "pick"]

Tensor = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """How one row's next token is found.

    ``uniform``: a number from 0 up to 1, which decides a draw. It comes from the row's own
    generator, so that a seed means the same alone and in any batch. ``seen``: which tokens of the
    vocabulary occurred, for the penalty on repetition.
    """

    sampling: Sampling = field(default_factory=Sampling)
    uniform: float = 0.0
    forced: int | None = None
    banned: Iterable[int] = ()
    seen: Tensor = None


def pick(logits: Tensor, draws: Sequence[Draw]) -> Tensor:
    """The token ids, one for each row of ``logits`` (rows by vocabulary; may be written over)."""
    scores = logits.float()
    _penalise(scores, draws)
    _ban(scores, draws)
    tokens = scores.argmax(-1)
    if any(d.sampling.temperature for d in draws):
        knobs = _Knobs(draws, scores.device)
        tokens = torch.where(knobs.hot[:, 0], _drawn(_filtered(scores, knobs), knobs), tokens)
    for row, draw in enumerate(draws):
        if draw.forced is not None:
            tokens[row] = draw.forced
    return tokens


class _Knobs:
    """The knobs of all rows, a column each, brought to the device at once."""

    def __init__(self, draws: Sequence[Draw], device: Any) -> None:
        table = torch.tensor([_line(d) for d in draws], dtype=torch.float64).to(device)
        temperature, self.top_k, self.top_p, self.min_p, self.uniform = table.split(1, dim=1)
        self.hot = temperature > 0
        self.temperature = torch.where(self.hot, temperature, 1.0).float()
        self.sorts = any(d.sampling.top_k or d.sampling.top_p < 1 for d in draws)
        self.floors = any(d.sampling.min_p for d in draws)


def _line(draw: Draw) -> tuple[float, ...]:
    knobs = draw.sampling
    return (knobs.temperature, knobs.top_k or torch.inf, knobs.top_p, knobs.min_p, draw.uniform)


def _penalise(scores: Tensor, draws: Sequence[Draw]) -> None:
    for row, draw in enumerate(draws):
        penalty = draw.sampling.repetition_penalty
        if penalty != 1.0 and draw.seen is not None:
            mine = scores[row]
            worse = torch.where(mine < 0, mine * penalty, mine / penalty)
            scores[row] = torch.where(draw.seen, worse, mine)


def _ban(scores: Tensor, draws: Sequence[Draw]) -> None:
    for row, draw in enumerate(draws):
        if banned := sorted(set(draw.banned)):
            scores[row, torch.tensor(banned, device=scores.device)] = -torch.inf


def _filtered(scores: Tensor, knobs: _Knobs) -> Tensor:
    """Probabilities (not summing to 1): temperature, then top_k, top_p and min_p, each on what the
    one before left. They keep their places, so that a row is drawn alike beside any others."""
    chance = (scores / knobs.temperature).softmax(-1)
    if knobs.sorts:
        ordered, places = chance.sort(dim=-1, descending=True)
        rank = torch.arange(scores.shape[-1], device=scores.device)
        ordered = ordered.masked_fill(rank >= knobs.top_k, 0.0)
        before = ordered.double().cumsum(-1) - ordered
        # of a share of 1 nothing is cut, not even by rounding, and the likeliest stays in any case
        out = (before >= knobs.top_p * ordered.sum(-1, keepdim=True)) & (knobs.top_p < 1)
        out[:, 0] = False
        chance = torch.zeros_like(chance).scatter_(1, places, ordered.masked_fill(out, 0.0))
    if knobs.floors:
        least = knobs.min_p * chance.amax(-1, keepdim=True)
        chance = chance.masked_fill(chance < least, 0.0)
    return chance


def _drawn(chance: Tensor, knobs: _Knobs) -> Tensor:
    """Where each row's number falls in its sums of chances; double, as vocabularies are large."""
    sums = chance.double().cumsum(-1)
    found = torch.searchsorted(sums, knobs.uniform * sums[:, -1:], right=True)
    return found.squeeze(1).clamp(max=chance.shape[-1] - 1)
