"""The four inner operations with hand-written backward passes.

On a CPU in bfloat16 these move far less memory than what autograd derives, and scaled dot product
attention has a very slow backward pass there.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

BLOCK = 128


class _Norm(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        size = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
        scale = torch.rsqrt(size.square() / x.shape[-1] + epsilon).to(x.dtype)
        normal = x * scale
        ctx.save_for_backward(normal, scale, weight)
        return normal * weight.to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        normal, scale, weight = ctx.saved_tensors
        grad = grads[0]
        product = grad * normal
        own = product.sum(tuple(range(grad.dim() - 1)), dtype=torch.float32)
        mean = product @ (weight.to(grad.dtype) / grad.shape[-1]).unsqueeze(-1)
        back = (grad * weight.to(grad.dtype)).sub_(normal * mean).mul_(scale)
        return back, own.to(weight.dtype), None


class _Gate(Function):
    @staticmethod
    def forward(ctx: Any, both: Tensor) -> Tensor:
        gate, up = both.chunk(2, -1)
        open_ = F.silu(gate.contiguous())
        ctx.save_for_backward(both, open_)
        return open_ * up

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        both, open_ = ctx.saved_tensors
        gate, up = both.chunk(2, -1)
        back = torch.empty_like(both)
        first, second = back.chunk(2, -1)
        torch.mul(grads[0], open_, out=second)
        first.copy_(torch.ops.aten.silu_backward(grads[0] * up, gate.contiguous()))
        return back


class _Attend(Function):
    """In blocks of queries, so that most of what the mask hides is never computed."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        chances, result = [], torch.empty_like(v)
        for start, end in _blocks(q.shape[1]):
            rows, seen = q[:, start:end], k[:, :end]
            hidden = mask[start:end, :end]
            scores = torch.baddbmm(hidden, rows, seen.mT, alpha=q.shape[-1] ** -0.5)
            chances.append(F.softmax(scores, -1))
            result[:, start:end] = torch.bmm(chances[-1], v[:, :end])
        ctx.save_for_backward(q, k, v, *chances)
        return result

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        q, k, v, *chances = ctx.saved_tensors
        scale = q.shape[-1] ** -0.5
        to_q, to_k, to_v = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
        for (start, end), chance in zip(_blocks(q.shape[1]), chances, strict=True):
            grad = grads[0][:, start:end]
            product = torch.bmm(grad, v[:, :end].mT)
            back = torch._softmax_backward_data(product, chance, -1, chance.dtype)
            to_q[:, start:end] = torch.bmm(back, k[:, :end]).mul_(scale)
            to_k[:, :end] += torch.bmm(back.mT, q[:, start:end]).mul_(scale)
            to_v[:, :end] += torch.bmm(chance.mT, grad)
        return to_q, to_k, to_v, None


def _blocks(length: int) -> list[tuple[int, int]]:
    return [(start, min(start + BLOCK, length)) for start in range(0, length, BLOCK)]


def norm(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """Root mean square norm."""
    result: Tensor = _Norm.apply(x, weight, epsilon)  # type: ignore[no-untyped-call]  # torch gives it no types
    return result


def gate(both: Tensor) -> Tensor:
    """SwiGLU of a gate and a value side by side."""
    result: Tensor = _Gate.apply(both)  # type: ignore[no-untyped-call]  # torch gives it no types
    return result


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """Attention of (rows x heads, length, size); the mask is added to the scores."""
    result: Tensor = _Attend.apply(q, k, v, mask)  # type: ignore[no-untyped-call]  # torch gives it no types
    return result
