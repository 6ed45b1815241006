"""Write a checkpoint as GGUF (for llama.cpp) and as a Hugging Face folder (for transformers).

python export.py runs/reflect/last.pt --gguf ../../reflectkit/models/weights/reflect.gguf
python export.py runs/reflect/last.pt --folder runs/reflect/hf
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt
import torch
from model import Model, Shape
from safetensors.torch import save_file
from subjects import SUBJECTS, Subject
from tokenizer import CONTROL, Tokenizer
from train import load

Array = npt.NDArray[Any]

SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SHORT = {
    "q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v", "o_proj": "attn_output",
    "gate_proj": "ffn_gate", "up_proj": "ffn_up", "down_proj": "ffn_down",
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
}  # fmt: skip
ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
KINDS = {"f16": gguf.LlamaFileType.MOSTLY_F16, "f32": gguf.LlamaFileType.ALL_F32,
         "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0}  # fmt: skip


def gguf_name(name: str) -> str:
    """The tensor's name in llama.cpp."""
    whole = {"embed_tokens.weight": "token_embd.weight", "norm.weight": "output_norm.weight",
             "lm_head.weight": "output.weight"}  # fmt: skip
    if name in whole:
        return whole[name]
    _, index, part, _ = name.split(".")
    return f"blk.{index}.{SHORT[part]}.weight"


def interleave(weight: Array, heads: int) -> Array:
    """Rotary halves side by side, as llama.cpp wants them."""
    rows = weight.shape[0]
    halves = weight.reshape(heads, 2, rows // heads // 2, *weight.shape[1:])
    return halves.swapaxes(1, 2).reshape(weight.shape)


def add_shape(writer: gguf.GGUFWriter, shape: Shape, kind: str, name: str) -> None:
    writer.add_name(name)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads)
    writer.add_layer_norm_rms_eps(shape.epsilon)
    writer.add_rope_dimension_count(shape.width // shape.heads)
    writer.add_rope_freq_base(shape.theta)
    writer.add_vocab_size(shape.vocab)
    writer.add_file_type(KINDS[kind])


def dummy_merge(tokenizer: Tokenizer) -> str:
    """llama.cpp refuses a vocabulary without merges: two bytes that never meet in UTF-8."""
    first, second = tokenizer.tokens[254], tokenizer.tokens[255]
    assert first + second not in tokenizer.ids
    return f"{first} {second}"


def token_type(token: str, tags: tuple[str, ...]) -> gguf.TokenType:
    """Tags are user-defined, not special, so that they survive decoding."""
    if token in CONTROL:
        return gguf.TokenType.CONTROL
    return gguf.TokenType.USER_DEFINED if token in tags else gguf.TokenType.NORMAL


def add_tokenizer(writer: gguf.GGUFWriter, subject: Subject) -> None:
    tokenizer = subject.tokenizer
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("llama-bpe")
    writer.add_token_list(tokenizer.tokens)
    writer.add_token_types([token_type(t, tokenizer.tags) for t in tokenizer.tokens])
    writer.add_token_merges([dummy_merge(tokenizer)])
    ids = tokenizer.ids
    writer.add_bos_token_id(ids["<|begin_of_text|>"])
    writer.add_eos_token_id(ids["<|eot_id|>"])
    writer.add_eot_token_id(ids["<|eot_id|>"])
    writer.add_pad_token_id(ids["<|pad|>"])
    writer.add_add_bos_token(True)
    writer.add_chat_template(subject.template)


def add_tensor(writer: gguf.GGUFWriter, name: str, weight: Array, heads: int, kind: str) -> None:
    if "q_proj" in name or "k_proj" in name:
        weight = interleave(weight, heads)
    weight = np.ascontiguousarray(weight)
    if kind == "f16" and weight.ndim == 2:
        weight = weight.astype(np.float16)
    if kind == "q8_0" and weight.ndim == 2:
        small = gguf.quants.quantize(weight, gguf.GGMLQuantizationType.Q8_0)
        writer.add_tensor(gguf_name(name), small, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    else:
        writer.add_tensor(gguf_name(name), weight)


def write_gguf(
    model: Model, subject: Subject, path: Path, kind: str = "f16", name: str = "nano"
) -> None:
    """One file with weights, tokenizer and chat template."""
    writer = gguf.GGUFWriter(path, "llama")
    add_shape(writer, model.shape, kind, name)
    add_tokenizer(writer, subject)
    for key, weight in model.state_dict().items():
        add_tensor(writer, key, weight.float().numpy(), model.shape.heads, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def hf_name(name: str) -> str:
    """The tensor's name in transformers."""
    if name.startswith("layers."):
        _, index, part, _ = name.split(".")
        if "norm" in part:
            return f"model.{name}"
        group = "self_attn" if part in ATTENTION else "mlp"
        return f"model.layers.{index}.{group}.{part}.weight"
    return name if name.startswith("lm_head") else f"model.{name}"


def hf_config(shape: Shape, tokenizer: Tokenizer) -> dict[str, Any]:
    ids = tokenizer.ids
    return {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
        "hidden_size": shape.width, "intermediate_size": shape.hidden,
        "num_hidden_layers": shape.layers, "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.heads, "head_dim": shape.width // shape.heads,
        "max_position_embeddings": shape.context, "rms_norm_eps": shape.epsilon,
        "rope_theta": shape.theta, "vocab_size": shape.vocab, "tie_word_embeddings": False,
        "attention_bias": False, "mlp_bias": False, "torch_dtype": "float16",
        "bos_token_id": ids["<|begin_of_text|>"], "eos_token_id": ids["<|eot_id|>"],
        "pad_token_id": ids["<|pad|>"],
    }  # fmt: skip


def hf_tokenizer(tokenizer: Tokenizer) -> dict[str, Any]:
    """tokenizer.json: byte-level BPE that takes a whole word before it looks at merges."""
    marked = {t: tokenizer.ids[t] for t in CONTROL + tokenizer.tags}
    added = [
        {"id": i, "content": t, "single_word": False, "lstrip": False, "rstrip": False,
         "normalized": False, "special": t in CONTROL}
        for t, i in marked.items()
    ]  # fmt: skip
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
                  "use_regex": False}  # fmt: skip
    split = {"type": "Split", "pattern": {"Regex": SPLIT}, "behavior": "Isolated", "invert": False}
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
        "post_processor": None, "decoder": byte_level,
        "model": {
            "type": "BPE", "dropout": None, "unk_token": None, "ignore_merges": True,
            "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": False,
            "byte_fallback": False, "merges": [],
            "vocab": {t: i for i, t in enumerate(tokenizer.tokens) if t not in marked},
        },
    }  # fmt: skip


def write_folder(model: Model, subject: Subject, folder: Path) -> None:
    """config.json, tokenizer.json, tokenizer_config.json, generation_config.json, weights."""
    tokenizer = subject.tokenizer
    folder.mkdir(parents=True, exist_ok=True)
    ends = {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>", "pad_token": "<|pad|>"}
    config = hf_config(model.shape, tokenizer)
    pieces = {
        "config.json": config,
        "tokenizer.json": hf_tokenizer(tokenizer),
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast", "chat_template": subject.template, **ends,
            "model_max_length": model.shape.context, "clean_up_tokenization_spaces": False,
        },
        "generation_config.json": {
            "do_sample": False, "max_new_tokens": 400,
            **{k: config[k] for k in ("bos_token_id", "eos_token_id", "pad_token_id")},
        },
    }  # fmt: skip
    for name, value in pieces.items():
        (folder / name).write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n")
    weights = {hf_name(k): v.half().contiguous() for k, v in model.state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--gguf", type=Path)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--kind", choices=list(KINDS), default="f16")
    options = parser.parse_args()
    model, state = load(options.checkpoint)
    subject = SUBJECTS[state.get("subject", "reflecting")]()
    if options.gguf:
        write_gguf(model, subject, options.gguf, options.kind, options.gguf.stem)
    if options.folder:
        write_folder(model, subject, options.folder)


if __name__ == "__main__":
    with torch.no_grad():
        main()
