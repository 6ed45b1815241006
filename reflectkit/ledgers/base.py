"""What a ledger is: any object with these methods. Scopes hand it orders, and nobody else does."""

from __future__ import annotations

from typing import Protocol

from ..budget.ledger import Balance, Committed, Granted, Order, Short, Use

__all__ = ["Ledger"]


class Ledger(Protocol):
    """Keeps accounts. Every method is one step that happens wholly or not at all.

    Raises ``LedgerError`` where the store behind it fails.
    """

    @property
    def address(self) -> str:
        """What it is, without secrets. Calls that need several ledgers take them in this order."""

    @property
    def at_once(self) -> bool:
        """No method but ``wait`` and ``aclose`` ever suspends, so that no cancel can cut it."""

    async def reserve(self, order: Order) -> Granted | Short:
        """Take what the order needs from all its accounts, or nothing. Asking again is safe."""

    async def wait(self, id: str, seconds: float) -> None:
        """Return when an order in line may have been served, at the latest after ``seconds``."""

    async def commit(self, id: str, use: Use) -> Committed:
        """Record what was used and give back the rest; of an order in line, leave the line."""

    async def balances(self, scope: str = "") -> list[Balance]:
        """How the accounts of a scope ("": of all) stand."""

    async def top_up(self, key: str, amount: int) -> None:
        """Add to an account's room for the present window."""

    async def limit(self, key: str, most: int | None) -> None:
        """Set a limit of the ledger's own, or (None) take it away."""

    async def reset(self, scope: str) -> None:
        """Forget what a scope spent."""

    async def aclose(self) -> None:
        """Let go of files and connections."""
