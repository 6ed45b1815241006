"""Ledgers by address, for configuration files and the command line."""

from __future__ import annotations

from ..errors import ConfigurationError
from .shared import SharedLedger

__all__ = ["open_ledger"]


def open_ledger(address: str) -> SharedLedger:
    """The ledger at ``sqlite:PATH``, ``redis://``, ``rediss://`` or ``unix://``.

    Raises ``ConfigurationError``.
    """
    scheme, _, rest = address.partition(":")
    if scheme == "sqlite":
        from .sqlite import SQLiteLedger

        return SQLiteLedger(rest)
    if scheme in ("redis", "rediss", "unix"):
        from .redis import RedisLedger

        return RedisLedger(address)
    raise ConfigurationError(
        "That is no ledger's address.", hint="Write sqlite:PATH or redis://HOST:6379/0."
    )
