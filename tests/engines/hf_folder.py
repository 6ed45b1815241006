"""Turn an embedded GGUF file into a Hugging Face folder, so that other engines can serve it.

    python hf_folder.py model.gguf FOLDER

Run by the Python that has numpy and safetensors; of reflectkit it needs the header reader alone.
"""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from reflectkit.models.gguf import Header, read_header

SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}
NORMAL, CONTROL = 1, 3


def tensors(path: Path) -> dict[str, Any]:
    """Every tensor by its llama.cpp name, as float32. Knows F32, F16 and Q8_0."""
    data = path.read_bytes()
    found, at = {}, _after_values(data)
    for _ in range(struct.unpack_from("<Q", data, 8)[0]):
        size = struct.unpack_from("<Q", data, at)[0]
        name = data[at + 8 : at + 8 + size].decode()
        at += 8 + size
        rank = struct.unpack_from("<I", data, at)[0]
        shape = struct.unpack_from(f"<{rank}Q", data, at + 4)[::-1]
        kind, offset = struct.unpack_from("<IQ", data, at + 4 + 8 * rank)
        at += 16 + 8 * rank
        found[name] = (shape, kind, offset)
    start = -(-at // 32) * 32
    return {n: _values(data, s, k, start + o) for n, (s, k, o) in found.items()}


def _after_values(data: bytes) -> int:
    from reflectkit.models.gguf import _Cursor

    cursor = _Cursor(data, 24)  # type: ignore[arg-type]  # bytes are read as a map is
    for _ in range(struct.unpack_from("<Q", data, 16)[0]):
        cursor.string()
        cursor.value()
    return cursor.at


def _values(data: bytes, shape: tuple[int, ...], kind: int, at: int) -> Any:
    count = int(np.prod(shape))
    if kind == 8:  # blocks of a half-precision scale and 32 small whole numbers
        blocks = np.frombuffer(data, [("d", "<f2"), ("q", "i1", 32)], count // 32, at)
        return (blocks["d"][:, None].astype("f4") * blocks["q"]).reshape(shape)
    dtype = {0: "<f4", 1: "<f2"}[kind]
    return np.frombuffer(data, dtype, count, at).reshape(shape).astype("f4")


def halves(weight: Any, heads: int) -> Any:
    """llama.cpp keeps rotary pairs side by side, Hugging Face keeps them in two halves."""
    rows = weight.shape[0]
    pairs = weight.reshape(heads, rows // heads // 2, 2, weight.shape[1])
    return np.ascontiguousarray(pairs.swapaxes(1, 2).reshape(weight.shape))


def weights(path: Path, heads: int) -> dict[str, Any]:
    """The state of a Llama for transformers."""
    state = {}
    for name, weight in tensors(path).items():
        short = name.removesuffix(".weight")
        layer = ""
        if short.startswith("blk."):
            _, number, short = short.split(".")
            layer = f"model.layers.{number}."
        if short in ("attn_q", "attn_k"):
            weight = halves(weight, heads)
        state[f"{layer}{NAMES[short]}.weight"] = weight
    return state


def config(header: Header) -> dict[str, Any]:
    """config.json."""
    width, heads = header.number("llama.embedding_length"), heads_of(header)
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "hidden_size": width,
        "intermediate_size": header.number("llama.feed_forward_length"),
        "num_hidden_layers": header.number("llama.block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
        "head_dim": width // heads,
        "max_position_embeddings": header.context,
        "rms_norm_eps": header.get("llama.attention.layer_norm_rms_epsilon"),
        "rope_theta": header.get("llama.rope.freq_base") or 10_000.0,
        "vocab_size": len(header.array("tokenizer.ggml.tokens")),
        "tie_word_embeddings": False,
        "torch_dtype": "float32",
        **ends(header),
    }


def heads_of(header: Header) -> int:
    """Attention heads, as many for keys as for queries."""
    return header.number("llama.attention.head_count")


def ends(header: Header) -> dict[str, int]:
    """The ids of the tokens at both ends."""
    return {f"{n}_token_id": header.number(f"tokenizer.ggml.{n}_token_id") for n in ("bos", "eos")}


def tokenizer(header: Header) -> dict[str, Any]:
    """tokenizer.json: whole words where the vocabulary has them, bytes elsewhere."""
    tokens = header.array("tokenizer.ggml.tokens")
    kinds = header.array("tokenizer.ggml.token_type")
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    added = [
        {"id": i, "content": token, "special": kind == CONTROL, **plain}
        for i, (token, kind) in enumerate(zip(tokens, kinds, strict=True))
        if kind != NORMAL
    ]
    bytes_ = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    split = {"type": "Split", "pattern": {"Regex": SPLIT}, "behavior": "Isolated", "invert": False}
    return {
        "version": "1.0",
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [split, {**bytes_, "use_regex": False}],
        },
        "post_processor": None,
        "decoder": {**bytes_, "use_regex": True},
        "model": {
            "type": "BPE",
            "ignore_merges": True,
            "merges": [],
            "vocab": {
                token: i
                for i, (token, kind) in enumerate(zip(tokens, kinds, strict=True))
                if kind == NORMAL
            },
        },
    }


def write(path: Path, folder: Path) -> None:
    """All the files that ``transformers`` asks for."""
    header = read_header(path)
    tokens = header.array("tokenizer.ggml.tokens")
    names = {f"{n[:3]}_token": tokens[i] for n, i in ends(header).items()}
    folder.mkdir(parents=True, exist_ok=True)
    pieces = {
        "config.json": config(header),
        "tokenizer.json": tokenizer(header),
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "chat_template": header.chat_template,
            "clean_up_tokenization_spaces": False,
            "model_max_length": header.context,
            **names,
        },
        "generation_config.json": {"do_sample": False, "max_new_tokens": 400, **ends(header)},
    }
    for name, value in pieces.items():
        (folder / name).write_text(json.dumps(value, ensure_ascii=False), "utf-8")
    save_file(weights(path, heads_of(header)), folder / "model.safetensors", {"format": "pt"})


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]))
