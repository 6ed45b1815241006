"""Open models with a way of their own to think, or none; the narrow rows of a family stand first.

What a row says comes from model cards, published configurations and chat templates; where a
publisher changed a template under one name, the row holds its latest form. ``prefilled`` presumes
that thinking is switched on and that the server did not take the reasoning out of the text: the
request that was really sent knows better.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .profile import KEEP_TAGS, Profile

__all__ = ["OPEN_MODELS"]


def _thinks(name: str, *matches: str, **facts: Any) -> Profile:
    """A model that learnt to think in ``<think>`` tags unless ``facts`` say otherwise."""
    return replace(
        Profile(name=name, matches=matches, trained=True, dialect="think"),
        **facts,
    )


def _answers(name: str, *matches: str, **facts: Any) -> Profile:
    """A model that never learnt to think aloud: it is prompted."""
    return replace(Profile(name=name, matches=matches, tags="none"), **facts)


#: Switches thinking on where the server hands arguments to the chat template.
_THINK: Mapping[str, Any] = {"chat_template_kwargs": {"thinking": True}}
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
        extra=_THINK,
        faults=(_HYBRID, "Off unless its template is given thinking=true."),
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
        extra=KEEP_TAGS,
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
        extra=_THINK,
        faults=("Thinks only when its template is given thinking=true.",),
    ),
    _thinks(
        "granite-3.3",
        "*granite-3.3*",
        "*granite3.3*",
        context=131072,
        extra=_THINK,
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
        extra=KEEP_TAGS,
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
        extra=KEEP_TAGS,
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

OPEN_MODELS = (*_DEEPSEEK, *_QWEN, *_MISTRAL, *_OTHERS)
