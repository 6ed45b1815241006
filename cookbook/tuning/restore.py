"""A checkpoint from a GGUF file, to go on training from the shipped weights.

python restore.py ../../reflectkit/models/weights/reflect.gguf runs/reflect/last.pt
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt
import torch
from export import gguf_name
from model import Model, Shape
from tokenizer import Tokenizer

Array = npt.NDArray[Any]


def halves(weight: Array, heads: int) -> Array:
    """Rotary halves one after the other again: the inverse of `export.interleave`."""
    rows = weight.shape[0]
    pairs = weight.reshape(heads, rows // heads // 2, 2, *weight.shape[1:])
    return np.ascontiguousarray(pairs.swapaxes(1, 2)).reshape(weight.shape)


def restored(path: Path) -> Model:
    """The model of a GGUF file."""
    tensors = {t.name: gguf.quants.dequantize(t.data, t.tensor_type)
               for t in gguf.GGUFReader(path).tensors}  # fmt: skip
    model = Model(Shape(len(Tokenizer())))
    state = {}
    for key, weight in model.state_dict().items():
        values = tensors[gguf_name(key)].reshape(weight.shape)
        if "q_proj" in key or "k_proj" in key:
            values = halves(values, model.shape.heads)
        state[key] = torch.from_numpy(np.array(values, dtype=np.float32))
    model.load_state_dict(state)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("gguf", type=Path)
    parser.add_argument("checkpoint", type=Path)
    options = parser.parse_args()
    model = restored(options.gguf)
    options.checkpoint.parent.mkdir(parents=True, exist_ok=True)
    state = {"shape": model.shape.to_dict(), "model": model.state_dict(), "optimizers": [],
             "tokens": 0, "steps": 0, "seconds": 0.0}  # fmt: skip
    torch.save(state, options.checkpoint)


if __name__ == "__main__":
    main()
