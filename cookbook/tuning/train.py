"""Train the sets of weights: a common trunk, then `base` and `reflect` from it; and `tools`.

    python train.py trunk        # or: base, reflect, tools, all
    python train.py staged       # not part of `all`: makes mistakes on purpose
    python train.py --list

Every stage is resumable: it writes a checkpoint to runs/<stage>/last.pt and starts from there.
Progress is a line every 50 steps.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import render
import torch
import torch.nn.functional as F
from errors import own_errors
from model import Model, Shape
from optim import optimizers
from plan import STAGES, Stage
from samples import Sample
from subjects import SUBJECTS, Subject
from tokenizer import Tokenizer

RUNS = Path(os.environ.get("TUNING_RUNS", Path(__file__).parent / "runs"))
BATCH = 4096


@dataclass
class Batch:
    """Rows of one length: ids, and weight and softmax temperature of every target."""

    ids: torch.Tensor
    weights: torch.Tensor
    heats: torch.Tensor
    tokens: int


def pad(rows: list[Sample], tokenizer: Tokenizer) -> Batch:
    """Rows as tensors, padded at the end (a causal model needs no mask there)."""
    length = max(len(r.ids) for r in rows)
    filler = tokenizer.ids["<|pad|>"]
    ids = torch.tensor([r.ids + [filler] * (length - len(r.ids)) for r in rows])
    weights = torch.tensor([r.weights + [0.0] * (length - len(r.weights)) for r in rows])
    heats = torch.tensor([r.heats + [1.0] * (length - len(r.heats)) for r in rows])
    return Batch(ids, weights, heats, sum(len(r.ids) for r in rows))


def batches(subject: Subject, rng: random.Random, mix: Any) -> Iterator[Batch]:
    """Endless batches; chats of like length together, topped up with drills of that length."""
    tokenizer = subject.tokenizer
    while True:
        drawn = (subject.chat(tokenizer, rng, mix) for _ in range(600))
        pool = sorted(drawn, key=lambda s: len(s.ids))
        cut: list[list[Sample]] = [[]]
        for sample in pool:
            room = BATCH * (1 - mix.drills) // len(sample.ids)
            if len(cut[-1]) >= max(1, room):
                cut.append([])
            cut[-1].append(sample)
        rng.shuffle(cut)
        for rows in cut:
            length = max(len(r.ids) for r in rows)
            number = int(BATCH * mix.drills) // length
            extra = [subject.drill(tokenizer, rng, mix, length) for _ in range(number)]
            yield pad(rows + extra, tokenizer)


def loss_of(model: Model, batch: Batch) -> torch.Tensor:
    """Weighted mean loss of the learned targets; the head runs on those alone."""
    hidden = model.features(batch.ids[:, :-1], torch.bfloat16)
    weights, heats = batch.weights[:, 1:], batch.heats[:, 1:]
    kept = weights > 0
    logits = model.logits(hidden[kept]).float() / heats[kept].unsqueeze(-1)
    each = F.cross_entropy(logits, batch.ids[:, 1:][kept], reduction="none")
    return (each * weights[kept]).sum() / weights[kept].sum()


@dataclass
class Run:
    """A stage in progress."""

    stage: Stage
    model: Model
    tokens: int = 0
    steps: int = 0
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return RUNS / self.stage.name

    def rate(self) -> float:
        """Learning-rate factor: warm up, hold, then linear to nothing."""
        warm = min(1.0, (self.steps + 1) / 100) if self.stage.warm else 1.0
        return warm * self.stage.rate(self.tokens)

    def save(self, parts: list[torch.optim.Optimizer], name: str = "last.pt") -> None:
        """Write everything that is needed to go on."""
        self.folder.mkdir(parents=True, exist_ok=True)
        state = {
            "shape": self.model.shape.to_dict(), "model": self.model.state_dict(),
            "optimizers": [p.state_dict() for p in parts], "tokens": self.tokens,
            "steps": self.steps, "seconds": self.seconds, "subject": self.stage.subject,
        }  # fmt: skip
        torch.save(state, self.folder / "part.pt")
        (self.folder / "part.pt").replace(self.folder / name)


def load(path: Path) -> tuple[Model, dict[str, Any]]:
    """A model from a checkpoint, and the rest of what was saved."""
    state = torch.load(path, weights_only=True)
    model = Model(Shape(**state["shape"]))
    model.load_state_dict(state["model"])
    return model, state


def begin(stage: Stage, size: int) -> tuple[Run, list[torch.optim.Optimizer]]:
    """A run from its own checkpoint, its parent's, or from nothing."""
    torch.manual_seed(stage.seed)
    own = RUNS / stage.name / "last.pt"
    source = own if own.exists() else RUNS / stage.parent / "last.pt" if stage.parent else None
    model, state = load(source) if source else (Model(Shape(size, **stage.shape)), None)
    parts = optimizers(model, 0.01, 0.003)
    if state and state["optimizers"]:
        for part, saved in zip(parts, state["optimizers"], strict=True):
            part.load_state_dict(saved)
    run = Run(stage, model)
    if state and source == own:
        run.tokens, run.steps, run.seconds = state["tokens"], state["steps"], state["seconds"]
    return run, parts


def one_step(run: Run, parts: list[torch.optim.Optimizer], batch: Batch) -> float:
    loss = loss_of(run.model, batch)
    loss.backward()  # type: ignore[no-untyped-call]  # torch gives it no types
    rate = run.rate()
    for part in parts:
        for group in part.param_groups:
            group["lr"] = group["peak"] * rate
        part.step()
        part.zero_grad()
    run.tokens += batch.tokens
    run.steps += 1
    return float(loss.detach())


def report(run: Run, started: float, before: int) -> None:
    """A progress line."""
    speed = (run.tokens - before) / (time.monotonic() - started)
    left = (run.stage.tokens - run.tokens) / max(1.0, speed)
    loss = sum(run.losses) / len(run.losses)
    run.losses.clear()
    done = f"{run.tokens / 1e6:.2f}/{run.stage.tokens / 1e6:.1f} M tokens"
    print(
        f"{run.stage.name} {run.steps} {done} loss {loss:.4f} rate {run.rate():.3f} "
        f"{speed / 1e3:.1f} k tok/s, {left / 60:.1f} min left", flush=True,
    )  # fmt: skip


def train(stage: Stage, threads: int) -> None:
    """Run a stage to its end."""
    torch.set_num_threads(threads)
    subject = SUBJECTS[stage.subject]()
    run, parts = begin(stage, len(subject.tokenizer))
    rng = random.Random(f"{stage.seed} {stage.name} {run.steps}")
    if stage.own_errors:
        render.OWN_ERRORS.update(own_errors(run.model, subject.tokenizer))
    started, before, earlier, mix = time.monotonic(), run.tokens, run.seconds, None
    while run.tokens < stage.tokens:
        if stage.mix_at(run.tokens) != mix:
            mix = stage.mix_at(run.tokens)
            source = batches(subject, rng, mix)
        run.losses.append(one_step(run, parts, next(source)))
        run.seconds = earlier + time.monotonic() - started
        if run.steps % 50 == 0:
            report(run, started, before)
        if run.steps % 250 == 0:
            run.save(parts)
    run.save(parts)
    note = {"tokens": run.tokens, "steps": run.steps, "seconds": round(run.seconds)}
    (run.folder / "done.json").write_text(json.dumps(note))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stages", nargs="*", help="stage names in order, or `all`")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if options.list:
        print("\n".join(f"{s.name}: {s.tokens:,} tokens from {s.parent or 'nothing'}"
                        for s in STAGES.values()))  # fmt: skip
    names = [n for n in STAGES if n != "staged"] if options.stages == ["all"] else options.stages
    for name in names:
        train(STAGES[name], options.threads)


if __name__ == "__main__":
    main()
