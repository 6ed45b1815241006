"""The decode loop: rows that join and leave a running batch between two steps.

Transformers has a manager for continuous batches of its own. It samples all of them or none, draws
all from one seed, and lets nothing look at one row's tokens before its next one is chosen, which
stop strings, a seed of each request and a cap on thinking need. So the loop stands here.
"""

from __future__ import annotations

import gc
import inspect
from collections.abc import Sequence
from typing import Any, Final

import torch

from ...errors import ConfigurationError
from .cache import join, joins, keep, new_cache, used
from .row import Row
from .sampling import Draw, pick

__all__ = ["Batch", "Runner", "quiet", "tidy", "together"]

Tensor = Any

#: prompt tokens, empty places included, that are read at once
_READ: Final = 8192
#: what models call their state: before transformers 5.24, and since
_PAST: Final = ("past_key_values", "cache")


class Runner:
    """One forward pass at a time through a model, wherever its layers lie."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self.name = type(model).__name__
        self.device = _device(model)
        self.shared = joins(model.config)
        takes = inspect.signature(model.forward).parameters
        named = [name for name in _PAST if name in takes]
        if not named:
            raise forgets(self.name)
        self._past = named[0]
        self._positions = "position_ids" in takes
        self._fixed = {"logits_to_keep": 1} if "logits_to_keep" in takes else {}

    def cache(self) -> Any:
        """An empty cache."""
        return new_cache(self._model.config, shared=self.shared)

    def read(self, cache: Any, tokens: Sequence[Sequence[int]], lengths: Sequence[int]) -> Tensor:
        """Logits after ``tokens``, which end rows of ``lengths`` tokens; short ones are filled."""
        width, whole = max(map(len, tokens)), max(lengths)
        ids = torch.tensor([[0] * (width - len(t)) + list(t) for t in tokens])
        given: dict[str, Any] = {**self._fixed, "input_ids": ids.to(self.device)}
        if self._positions:
            empty = torch.tensor([whole - n for n in lengths]).unsqueeze(1)
            places = (torch.arange(whole - width, whole) - empty).clamp(min=0)
            given["position_ids"] = places.to(self.device)
        if min(lengths) < whole:
            empty = torch.tensor([whole - n for n in lengths]).unsqueeze(1)
            given["attention_mask"] = (torch.arange(whole) >= empty).long().to(self.device)
        found = self._model(**given, **{self._past: cache}, use_cache=True)
        return found.logits[:, -1].to(self.device)


def _device(model: Any) -> Any:
    """Where prompts have to be: with the embedding, or with the first layer if it was put away."""
    own = model.get_input_embeddings().weight.device
    places = (p.device for p in model.parameters() if p.device.type != "meta")
    return own if own.type != "meta" else next(places, torch.device("cpu"))


class Batch:
    """Rows that share a cache, and its next step."""

    def __init__(self, runner: Runner, rows: Sequence[Row]) -> None:
        """Reads the prompts of ``rows`` and takes the first token of each."""
        self._runner = runner
        self.rows = list(rows)
        self._cache = runner.cache()
        prompts = [row.prompt for row in rows]
        self._places = max(map(len, prompts))
        logits = runner.read(self._cache, prompts, [len(p) for p in prompts])
        if not used(self._cache):
            raise forgets(runner.name)
        self._take(logits)

    def step(self) -> None:
        """Read every row's last token and take its next one."""
        self._places += 1
        lengths = [row.length for row in self.rows]
        self._take(self._runner.read(self._cache, [[row.last] for row in self.rows], lengths))

    def leave(self, rows: Sequence[Row]) -> None:
        """Go on without ``rows``."""
        gone = set(map(id, rows))
        stay = [n for n, row in enumerate(self.rows) if id(row) not in gone]
        if len(stay) == len(self.rows):
            return
        self.rows = [self.rows[n] for n in stay]
        if self.rows:
            longest = max(row.length - 1 for row in self.rows)
            keep(self._cache, stay, self._places - longest)
            self._places = longest

    def join(self, other: Batch) -> None:
        """Take the rows of ``other`` in."""
        join(self._cache, other._cache)
        self.rows += other.rows
        self._places = max(self._places, other._places)

    def _take(self, logits: Tensor) -> None:
        tokens = pick(logits, [self._draw(row, logits) for row in self.rows])
        for number, row in enumerate(self.rows):
            if row.seen is not None:
                row.seen[tokens[number]] = True
        # the one moment of a step at which the device is waited for
        done = [
            row for row, token in zip(self.rows, tokens.tolist(), strict=True) if row.take(token)
        ]
        for row in done:
            row.relay.end()
        self.leave(done)

    def _draw(self, row: Row, logits: Tensor) -> Draw:
        if row.seen is None and row.sampling.repetition_penalty != 1.0:
            row.seen = torch.zeros(logits.shape[-1], dtype=torch.bool, device=logits.device)
            row.seen[torch.tensor(row.prompt, device=logits.device)] = True
        return Draw(
            sampling=row.sampling,
            uniform=row.uniform(),
            forced=row.forced,
            banned=row.banned,
            seen=row.seen,
        )


def together(rows: Sequence[Row], shared: bool) -> int:
    """How many of ``rows``, from the first on, are read at once: one at least."""
    widest = 0
    for count, row in enumerate(rows):
        widest = max(widest, len(row.prompt))
        if count and (not shared or widest * (count + 1) > _READ):
            return count
    return len(rows)


def forgets(name: str) -> ConfigurationError:
    """A model that keeps its state elsewhere takes no notice of ours, and forgets the prompt."""
    return ConfigurationError(
        f"{name} does not keep its state in past_key_values.",
        hint="Models of recurrent layers alone (Mamba, RWKV, RecurrentGemma) cannot run here; "
        "llama.cpp's server runs several of them.",
    )


def quiet() -> Any:
    """A context in which nothing is kept for training."""
    return torch.inference_mode()


def tidy() -> None:
    """Give memory that nobody uses back to the device."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
