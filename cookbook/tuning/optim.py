"""Muon for the hidden matrices, AdamW for the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def orthogonal(update: Tensor, rounds: int = 5) -> Tensor:
    """The nearest (semi-)orthogonal matrices of a stack of matrices, by Newton-Schulz."""
    a, b, c = COEFFICIENTS
    x = update.bfloat16()
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(rounds):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    result: Tensor = (x.mT if tall else x).to(update.dtype)
    return result


class Muon(torch.optim.Optimizer):
    """Momentum whose step is made orthogonal; matrices of one size are treated as one stack."""

    def __init__(self, weights: list[nn.Parameter], lr: float, momentum: float = 0.95) -> None:
        super().__init__(weights, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]  # the closure is never used
        for group in self.param_groups:
            sizes: dict[Any, list[nn.Parameter]] = {}
            for weight in group["params"]:
                if weight.grad is not None:
                    sizes.setdefault(weight.shape, []).append(weight)
            for stack in sizes.values():
                self._step_stack(stack, group["lr"], group["momentum"])

    def _step_stack(self, stack: list[nn.Parameter], lr: float, momentum: float) -> None:
        updates = []
        for weight in stack:
            state = self.state[weight]
            past = state.setdefault("momentum", torch.zeros_like(weight))
            assert weight.grad is not None
            past.lerp_(weight.grad, 1 - momentum)
            updates.append(weight.grad.lerp(past, momentum))
        scale = max(1.0, stack[0].shape[0] / stack[0].shape[1]) ** 0.5
        for weight, step in zip(stack, orthogonal(torch.stack(updates)), strict=True):
            weight.add_(step, alpha=-lr * scale)


def optimizers(model: nn.Module, muon: float, adam: float) -> list[torch.optim.Optimizer]:
    """Both optimizers; each remembers its peak learning rate as `peak`."""
    hidden: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for name, weight in model.named_parameters():
        (hidden if "layers." in name and weight.dim() == 2 else rest).append(weight)
    both: list[torch.optim.Optimizer] = [
        Muon(hidden, muon),
        torch.optim.AdamW(rest, adam, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
    ]
    for optimizer in both:
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return both
