"""Fakes and checks for tests: ours, and those of everybody who builds on reflectkit.

No test framework is needed to import any of it; what needs an event loop is loaded at first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from .chunkings import chunkings
from .scripted import Script, ScriptedBackend, Step

if TYPE_CHECKING:
    from .loopback import LoopbackServer, Received, Served, chat, page, refusal
    from .replay import Recorder, ReplayBackend
    from .suite import BackendSuite
    from .wires import anthropic_chat, ollama_chat

__all__ = [
    "BackendSuite",
    "LoopbackServer",
    "Received",
    "Recorder",
    "ReplayBackend",
    "Script",
    "ScriptedBackend",
    "Served",
    "Step",
    "anthropic_chat",
    "chat",
    "chunkings",
    "ollama_chat",
    "page",
    "refusal",
]

_LATE: Final = {
    "BackendSuite": "suite",
    "LoopbackServer": "loopback",
    "Received": "loopback",
    "Recorder": "replay",
    "ReplayBackend": "replay",
    "Served": "loopback",
    "anthropic_chat": "wires",
    "chat": "loopback",
    "ollama_chat": "wires",
    "page": "loopback",
    "refusal": "loopback",
}


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_LATE[name]}", __name__), name)
