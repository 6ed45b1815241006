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
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        scores = torch.baddbmm(mask, q, k.mT, alpha=q.shape[-1] ** -0.5)
        chance = F.softmax(scores, -1)
        ctx.save_for_backward(q, k, v, chance)
        return torch.bmm(chance, v)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        q, k, v, chance = ctx.saved_tensors
        grad, scale = grads[0], q.shape[-1] ** -0.5
        back = torch._softmax_backward_data(torch.bmm(grad, v.mT), chance, -1, chance.dtype)
        return (
            torch.bmm(back, k).mul_(scale),
            torch.bmm(back.mT, q).mul_(scale),
            torch.bmm(chance.mT, grad),
            None,
        )


def norm(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """Root mean square norm."""
    result: Tensor = _Norm.apply(x, weight, epsilon)  # type: ignore[no-untyped-call]
    return result


def gate(both: Tensor) -> Tensor:
    """SwiGLU of a gate and a value side by side."""
    result: Tensor = _Gate.apply(both)  # type: ignore[no-untyped-call]
    return result


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """Attention of (rows x heads, length, size); the mask is added to the scores."""
    result: Tensor = _Attend.apply(q, k, v, mask)  # type: ignore[no-untyped-call]
    return result
