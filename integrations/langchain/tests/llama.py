"""llama.cpp's own HTTP server, with an embedded model; with eyes and ears where they are wanted.

No model that sees or hears is small enough to be shipped, so encoders of random weights are made
here. The server then takes pictures and sounds as it does with any model: it decodes and encodes
them, and puts what comes of it into the prompt. Only sense there is none in it.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from reflectkit.backends.nano import embedded_models
from reflectkit.models.gguf import read_header

__all__ = ["serving", "write_senses"]

_WIDTH: Final = 32
_HIDDEN: Final = 64
_PATCH: Final = 14
_MELS: Final = 80
#: positions of a sound of 30 seconds, which is what all sounds are made into
_FRAMES: Final = 1500
_COMMON: Final = {
    "embedding_length": _WIDTH,
    "feed_forward_length": _HIDDEN,
    "block_count": 1,
    "attention.head_count": 2,
}


@contextmanager
def serving(
    model: str, senses: Path | None = None, context: int = 4096
) -> Iterator[dict[str, Any]]:
    """A server of ``model`` on the loopback interface: what a client needs to ask it."""
    xllamacpp = pytest.importorskip("xllamacpp", reason="needs the extra [local]")
    params, key = xllamacpp.CommonParams(), secrets.token_hex(16)
    params.model.path = str(embedded_models()[model])
    params.model_alias = {model}
    params.hostnames, params.port, params.api_keys = ["127.0.0.1"], 0, [key]
    params.verbosity, params.n_ctx, params.n_parallel = 0, context, 2
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.use_jinja = True
    if senses is not None:
        params.mmproj.path = str(senses)
    server = xllamacpp.Server(params)
    server.handle_metrics()  # answered once its loop runs
    yield {"base_url": f"{server.listening_address}/v1", "model": model, "api_key": key}
    del server


def write_senses(path: Path, model: str) -> Path:
    """Encoders of pictures and sounds, as a file for llama.cpp to load beside ``model``."""
    import gguf

    out = read_header(embedded_models()[model]).number("llama.embedding_length")
    writer = gguf.GGUFWriter(path, "clip")
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_bool("clip.use_gelu", True)
    _describe(writer, "vision", "mlp", out, image_size=2 * _PATCH, patch_size=_PATCH)
    writer.add_array("clip.vision.image_mean", [0.5] * 3)
    writer.add_array("clip.vision.image_std", [0.5] * 3)
    _describe(writer, "audio", "qwen2a", out, num_mel_bins=_MELS)
    for name, shape in {**_eyes(out), **_ears(out)}.items():
        writer.add_tensor(name, _weights(name, shape))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _describe(writer: Any, sense: str, projector: str, out: int, **numbers: int) -> None:
    writer.add_bool(f"clip.has_{sense}_encoder", True)
    writer.add_string(f"clip.{sense}.projector_type", projector)
    writer.add_float32(f"clip.{sense}.attention.layer_norm_epsilon", 1e-5)
    for name, value in {**_COMMON, **numbers, "projection_dim": out}.items():
        writer.add_uint32(f"clip.{sense}.{name}", value)


def _eyes(out: int) -> dict[str, tuple[int, ...]]:
    """One layer of CLIP over four patches, and LLaVA's projector."""
    return {
        "v.patch_embd.weight": (_WIDTH, 3, _PATCH, _PATCH),
        "v.class_embd": (_WIDTH,),
        "v.position_embd.weight": (2 * 2 + 1, _WIDTH),
        **_both("v.pre_ln", _WIDTH),
        **_layer("v", keys_have_bias=True),
        **_both("mm.0", out, _WIDTH),
        **_both("mm.2", out, out),
    }


def _ears(out: int) -> dict[str, tuple[int, ...]]:
    """One layer of Whisper, whose keys have no bias, and Qwen2-Audio's projector."""
    return {
        "a.conv1d.1.weight": (_WIDTH, _MELS, 3),
        "a.conv1d.1.bias": (_WIDTH, 1),
        "a.conv1d.2.weight": (_WIDTH, _WIDTH, 3),
        "a.conv1d.2.bias": (_WIDTH, 1),
        "a.position_embd.weight": (_FRAMES, _WIDTH),
        **_both("a.post_ln", _WIDTH),
        **_layer("a", keys_have_bias=False),
        **_both("mm.a.fc", out, _WIDTH),
    }


def _layer(sense: str, *, keys_have_bias: bool) -> dict[str, tuple[int, ...]]:
    head = f"{sense}.blk.0"
    attention = {n: _both(f"{head}.attn_{n}", _WIDTH, _WIDTH) for n in ("q", "k", "v", "out")}
    if not keys_have_bias:
        del attention["k"][f"{head}.attn_k.bias"]
    return {
        **{name: shape for both in attention.values() for name, shape in both.items()},
        **_both(f"{head}.ln1", _WIDTH),
        **_both(f"{head}.ln2", _WIDTH),
        **_both(f"{head}.ffn_up", _HIDDEN, _WIDTH),
        **_both(f"{head}.ffn_down", _WIDTH, _HIDDEN),
    }


def _both(name: str, *shape: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def _weights(name: str, shape: tuple[int, ...]) -> Any:
    import numpy as np

    if ".ln" in name or "_ln" in name:
        return np.full(shape, 1.0 if name.endswith("weight") else 0.0, np.float32)
    seed = np.random.default_rng(len(name))
    return (0.05 * seed.standard_normal(shape)).astype(np.float32)
