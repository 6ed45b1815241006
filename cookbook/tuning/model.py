"""A small Llama: RMSNorm, rotary positions, SwiGLU, untied embedding and head.

The weights have the names of a Hugging Face Llama checkpoint, so that export is a copy.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Shape:
    """What the weights look like; written beside every checkpoint."""

    vocab: int
    width: int = 128
    layers: int = 6
    heads: int = 4
    hidden: int = 352
    context: int = 1024
    theta: float = 10000.0
    epsilon: float = 1e-5

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


class Norm(nn.Module):
    """Root mean square norm."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(shape.width))
        self.epsilon = shape.epsilon

    def forward(self, x: Tensor) -> Tensor:
        scale = torch.rsqrt(x.float().square().mean(-1, keepdim=True) + self.epsilon)
        return (x * scale * self.weight).to(x.dtype)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions in the half-split layout of Hugging Face."""
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1).to(x.dtype)


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention by plain products: on a CPU its backward pass is far faster than SDPA's."""
    scores = (q * q.shape[-1] ** -0.5) @ k.mT
    length = q.shape[2]
    if length > 1:
        future = torch.full((length, length), -1e4, dtype=scores.dtype, device=q.device).triu(1)
        scores = scores + future
    return F.softmax(scores, -1) @ v


class Block(nn.Module):
    """One layer: attention and a gated feed-forward."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        width, hidden = shape.width, shape.hidden
        self.input_layernorm = Norm(shape)
        self.post_attention_layernorm = Norm(shape)
        self.q_proj = nn.Linear(width, width, bias=False)
        self.k_proj = nn.Linear(width, width, bias=False)
        self.v_proj = nn.Linear(width, width, bias=False)
        self.o_proj = nn.Linear(width, width, bias=False)
        self.gate_proj = nn.Linear(width, hidden, bias=False)
        self.up_proj = nn.Linear(width, hidden, bias=False)
        self.down_proj = nn.Linear(hidden, width, bias=False)

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, cache: list[Tensor] | None = None
    ) -> Tensor:
        rows, length, width = x.shape
        y = self.input_layernorm(x)
        q, k, v = (
            p(y).view(rows, length, self.heads, -1).transpose(1, 2)
            for p in (self.q_proj, self.k_proj, self.v_proj)
        )
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        if cache is not None:
            k, v = torch.cat((cache[0], k), 2), torch.cat((cache[1], v), 2)
            cache[:] = [k, v]
        y = attend(q, k, v)
        x = x + self.o_proj(y.transpose(1, 2).reshape(rows, length, width))
        y = self.post_attention_layernorm(x)
        return x + self.down_proj(F.silu(self.gate_proj(y)) * self.up_proj(y))


class Model(nn.Module):
    """The whole network; `forward` gives logits."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embed_tokens = nn.Embedding(shape.vocab, shape.width)
        self.layers = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = Norm(shape)
        self.lm_head = nn.Linear(shape.width, shape.vocab, bias=False)
        size = shape.width // shape.heads
        steps = torch.arange(0, size, 2).float() / size
        angles = torch.outer(torch.arange(shape.context).float(), shape.theta**-steps)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)
        self.reset()

    def reset(self) -> None:
        """Initial weights: small outputs, wide embedding (a narrow one did not learn to copy)."""
        nn.init.normal_(self.embed_tokens.weight, std=0.7)
        nn.init.normal_(self.lm_head.weight, std=0.02)
        for name, weight in self.layers.named_parameters():
            if weight.dim() == 2:
                damp = 0.3 if "o_proj" in name or "down_proj" in name else 1.0
                nn.init.normal_(weight, std=damp / weight.shape[1] ** 0.5)

    def forward(self, ids: Tensor) -> Tensor:
        hidden: Tensor = self.lm_head(self.features(ids))
        return hidden

    def features(
        self, ids: Tensor, cache: list[list[Tensor]] | None = None, start: int = 0
    ) -> Tensor:
        """Hidden states before the head."""
        x = self.embed_tokens(ids)
        if torch.is_autocast_enabled("cpu"):
            x = x.bfloat16()
        end = start + ids.shape[1]
        cos, sin = self.cos[start:end], self.sin[start:end]
        for index, block in enumerate(self.layers):
            x = block(x, cos, sin, None if cache is None else cache[index])
        result: Tensor = self.norm(x)
        return result
