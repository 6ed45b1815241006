"""The accounts of an agent's run, thread and tenant, and what a checkpoint keeps of them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from time import time
from typing import Any

from langgraph.config import get_config

from reflectkit import ConfigurationError, Limit, Scope
from reflectkit.budget.ledger import Demand
from reflectkit.ledgers import Ledger, MemoryLedger
from reflectkit.ledgers.hold import hold

__all__ = ["Accounts", "Limits", "begun"]

Limits = Limit | Sequence[Limit] | None


def begun(old: dict[str, Any]) -> dict[str, Any]:
    """The snapshot of a new run, in the thread that ``old`` is of."""
    return {
        "run": uuid.uuid4().hex,
        "began": time(),
        "tokens": 0,
        "calls": 0,
        "thread": old.get("thread", 0),
        "exact": old.get("exact", True),
    }


class Accounts:
    """Limits of runs, threads and tenants, and where they are kept; ``further``: those of others.

    What a ledger has spent is what counts. A snapshot tells a ledger that is new to a run or thread
    what that had spent before.
    """

    def __init__(
        self,
        *,
        run: Limits,
        thread: Limits,
        tenant: Limits,
        tenant_of: Callable[[Any], str | None] | None,
        further: Sequence[Scope],
        ledger: Ledger | None,
    ) -> None:
        self._run = _limits(run)
        self._thread = _limits(thread)
        self._tenant = _limits(tenant)
        self._tenant_of = tenant_of or _tenant
        self._further = tuple(further)
        self._ledger = ledger or MemoryLedger()
        self._restored: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._run or self._thread or self._tenant or self._further)

    async def end(self, run: str) -> None:
        """A run is over, and so is its account."""
        if run and self._run:
            await Scope("run", run, ledger=self._ledger).reset()
            self._restored.discard(f"run:{run}")

    def scopes(self, runtime: Any, snapshot: dict[str, Any]) -> list[Scope]:
        """Those that a call belongs to. Raises ``ConfigurationError`` where one has no name."""
        found: list[Scope] = []
        how: Any = {"ledger": self._ledger, "shortage": "shrink"}
        if self._run:
            found.append(Scope("run", snapshot["run"], *self._run, **how))
        if self._thread:
            found.append(Scope("thread", _thread_id(), *self._thread, **how))
        if self._tenant:
            name = self._tenant_of(runtime)
            if not name:
                raise ConfigurationError(
                    "This call belongs to no tenant, and tenants have limits.",
                    hint='Put "tenant" into the context or configurable, or pass tenant_of=.',
                )
            found.append(Scope("tenant", str(name), *self._tenant, **how))
        return [*found, *self._further]

    async def restore(self, scopes: Sequence[Scope], snapshot: dict[str, Any]) -> None:
        """Tell a ledger that is new to a run or thread what that had spent before."""
        told = {"run": ("tokens", "calls"), "thread": ("thread", "")}
        for scope in scopes:
            kind = scope.key.partition(":")[0]
            if kind not in told or scope.key in self._restored or scope.ledger is not self._ledger:
                continue
            self._restored.add(scope.key)
            tokens, calls = (int(snapshot.get(name) or 0) for name in told[kind])
            await _catch_up(scope, tokens, calls)

    async def told(self, scopes: Sequence[Scope], snapshot: dict[str, Any]) -> dict[str, Any]:
        """The snapshot with what was spent by now."""
        spent: dict[str, int] = {}
        for scope in scopes:
            kind = scope.key.partition(":")[0]
            for row in await scope.balances():
                if row.key.endswith("/ever"):
                    spent[f"{kind} {row.key.rsplit('/', 2)[1]}"] = row.spent
        return {
            **snapshot,
            "tokens": spent.get("run tokens", snapshot.get("tokens", 0)),
            "calls": spent.get("run calls", snapshot.get("calls", 0)),
            "thread": spent.get("thread tokens", snapshot.get("thread", 0)),
        }


async def _catch_up(scope: Scope, tokens: int, calls: int) -> None:
    rows = {row.key.rsplit("/", 2)[1]: row.spent for row in await scope.balances()}
    missing = max(0, tokens - rows.get("tokens", 0))
    calls = max(0, calls - rows.get("calls", 0))
    if missing or calls:
        lease = await hold([scope], Demand(prompt=0, completion=0, calls=0))
        await lease.settle(tokens=missing, calls=calls)


def _limits(given: Limits) -> tuple[Limit, ...]:
    found = () if given is None else (given,) if isinstance(given, Limit) else tuple(given)
    if any(limit.unit == "money" for limit in found):
        raise ConfigurationError(
            "An agent's accounts are kept in tokens and calls.",
            hint="Limit money in ChatReflectKit(scopes=..., prices=...).",
        )
    return found


def _thread_id() -> str:
    found = (get_config().get("configurable") or {}).get("thread_id")
    if not found:
        raise ConfigurationError(
            "Threads have limits, and this call has none.",
            hint='Invoke the agent with {"configurable": {"thread_id": ...}}.',
        )
    return str(found)


def _tenant(runtime: Any) -> str | None:
    context = getattr(runtime, "context", None)
    if isinstance(context, dict) and context.get("tenant"):
        return str(context["tenant"])
    if name := getattr(context, "tenant", None):
        return str(name)
    found = (get_config().get("configurable") or {}).get("tenant")
    return str(found) if found else None
