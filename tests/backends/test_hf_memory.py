"""Memory of a model from its configuration: equal to what is known of real ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from drawn import REFLECTION_70B
from reflectkit.backends.transformers import memory
from reflectkit.errors import ConfigurationError

LLAMA_8B = {
    **REFLECTION_70B,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "vocab_size": 128256,
}


@pytest.mark.parametrize(
    ("dtype", "gigabytes"),
    [("float32", 282), ("bfloat16", 141), ("float16", 141), ("float8", 73), ("4bit", 43)],
)
def test_reflection_70b(dtype: str, gigabytes: int) -> None:
    """The sizes of its published files."""
    assert round(memory(REFLECTION_70B, dtype=dtype).weights / 1e9) == gigabytes


def test_the_cache_of_reflection_70b() -> None:
    assert memory(REFLECTION_70B).per_token == 320 * 1024
    assert memory(REFLECTION_70B, context=8192).cache == 2.5 * 2**30
    assert memory(REFLECTION_70B, context=131072).cache == 40 * 2**30
    eight = memory(REFLECTION_70B, context=1024, batch=8)
    assert eight.cache == memory(REFLECTION_70B, context=8192).cache
    assert eight.total == eight.weights + eight.cache
    assert memory(REFLECTION_70B, cache_dtype="float8").per_token == 160 * 1024


def test_llama_8b_has_eight_billion() -> None:
    """8,030,261,248 parameters, as its card says."""
    assert memory(LLAMA_8B).weights == 2 * 8_030_261_248


def test_a_folder_and_tied_embeddings(tmp_path: Path) -> None:
    tied = {**LLAMA_8B, "tie_word_embeddings": True, "head_dim": 128}
    (tmp_path / "config.json").write_text(json.dumps(tied))
    assert memory(LLAMA_8B).weights - memory(tmp_path).weights == 2 * 4096 * 128256


@pytest.mark.parametrize(
    ("config", "given", "words"),
    [
        (REFLECTION_70B, {"dtype": "float7"}, "no type 'float7'.*Known: float32"),
        (REFLECTION_70B, {"cache_dtype": "x"}, "no type 'x'"),
        ({**LLAMA_8B, "num_local_experts": 8}, {}, "num_local_experts"),
        ({"n_embd": 64}, {}, "no hidden_size"),
        ("nowhere", {}, r"no config\.json"),
    ],
)
def test_what_is_not_known(config: Any, given: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        memory(config, **given)
