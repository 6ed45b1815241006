"""Fakes and checks for tests: ours, and those of everybody who builds on reflectkit.

No test framework is needed to import any of it; what needs an event loop is loaded at first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .._late import late
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

_HOMES: Final = {
    "loopback": ("LoopbackServer", "Received", "Served", "chat", "page", "refusal"),
    "replay": ("Recorder", "ReplayBackend"),
    "suite": ("BackendSuite",),
    "wires": ("anthropic_chat", "ollama_chat"),
}

if not TYPE_CHECKING:  # type checkers know these names, and find others wrong
    __getattr__ = late(__name__, _HOMES)
