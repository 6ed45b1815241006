"""``reflectkit budget``: what scopes may spend, and what they spent."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import aclosing
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from ..budget.ledger import MOST, NANO, UNITS, account_key, parts_of
from ..errors import ConfigurationError
from ._exits import OK
from ._printer import printable, wants_colour
from ._spending import ledger_at
from ._values import write

if TYPE_CHECKING:
    from argparse import Namespace

    from ..budget.ledger import Balance
    from ..budget.limits import Limit
    from ..ledgers import Ledger, Scope

__all__ = ["budget"]

_HEAD: Final = ("scope", "limit", "per", "cap", "spent", "reserved", "left", "refills in", "")
_TEXTS: Final = 3  # columns from there on are figures, to the right
_WIDTH: Final = 20
#: from this share on a bar is red
_NEARLY: Final = 0.9


def budget(options: Namespace) -> int:
    """Change what is asked for, and show how the limits stand then."""
    address, rows = asyncio.run(_done(options))
    if options.json:
        write({"ledger": address, "limits": [_value(row) for row in rows]}, sys.stdout)
    elif rows:
        print("\n".join(_table(rows, bars=sys.stdout.isatty())))
    else:
        print(f"No limit of {options.scope or 'any scope'} is known here.")
    return OK.code


async def _done(options: Namespace) -> tuple[str, list[Balance]]:
    from ..ledgers import Scope, open_ledger
    from ..ledgers.scope import scope_key

    kind, _, name = options.scope.partition(":")
    key = scope_key(kind, name) if options.scope else ""
    async with aclosing(open_ledger(ledger_at(options))) as ledger:
        if options.action != "show":
            await _change(options, Scope(kind, name, ledger=ledger), ledger)
        return ledger.address, await ledger.balances(key)


async def _change(options: Namespace, scope: Scope, ledger: Ledger) -> None:
    if options.action == "reset":
        await scope.reset()
        return
    limit = _limit(options)
    if options.action == "set":
        await scope.store(limit)
        return
    key = account_key(scope.key, limit.unit, limit.per)
    if key not in {balance.key for balance in await scope.balances()}:
        raise ConfigurationError(
            f"This ledger knows no such limit of {scope.key}.",
            hint="Set it, or let an application use it first.",
        )
    await (scope.top_up(limit) if options.action == "top-up" else scope.unstore(limit))


def _limit(options: Namespace) -> Limit:
    from ..budget.limits import Limit

    (unit,) = [unit for unit in UNITS if getattr(options, unit) is not None]
    return Limit(**{unit: getattr(options, unit), "per": options.per})


def _value(row: Balance) -> dict[str, Any]:
    scope, unit, per = parts_of(row.key)
    figures = ("cap", "extra", "spent", "reserved", "left")
    return {
        "scope": scope,
        "limit": unit,
        "per": per,
        **{name: _figure(unit, getattr(row, name)) for name in figures},
        "stored": row.stored,
        "refills_in": None if row.ends == MOST else _seconds(row),
    }


def _figure(unit: str, whole: int) -> float:
    return float(Decimal(whole) / NANO) if unit == "money" else whole


def _seconds(row: Balance) -> float:
    return max(0.0, round(row.ends / 1000 - time.time(), 3))


def _table(rows: list[Balance], *, bars: bool) -> list[str]:
    cells = [_HEAD, *(_cells(row) for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(_HEAD))]
    lines = ["  ".join(_aligned(line, widths)).rstrip() for line in cells]
    if bars:
        lines[1:] = [f"{line}  {_bar(row)}" for line, row in zip(lines[1:], rows, strict=True)]
    return lines


def _aligned(line: tuple[str, ...], widths: list[int]) -> list[str]:
    pairs = enumerate(zip(line, widths, strict=True))
    return [text.ljust(n) if i < _TEXTS else text.rjust(n) for i, (text, n) in pairs]


def _cells(row: Balance) -> tuple[str, ...]:
    from ..ledgers._words import amount, duration

    scope, unit, per = parts_of(row.key)
    figures = (row.cap + row.extra, row.spent, row.reserved, row.left)
    again = "never" if row.ends == MOST else duration(_seconds(row))
    return (
        printable(scope),
        unit,
        per or "",
        *(amount(unit, figure) for figure in figures),
        again,
        "",
    )


def _bar(row: Balance) -> str:
    """What is spent and reserved of a limit, as a bar of a terminal."""
    whole = row.cap + row.extra
    share = min(1.0, (row.spent + row.reserved) / whole) if whole else 1.0
    full, empty = "\u2588\u2591" if (sys.stdout.encoding or "").lower() == "utf-8" else "#."
    filled = round(share * _WIDTH)
    bar = full * filled + empty * (_WIDTH - filled)
    red = share >= _NEARLY and wants_colour(sys.stdout)
    return f"\x1b[31m{bar}\x1b[0m" if red else bar
