"""One token for every row of a batch, drawn at once on the model's device."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from ._hf_ask import Sampling

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
    """The token ids, one for each row of ``logits`` (rows by vocabulary)."""
    scores = logits.float()
    _penalise(scores, draws)
    _ban(scores, draws)
    tokens = scores.argmax(-1)
    hot = [d.sampling.temperature > 0 for d in draws]
    if any(hot):
        drawn = _drawn(_filtered(scores, draws), draws)
        tokens = drawn if all(hot) else torch.where(_column(hot, scores)[:, 0], drawn, tokens)
    for row, draw in enumerate(draws):
        if draw.forced is not None:
            tokens[row] = draw.forced
    return tokens


def _column(values: Sequence[float], like: Tensor) -> Tensor:
    return torch.tensor(values, device=like.device).unsqueeze(1)


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


def _filtered(scores: Tensor, draws: Sequence[Draw]) -> Tensor:
    """Probabilities (not summing to 1): temperature, then top_k, top_p and min_p, each on what the
    one before left. They keep their places, so that a row is drawn alike beside any others."""
    knobs = [d.sampling for d in draws]
    chance = (scores / _column([k.temperature or 1.0 for k in knobs], scores)).softmax(-1)
    if any(k.top_k or k.top_p < 1 for k in knobs):
        ordered, places = chance.sort(dim=-1, descending=True)
        size = scores.shape[-1]
        most = _column([k.top_k or size for k in knobs], scores)
        ordered = ordered.masked_fill(torch.arange(size, device=scores.device) >= most, 0.0)
        before = ordered.cumsum(-1) - ordered
        share = _column([k.top_p for k in knobs], scores) * ordered.sum(-1, keepdim=True)
        # the likeliest stays in any case; of a share of 1 nothing is cut, not even by rounding
        out = (before >= share) & (_column([k.top_p for k in knobs], scores) < 1)
        out[:, 0] = False
        chance = torch.zeros_like(chance).scatter_(1, places, ordered.masked_fill(out, 0.0))
    if any(k.min_p for k in knobs):
        least = _column([k.min_p for k in knobs], scores) * chance.amax(-1, keepdim=True)
        chance = chance.masked_fill(chance < least, 0.0)
    return chance


def _drawn(chance: Tensor, draws: Sequence[Draw]) -> Tensor:
    """Where each row's number falls in its sums of chances; double, as vocabularies are large."""
    sums = chance.double().cumsum(-1)
    point = torch.tensor([d.uniform for d in draws], dtype=torch.float64, device=chance.device)
    found = torch.searchsorted(sums, point.unsqueeze(1) * sums[:, -1:], right=True)
    return found.squeeze(1).clamp(max=chance.shape[-1] - 1)
