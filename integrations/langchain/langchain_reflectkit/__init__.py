"""reflectkit for LangChain: a chat model, parsers and middleware with the reflection told apart.

Importing this package loads nothing else: every public name is fetched when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .backend import LangChainBackend, with_reflection
    from .chat_models import ChatReflectKit
    from .correcting import SelfCorrecting
    from .middleware import ReflectionMiddleware, TokenBudgetMiddleware
    from .output_parsers import OutputOnlyParser, ReflectionOutputParser

__version__ = "0.1.0"

__all__ = [
    "ChatReflectKit",
    "LangChainBackend",
    "OutputOnlyParser",
    "ReflectionMiddleware",
    "ReflectionOutputParser",
    "SelfCorrecting",
    "TokenBudgetMiddleware",
    "__version__",
    "with_reflection",
]

#: Module -> the public names that come from it.
_HOMES: Final[dict[str, tuple[str, ...]]] = {
    "backend": ("LangChainBackend", "with_reflection"),
    "chat_models": ("ChatReflectKit",),
    "correcting": ("SelfCorrecting",),
    "middleware": ("ReflectionMiddleware", "TokenBudgetMiddleware"),
    "output_parsers": ("OutputOnlyParser", "ReflectionOutputParser"),
}
_HOME: Final = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
