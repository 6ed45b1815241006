"""A reasoning parser for vLLM, built on reflectkit's own parser."""

from __future__ import annotations

__all__ = ["register"]


def register() -> None:
    """Make ``--reasoning-parser reflection`` known; vLLM calls this in each of its processes."""
    from vllm.reasoning import ReasoningParserManager

    ReasoningParserManager.register_lazy_module(
        "reflection", "reflectkit_vllm.plugin", "ReflectionReasoningParser"
    )
