"""Scopes and the ledgers that keep their accounts. Every name is loaded when it is first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._late import late

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

if not TYPE_CHECKING:  # type checkers know these names, and find others wrong
    __getattr__ = late(__name__, _HOMES)
