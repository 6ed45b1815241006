"""Scopes and the ledgers that keep their accounts. Every name is loaded when it is first used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .address import open_ledger
    from .base import Ledger
    from .hold import Lease
    from .memory import MemoryLedger
    from .redis import RedisLedger
    from .scope import Scope, current_scopes, default_ledger
    from .shared import SharedLedger
    from .sqlite import SQLiteLedger

__all__ = [
    "Lease",
    "Ledger",
    "MemoryLedger",
    "RedisLedger",
    "SQLiteLedger",
    "Scope",
    "SharedLedger",
    "current_scopes",
    "default_ledger",
    "open_ledger",
]

_HOMES = {
    "address": ("open_ledger",),
    "base": ("Ledger",),
    "hold": ("Lease",),
    "memory": ("MemoryLedger",),
    "redis": ("RedisLedger",),
    "scope": ("Scope", "current_scopes", "default_ledger"),
    "shared": ("SharedLedger",),
    "sqlite": ("SQLiteLedger",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value
