"""The dialects of known models."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from ..errors import ConfigurationError
from .dialect import Dialect

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DIALECTS", "find_dialect"]


def _pair(opener: str, closer: str) -> dict[str, list[str]]:
    return {"open": [opener], "close": [closer]}


_ALL: Final = (
    Dialect(
        "reflection",
        {
            "thinking": _pair("<thinking>", "</thinking>"),
            "reflection": _pair("<reflection>", "</reflection>"),
            "output": _pair("<output>", "</output>"),
        },
        match="xml",
        required=("thinking", "output"),
    ),
    Dialect("think", {"thinking": _pair("<think>", "</think>")}, match="xml"),
    Dialect("magistral", {"thinking": _pair("[THINK]", "[/THINK]")}),
    Dialect("kimi", {"thinking": _pair("◁think▷", "◁/think▷")}),
    Dialect("seed", {"thinking": _pair("<seed:think>", "</seed:think>")}),
    Dialect("minimax_m3", {"thinking": _pair("<mm:think>", "</mm:think>")}),
    Dialect(
        "hunyuan",
        {"thinking": _pair("<think>", "</think>"), "output": _pair("<answer>", "</answer>")},
    ),
    Dialect(
        "granite",
        {
            "thinking": {
                "open": ["Here is my thought process:", "Here's my thought process:"],
                "close": ["Here is my response:", "Here's my response:"],
            }
        },
    ),
    Dialect(
        "gemma4",
        {
            "thinking": {
                "open": ["<|channel>thought\n", "<|channel>thought"],
                "close": ["<channel|>"],
            }
        },
    ),
    # Spellings here are names of channels and of terminators; the headers are read by the scanner.
    Dialect(
        "harmony",
        {
            "thinking": {"open": ["analysis"], "close": ["<|end|>"]},
            "output": {"open": ["final", "commentary"], "close": ["<|return|>", "<|end|>"]},
        },
        match="channels",
    ),
)

DIALECTS: Final[Mapping[str, Dialect]] = MappingProxyType({d.name: d for d in _ALL})


def find_dialect(dialect: str | Dialect) -> Dialect:
    """The dialect itself, or the known one of that name. Raises ``ConfigurationError``."""
    if isinstance(dialect, Dialect):
        return dialect
    if isinstance(dialect, str) and dialect in DIALECTS:
        return DIALECTS[dialect]
    known = ", ".join(DIALECTS)
    raise ConfigurationError(f"Unknown dialect {dialect!r}.", hint=f"Known: {known}; or a Dialect.")
