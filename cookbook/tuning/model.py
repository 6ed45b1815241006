"""A small Llama: RMSNorm, rotary positions, SwiGLU, untied embedding and head.

The weights have the names of a Hugging Face Llama checkpoint, so that export is a copy.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import kernels
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
        return kernels.norm(x, self.weight, self.epsilon)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions in the half-split layout of Hugging Face."""
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


@dataclass
class Places:
    """What depends on positions alone: rotary tables and the causal mask."""

    cos: Tensor
    sin: Tensor
    mask: Tensor


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

    def attention(self, x: Tensor, places: Places) -> Tensor:
        rows, length, _ = x.shape
        joined = torch.cat((self.q_proj.weight, self.k_proj.weight, self.v_proj.weight))
        parts = F.linear(x, joined.to(x.dtype)).view(rows, length, 3, self.heads, -1)
        q, k, v = parts.permute(2, 0, 3, 1, 4).flatten(1, 2)
        q, k = rotate(q, places.cos, places.sin), rotate(k, places.cos, places.sin)
        y = kernels.attend(q, k, v, places.mask).view(rows, self.heads, length, -1)
        return F.linear(y.transpose(1, 2).flatten(2), self.o_proj.weight.to(x.dtype))

    def forward(self, x: Tensor, places: Places) -> Tensor:
        x = x + self.attention(self.input_layernorm(x), places)
        y = self.post_attention_layernorm(x)
        joined = torch.cat((self.gate_proj.weight, self.up_proj.weight)).to(x.dtype)
        y = kernels.gate(F.linear(y, joined))
        return x + F.linear(y, self.down_proj.weight.to(x.dtype))


class Model(nn.Module):
    """The whole network; `forward` gives logits."""

    cos: Tensor
    sin: Tensor

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
        return self.logits(self.features(ids))

    def logits(self, hidden: Tensor) -> Tensor:
        """The head, on whichever positions are wanted."""
        return F.linear(hidden, self.lm_head.weight.to(hidden.dtype))

    def features(self, ids: Tensor, kind: torch.dtype = torch.float32) -> Tensor:
        """Hidden states before the head, computed in `kind` from the master weights."""
        length = ids.shape[1]
        mask = torch.full((length, length), -1e4, dtype=kind, device=ids.device).triu(1)
        places = Places(self.cos[:length].to(kind), self.sin[:length].to(kind), mask)
        x = self.embed_tokens(ids).to(kind)
        for block in self.layers:
            x = block(x, places)
        result: Tensor = self.norm(x)
        return result
