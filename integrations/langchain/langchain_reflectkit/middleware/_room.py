"""How much is left of all accounts together, and what a call is going to take of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain.agents.middleware import ModelRequest

from reflectkit import Request, Scope
from reflectkit.budget.ledger import parts_of

__all__ = ["Plan", "Room", "room_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What the narrowest account has left. None: nothing limits it. ``time``: a share from 0 to 1.

    ``by``: whose limit that is, such as "run:7 tokens".
    """

    tokens: int | None = None
    calls: int | None = None
    time: float | None = None
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A call as it can be paid: what is asked, and tokens of prompt and answer at most.

    ``least``: of the answer, below which it makes no sense. ``last``: it asks for the answer now.
    ``counted``: the request as the counter sees it.
    """

    request: ModelRequest[Any]
    counted: Request = field(repr=False)
    prompt: int
    completion: int
    least: int = 1
    last: bool = False


async def room_of(scopes: Sequence[Scope], time: float | None) -> Room:
    """What the accounts of ``scopes`` have left."""
    left: dict[str, tuple[int, str]] = {}
    for scope in scopes:
        rows = {row.key: row.left for row in await scope.balances()}
        rows = {cap.key: cap.most for cap in scope.claim.caps} | rows
        for key, free in rows.items():
            unit = parts_of(key)[1]
            if unit not in left or free < left[unit][0]:
                left[unit] = free, f"{scope.key} {unit}"
    tokens, calls = left.get("tokens"), left.get("calls")
    narrowest = calls if calls and calls[0] <= 0 else tokens or calls
    by = "run:time seconds" if time is not None and time <= 0 else narrowest[1] if narrowest else ""
    return Room(
        tokens=tokens[0] if tokens else None, calls=calls[0] if calls else None, time=time, by=by
    )
