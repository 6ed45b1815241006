"""The table of known models: every published name finds its row, and no row is out of reach."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflectkit.models import GENERIC, PROFILES, Profile, profile_for
from reflectkit.models.profile import spellings
from reflectkit.protocol.prompts import CARD, SUFFIX

REFLECTION_70B = {
    "mattshumer/Reflection-70B": "reflection-70b-first-upload",
    "mattshumer/Reflection-Llama-3.1-70B": "reflection-70b-reupload",
    "mattshumer/Reflection-Llama-3.1-70B-ep2-working": "reflection-70b-ep2",
    "mattshumer/ref_70_e3": "reflection-70b-ref-e3",
    "mattshumer/Reflection-70B-Draft": "reflection-70b-draft",
    "mattshumer/Reflection-70B-draft2": "reflection-70b-draft",
    "mattshumer/Reflection-16-Test": "reflection-70b-draft",
    "sahil2801/reflection_70b_v5": "reflection-70b-draft",
    "sahil2801/test-reflect": "reflection-70b-glaive",
    "glaiveai/Reflection-Llama-3.1-70B": "reflection-70b-glaive",
    "unsloth/Reflection-Llama-3.1-70B": "reflection-70b-unsloth",
    "unsloth/Reflection-Llama-3.1-70B-bnb-4bit": "reflection-70b-unsloth",
    "bartowski/Reflection-Llama-3.1-70B-GGUF": "reflection-70b-gguf",
    "hf.co/bartowski/Reflection-Llama-3.1-70B-GGUF:Q4_K_M": "reflection-70b-gguf",
    "legraphista/Reflection-Llama-3.1-70B-IMat-GGUF": "reflection-70b-gguf",
    "leafspark/Reflection-Llama-3.1-70B-GGUF": "reflection-70b-leafspark",
    "XelotX/Reflection-Llama-3.1-70B-v1-XelotX-Original": "reflection-70b-leafspark",
    "./Reflection-Llama-3.1-70B-Q4_K_M.gguf": "reflection-70b-gguf",
    "C:\\models\\Reflection-Llama-3.1-70B.Q8_0.gguf": "reflection-70b-gguf",
    "mlx-community/Reflection-Llama-3.1-70B-4bit": "reflection-70b-mlx",
    "Model-SafeTensors/Reflection-Llama-3.1-70B-FP8-Dynamic": "reflection-70b-quantised",
    "LoneStriker/Reflection-Llama-3.1-70B-4.0bpw-h6-exl2": "reflection-70b-quantised",
    "bullerwins/Reflection-Llama-3.1-70B-bf16": "reflection-70b",
    "reflection": "reflection-70b-ollama",
    "reflection:latest": "reflection-70b-ollama",
    "reflection:70b": "reflection-70b-ollama",
    "reflection:70b-q4_0": "reflection-70b-ollama",
    "mattshumer/reflection-70b:free": "reflection-70b-free-route",
}

OTHERS = {
    "deepseek-ai/DeepSeek-R1": ("deepseek-r1", "think", True),
    "deepseek/deepseek-r1:free": ("deepseek-r1", "think", True),
    "deepseek-r1:8b": ("deepseek-r1", "think", True),
    "accounts/fireworks/models/deepseek-r1-0528": ("deepseek-r1-0528", "think", False),
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-32B": ("deepseek-r1-distill", "think", True),
    "deepseek-ai/DeepSeek-V3-0324": ("deepseek-v3", "reflection", False),
    "deepseek-ai/DeepSeek-V3.1": ("deepseek-v3-hybrid", "think", False),
    "Qwen/QwQ-32B": ("qwq", "think", True),
    "Qwen/QwQ-32B-Preview": ("qwq-preview", "reflection", False),
    "Qwen/Qwen3-8B": ("qwen3", "think", False),
    "qwen3:8b": ("qwen3", "think", False),
    "Qwen/Qwen3-30B-A3B-Thinking-2507": ("qwen3-thinking", "think", True),
    "Qwen3-4B-Thinking-2507-Q4_K_M.gguf": ("qwen3-thinking", "think", True),
    "Qwen/Qwen3-30B-A3B-Instruct-2507": ("qwen3-instruct", "reflection", False),
    "Qwen/Qwen3-VL-8B-Thinking": ("qwen3-thinking", "think", True),
    "Qwen/Qwen3-Coder-30B-A3B-Instruct": ("qwen3-coder", "reflection", False),
    "Qwen/Qwen3.5-35B-A3B": ("qwen3.5", "think", True),
    "mistralai/Magistral-Small-2506": ("magistral-2506", "think", False),
    "mistralai/Magistral-Small-2509": ("magistral", "magistral", False),
    "moonshotai/Kimi-VL-A3B-Thinking-2506": ("kimi-vl", "kimi", False),
    "moonshotai/Kimi-K2-Instruct": ("kimi-k2", "reflection", False),
    "moonshotai/Kimi-K2-Thinking": ("kimi-k2-thinking", "think", False),
    "moonshotai/Kimi-K2.5": ("kimi-k2.5", "think", True),
    "ByteDance-Seed/Seed-OSS-36B-Instruct": ("seed-oss", "seed", False),
    "MiniMaxAI/MiniMax-M1-80k": ("minimax-m1", "think", False),
    "MiniMaxAI/MiniMax-M2": ("minimax-m2", "think", True),
    "MiniMaxAI/MiniMax-M3": ("minimax-m3", "minimax_m3", False),
    "tencent/Hunyuan-A13B-Instruct": ("hunyuan", "hunyuan", False),
    "ibm-granite/granite-3.2-8b-instruct": ("granite-3.2", "granite", False),
    "google/gemma-4-31b-it": ("gemma4", "gemma4", False),
    "gpt-oss:20b": ("gpt-oss", "harmony", False),
    "openai/gpt-oss-120b": ("gpt-oss", "harmony", False),
    "zai-org/GLM-4.5-Air": ("glm-4.5", "think", False),
    "zai-org/GLM-4.7-Flash": ("glm-4.7", "think", True),
    "nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16": ("nemotron-3", "think", True),
    "nvidia/Llama-3_3-Nemotron-Super-49B-v1": ("llama-nemotron", "think", False),
    "nvidia/NVIDIA-Nemotron-Nano-9B-v2": ("nemotron-nano-v2", "think", True),
    "nano-reflect": ("nano-reflect", "reflection", False),
    "nano-base": ("nano-base", "reflection", False),
    "nano-tools": ("nano-tools", "reflection", False),
    "some/dir/nano-reflect.gguf": ("nano-reflect", "reflection", False),
}

UNKNOWN = [
    "",
    " ",
    "gpt-5.2",
    "meta-llama/Llama-3.1-70B-Instruct",
    "claude-sonnet-4",
    "my-own-reflections-on-life",
    "reflective-llama-8b",
    "/",
    "*",
    "[",
]


@pytest.mark.parametrize(("model", "row"), REFLECTION_70B.items())
def test_every_upload_of_reflection_70b_is_told_apart(model: str, row: str) -> None:
    profile = profile_for(model)
    assert profile.name == row
    assert profile.trained
    assert profile.recover
    assert profile.dialect == "reflection"
    assert (profile.system, profile.suffix) == (CARD.text, SUFFIX)
    assert (profile.temperature, profile.top_p) == (0.7, 0.95)


@pytest.mark.parametrize(("model", "expected"), OTHERS.items())
def test_other_models(model: str, expected: tuple[str, str, bool]) -> None:
    profile = profile_for(model)
    assert (profile.name, profile.dialect, profile.prefilled) == expected


@pytest.mark.parametrize("model", UNKNOWN)
def test_an_unknown_name_gets_the_generic_profile(model: str) -> None:
    assert profile_for(model) is GENERIC
    assert not GENERIC.trained


@given(st.text())
def test_every_string_has_a_profile(model: str) -> None:
    assert isinstance(profile_for(model), Profile)


@pytest.mark.parametrize("model", [*REFLECTION_70B, *OTHERS])
def test_case_and_separators_do_not_matter(model: str) -> None:
    expected = profile_for(model)
    assert profile_for(model.upper()) is expected
    assert profile_for(model.replace("-", "_").replace(":", "_")) is expected
    assert profile_for(f"  {model}  ") is expected


def test_every_row_can_be_reached() -> None:
    reached = {profile_for(m).name for m in [*REFLECTION_70B, *OTHERS]}
    tables = [p for p in PROFILES if p.name not in reached]
    for profile in tables:
        sample = profile.matches[0].replace("*", "")
        assert profile_for(sample).name == profile.name


def test_names_are_unique_and_patterns_are_spelt_as_they_are_looked_up() -> None:
    names = [p.name for p in PROFILES]
    assert len(set(names)) == len(names)
    for profile in PROFILES:
        assert profile.matches
        for pattern in profile.matches:
            assert pattern in spellings(pattern)


def test_only_reflection_70b_is_read_by_layout() -> None:
    """Without the tags of a model that was tuned for this layout, guessing would be harm."""
    for profile in PROFILES:
        assert profile.recover == profile.name.startswith("reflection-70b")


def test_special_tags_are_asked_for_on_the_wire() -> None:
    profile = profile_for("glaiveai/Reflection-Llama-3.1-70B")
    assert profile.extra == {
        "skip_special_tokens": False,
        "spaces_between_special_tokens": False,
    }


def test_a_row_of_ones_own_goes_first() -> None:
    mine = Profile(name="mine", matches=("*qwen3-8b*",), dialect="think", prefilled=True)
    assert profile_for("Qwen/Qwen3-8B", [mine, *PROFILES]) is mine
    assert profile_for("Qwen/Qwen3-8B").name == "qwen3"


def test_profiles_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        GENERIC.name = "other"  # type: ignore[misc]  # wrong on purpose


@pytest.mark.parametrize("profile", [GENERIC, *PROFILES], ids=lambda p: p.name)
def test_profiles_can_be_copied_and_sent_to_another_process(profile: Profile) -> None:
    assert pickle.loads(pickle.dumps(profile)) == profile
    assert copy.deepcopy(profile) == profile


def test_the_faults_of_a_known_bad_upload_are_told() -> None:
    assert any("faulty" in f for f in profile_for("mattshumer/Reflection-Llama-3.1-70B").faults)
    assert not GENERIC.faults
