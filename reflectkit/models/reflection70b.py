"""Reflection 70B: one family, many uploads, as data; the narrow rows stand first."""

from __future__ import annotations

from dataclasses import replace

from ..protocol.prompts import CARD, SUFFIX
from .profile import KEEP_TAGS, Profile

__all__ = ["REFLECTION_70B"]

_STRIPS = (
    "The six tags are special tokens: a server that skips special tokens when it decodes sends "
    "text without any tag."
)
_SWAPPED = "Different weights were served under this name at different times."
_EIGHT_K = "Served with 8,192 tokens of context, whatever the listing said."

_TAGS = ("<thinking>", "</thinking>", "<output>", "</output>", "<reflection>", "</reflection>")
#: They were added behind Llama 3.1's 128,256 tokens, in this order.
_TAG_IDS = {tag: 128_256 + i for i, tag in enumerate(_TAGS)}
#: A protocol constant, from the published training code: no empty line after the system header.
_LAYOUT = (
    "<|start_header_id|>system<|end_header_id|>{system}<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\n{prompt}<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n"
)

_REFLECTION = Profile(
    name="reflection-70b",
    trained=True,
    dialect="reflection",
    system=CARD.text,
    suffix=SUFFIX,
    temperature=0.7,
    top_p=0.95,
    max_tokens=4096,
    stop=("<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"),
    stop_ids=(128001, 128008, 128009),
    context=8192,
    tags="special",
    tag_ids=_TAG_IDS,
    vocabulary=128_262,
    layout=_LAYOUT,
    extra=KEEP_TAGS,
    faults=(_STRIPS,),
    recover=True,
)

REFLECTION_70B = (
    replace(
        _REFLECTION,
        name="reflection-70b-glaive",
        matches=("glaiveai/reflection-llama-3.1-70b*", "sahil2801/test-reflect*"),
    ),
    replace(
        _REFLECTION,
        name="reflection-70b-first-upload",
        matches=("mattshumer/reflection-70b", "mattshumer/reflection-70b@*"),
        stop_ids=(128009,),
        faults=(
            _STRIPS,
            "As a repository this name is the first upload (5 September 2024): six tokens added, "
            "but 128,256 embedding rows, which vLLM refuses to load. As a route of an API "
            "aggregator it stood for several models in turn.",
            _EIGHT_K,
        ),
    ),
    replace(
        _REFLECTION,
        name="reflection-70b-free-route",
        matches=("mattshumer/reflection-70b-free",),
        extra={},
        faults=(_STRIPS, _SWAPPED, _EIGHT_K),
    ),
    replace(
        _REFLECTION,
        name="reflection-70b-draft",
        matches=(
            "*reflection-70b-draft*",
            "*reflection-draft2*",
            "mattshumer/*draft*",
            "*reflection-16-test*",
            "*reflection-70b-v5*",
        ),
        faults=(_STRIPS, "A draft that was never announced as a release."),
    ),
    replace(
        _REFLECTION,
        name="reflection-70b-ep2",
        matches=("*reflection*70b*ep2-working*", "*ep2-working*"),
    ),
    replace(_REFLECTION, name="reflection-70b-ref-e3", matches=("*ref-70-e3*",)),
    replace(
        _REFLECTION,
        name="reflection-70b-leafspark",
        matches=("leafspark/*reflection*70b*", "xelotx/*reflection*70b*"),
        extra={},
        faults=(
            _STRIPS,
            "The six embedding rows of the tags are filled with a noisy mean: they were never "
            "trained.",
        ),
    ),
    replace(
        _REFLECTION,
        name="reflection-70b-unsloth",
        matches=("unsloth/*reflection*70b*",),
        context=131072,
    ),
    replace(
        _REFLECTION,
        name="reflection-70b-gguf",
        matches=("*reflection*70b*gguf*", "*reflection*70b*imat*"),
        extra={},
        faults=(
            _STRIPS,
            "llama.cpp's server drops the tags unless it is told to render special tokens; some "
            "conversions were made from the first uploads.",
        ),
    ),
    replace(
        _REFLECTION,
        name="reflection-70b-mlx",
        matches=("mlx-community/*reflection*70b*", "*reflection*70b*mlx*"),
        extra={},
    ),
    replace(
        _REFLECTION,
        name="reflection-70b-quantised",
        matches=(
            "*reflection*70b*fp8*",
            "*reflection*70b*exl2*",
            "*reflection*70b*nf4*",
            "*reflection*70b*bnb*",
            "*reflection*70b*awq*",
            "*reflection*70b*gptq*",
        ),
        faults=(_STRIPS, "A quantisation: which upload it was made from is not in its name."),
    ),
    replace(
        _REFLECTION,
        name="reflection-70b-reupload",
        matches=("*mattshumer/reflection-llama-3.1-70b*",),
        stop_ids=(128009,),
        faults=(
            _STRIPS,
            "The second upload (6 September 2024) has the settings of Llama 3 (8,192 positions), "
            "was saved as float16, and scored below Llama 3.1 70B; its author called it faulty.",
            _SWAPPED,
        ),
    ),
    replace(
        _REFLECTION,
        name="reflection-70b-ollama",
        matches=("reflection", "reflection-70b*", "reflection-latest", "library/reflection*"),
        extra={},
        tags="plain",
        faults=("Made from one of the first uploads, whose quality was disputed.", _SWAPPED),
    ),
    replace(_REFLECTION, matches=("*reflection*llama*70b*", "*reflection-70b*")),
)
