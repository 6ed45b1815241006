"""The profiles of known models, as data, and ``profile_for``.

First match wins: the narrow rows of a family stand before its wide ones. What a row says comes
from model cards, published configurations and chat templates; where publishers changed a template
under one name, the row holds its latest form. ``prefilled`` presumes that thinking is switched on
and that the server did not take the reasoning out of the text: the request that was really sent
knows better.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from ..protocol.prompts import CARD, SUFFIX
from .profile import Profile, first_match

__all__ = ["GENERIC", "PROFILES", "profile_for"]

#: vLLM and its kin: keep tags that are special tokens, and put no blanks around them.
_KEEP_TAGS: Mapping[str, Any] = MappingProxyType(
    {"skip_special_tokens": False, "spaces_between_special_tokens": False}
)

_STRIPS = (
    "The six tags are special tokens: a server that skips special tokens when it decodes sends "
    "text without any tag."
)
_SWAPPED = "Different weights were served under this name at different times."
_EIGHT_K = "Served with 8,192 tokens of context, whatever the listing said."

#: What an unknown model gets: nothing is presumed, and the protocol is prompted.
GENERIC = Profile(name="generic")

# -- Reflection 70B: one family, many uploads ---------------------------------------------------

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
    extra=_KEEP_TAGS,
    faults=(_STRIPS,),
    recover=True,
)

_REFLECTION_FAMILY = (
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
        extra=MappingProxyType({}),
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
        extra=MappingProxyType({}),
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
        extra=MappingProxyType({}),
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
        extra=MappingProxyType({}),
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
        extra=MappingProxyType({}),
        tags="plain",
        faults=("Made from one of the first uploads, whose quality was disputed.", _SWAPPED),
    ),
    replace(_REFLECTION, matches=("*reflection*llama*70b*", "*reflection-70b*")),
)

# -- The embedded models ------------------------------------------------------------------------

_NANO_THINK = "Think inside <thinking> tags, then answer inside <output> tags."
_NANO_REFLECT = (
    "Think inside <thinking> tags, check each step inside <reflection> tags, "
    "then answer inside <output> tags."
)

#: They know a small vocabulary: a longer system text would cost them a token per letter. Both
#: give a bare answer where there is no system text.
_NANO = Profile(
    name="nano",
    dialect="reflection",
    prompted=_NANO_REFLECT,
    temperature=0.0,
    max_tokens=400,
    stop=("<|eot_id|>",),
    context=1024,
    tags="special",
)

_EMBEDDED = (
    replace(
        _NANO, name="nano-reflect", matches=("*nano-reflect*",), trained=True, system=_NANO_REFLECT
    ),
    replace(_NANO, name="nano-base", matches=("*nano-base*",), system=_NANO_THINK),
)

# -- Open reasoning models ----------------------------------------------------------------------


def _thinks(name: str, *matches: str, **facts: Any) -> Profile:
    """A model that learnt to think in ``<think>`` tags unless ``facts`` say otherwise."""
    return replace(
        Profile(name=name, matches=matches, trained=True, dialect="think"),
        **facts,
    )


def _answers(name: str, *matches: str, **facts: Any) -> Profile:
    """A model that never learnt to think aloud: it is prompted."""
    return replace(Profile(name=name, matches=matches, tags="none"), **facts)


_HYBRID = "Thinking can be switched off per request; then the answer has no thinking section."

_DEEPSEEK = (
    _thinks(
        "deepseek-r1-0528",
        "*deepseek-r1-0528*",
        temperature=0.6,
        top_p=0.95,
        context=131072,
    ),
    _thinks(
        "deepseek-r1-distill",
        "*deepseek-r1-distill*",
        "*r1-distill*",
        prefilled=True,
        temperature=0.6,
        top_p=0.95,
        context=131072,
        faults=("Early copies of its template do not open the thinking section in the prompt.",),
    ),
    _thinks(
        "deepseek-r1",
        "*deepseek-r1*",
        "*deepseek-reasoner*",
        prefilled=True,
        temperature=0.6,
        top_p=0.95,
        context=131072,
    ),
    _thinks("deepseek-v4", "*deepseek-v4*", faults=(_HYBRID, "Off, it may still begin </think>.")),
    _thinks(
        "deepseek-v3-hybrid",
        "*deepseek-v3.1*",
        "*deepseek-v3.2*",
        context=131072,
        faults=(_HYBRID, "Off by default."),
    ),
    _answers("deepseek-v3", "*deepseek-v3*", "*deepseek-chat*", context=131072),
)

_QWEN = (
    _answers(
        "qwq-preview",
        "*qwq-32b-preview*",
        context=32768,
        faults=("Thinks aloud without any mark around it.",),
    ),
    _thinks("qwq", "*qwq*", prefilled=True, temperature=0.6, top_p=0.95, context=131072),
    _thinks(
        "qwen3-thinking",
        "*qwen3*thinking*",
        prefilled=True,
        temperature=0.6,
        top_p=0.95,
        context=262144,
    ),
    _answers("qwen3-coder", "*qwen3*coder*", temperature=0.7, top_p=0.8, context=262144),
    _answers("qwen3-instruct", "*qwen3*instruct*", temperature=0.7, top_p=0.8, context=262144),
    _thinks(
        "qwen3.5",
        "*qwen3.5*",
        "*qwen3.6*",
        "*qwen3.7*",
        "*qwen3.8*",
        prefilled=True,
        context=262144,
        faults=(_HYBRID,),
    ),
    _thinks(
        "qwen3",
        "*qwen3*",
        temperature=0.6,
        top_p=0.95,
        context=32768,
        faults=(_HYBRID, "Greedy decoding makes it repeat itself."),
    ),
)

_MISTRAL = (
    _thinks(
        "magistral-2506",
        "*magistral*2506*",
        temperature=0.7,
        top_p=0.95,
        context=40960,
        faults=("The first release thinks in <think> tags; later ones in [THINK] control tokens.",),
    ),
    _thinks(
        "magistral",
        "*magistral*",
        "*ministral*reasoning*",
        "*ministral-3*thinking*",
        dialect="magistral",
        temperature=0.7,
        top_p=0.95,
        context=131072,
        tags="special",
        extra=_KEEP_TAGS,
        faults=(
            "Its control tokens vanish under a default decode; the vendor's API sends chunks.",
        ),
    ),
)

_OTHERS = (
    _thinks(
        "kimi-vl",
        "*kimi-vl*thinking*",
        dialect="kimi",
        temperature=0.8,
        context=131072,
    ),
    _thinks("kimi-k2.5", "*kimi-k2.5*", "*kimi-k3*", prefilled=True, context=262144),
    _thinks("kimi-k2-thinking", "*kimi-k2-thinking*", temperature=1.0, context=262144),
    _answers("kimi-k2", "*kimi-k2*", temperature=0.6, context=131072),
    _thinks(
        "seed-oss",
        "*seed-oss*",
        dialect="seed",
        temperature=1.1,
        top_p=0.95,
        context=524288,
        faults=("Notes on its thinking budget stay inside the thinking text.",),
    ),
    _thinks(
        "minimax-m3",
        "*minimax-m3*",
        dialect="minimax_m3",
        faults=("After a turn without thinking, an answer may begin with a stray closing tag.",),
    ),
    _thinks(
        "minimax-m2",
        "*minimax-m2*",
        prefilled=True,
        temperature=1.0,
        top_p=0.95,
        context=196608,
    ),
    _thinks("minimax-m1", "*minimax-m1*", temperature=1.0, top_p=0.95, context=1000000),
    _thinks(
        "hunyuan",
        "*hunyuan-a13b*",
        "*hunyuan*thinking*",
        "*hunyuan*instruct*",
        dialect="hunyuan",
        temperature=0.7,
        top_p=0.8,
        context=262144,
    ),
    _thinks(
        "granite-3.2",
        "*granite-3.2*",
        "*granite3.2*",
        dialect="granite",
        context=131072,
        faults=("Thinks only when its template is given thinking=true.",),
    ),
    _thinks(
        "granite-3.3",
        "*granite-3.3*",
        "*granite3.3*",
        context=131072,
        faults=(
            "Thinks only when its template is given thinking=true; the answer then stands in "
            "<response> tags, which stay in the text.",
        ),
    ),
    _thinks(
        "gemma4",
        "*gemma-4*",
        "*gemma4*",
        dialect="gemma4",
        temperature=1.0,
        top_p=0.95,
        tags="special",
        extra=_KEEP_TAGS,
        faults=(
            _HYBRID,
            "It may open an empty thought channel.",
            "Special tokens mark the channel.",
        ),
    ),
    _thinks(
        "gpt-oss",
        "*gpt-oss*",
        dialect="harmony",
        temperature=1.0,
        top_p=1.0,
        context=131072,
        tags="special",
        extra=_KEEP_TAGS,
        faults=("Most servers take its channels apart and send the reasoning in a field.",),
    ),
    _thinks("glm-z1", "*glm-z1*", prefilled=True, temperature=0.6, top_p=0.95, context=32768),
    _thinks("glm-4.1v-thinking", "*glm-4.1v*thinking*", dialect="hunyuan", context=65536),
    _thinks(
        "glm-4.7",
        "*glm-4.7*",
        "*glm-5*",
        prefilled=True,
        temperature=1.0,
        top_p=0.95,
        context=202752,
        faults=(_HYBRID, "Off, an answer may begin with a bare closing tag."),
    ),
    _thinks(
        "glm-4.5",
        "*glm-4.5*",
        "*glm-4.6*",
        temperature=0.6,
        top_p=0.95,
        context=131072,
        faults=(_HYBRID,),
    ),
    _thinks(
        "nemotron-3",
        "*nemotron-3-nano*",
        "*nemotron-3-super*",
        "*nemotron-3-ultra*",
        prefilled=True,
        temperature=1.0,
        top_p=1.0,
        context=262144,
        faults=(_HYBRID,),
    ),
    _thinks(
        "nemotron-nano-v2",
        "*nemotron-nano*v2*",
        prefilled=True,
        temperature=0.6,
        top_p=0.95,
        context=131072,
        faults=(_HYBRID,),
    ),
    _thinks(
        "llama-nemotron",
        "*nemotron-super*",
        "*nemotron-ultra*",
        "*nemotron-nano*",
        system="detailed thinking on",
        temperature=0.6,
        top_p=0.95,
        context=131072,
        faults=("Thinks only if its system text asks for it.",),
    ),
    _thinks(
        "phi-4-reasoning", "*phi-4*reasoning*", "*phi4*reasoning*", temperature=0.8, top_p=0.95
    ),
    _thinks("smollm3", "*smollm3*", temperature=0.6, top_p=0.95, context=65536, faults=(_HYBRID,)),
    _thinks("ernie-thinking", "*ernie*thinking*", prefilled=True, context=131072),
)

#: Every known model; the first match wins.
PROFILES: tuple[Profile, ...] = (
    *_EMBEDDED,
    *_REFLECTION_FAMILY,
    *_DEEPSEEK,
    *_QWEN,
    *_MISTRAL,
    *_OTHERS,
)


def profile_for(model: str, profiles: Iterable[Profile] = PROFILES) -> Profile:
    """What is known about ``model`` (an id, a route, a path or a file name).

    An unknown or empty name gets ``GENERIC``. Put rows of your own before the known ones:
    ``profile_for(model, [mine, *PROFILES])``.
    """
    return first_match(model, profiles) or GENERIC
