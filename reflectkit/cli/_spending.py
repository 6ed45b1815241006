"""What ``reflectkit ask`` may spend: a budget, and scopes whose limits a ledger keeps."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from ..errors import ConfigurationError
from ._options import LEDGER

if TYPE_CHECKING:
    from argparse import Namespace

    from ..budget.budget import Budget
    from ..ledgers import Ledger, Scope
    from ..reply import Grant, Reply

__all__ = ["budget_of", "cut_short", "ledger_at", "scopes_of"]

_WHOLE: Final = re.compile(r"-?\d+")
_WORDS: Final = {"on": True, "true": True, "off": False, "false": False}
#: What an answer that was cut became of.
_COME_BY: Final = {
    "": "",
    "extended": "the thinking was gone on with behind it",
    "closed": "the thinking was closed there, and the answer gone on with",
    "asked": "the answer was asked for in a turn of its own",
    "salvaged": "the answer is the last result that the thinking stated",
    "unanswered": "there is no answer",
}


def budget_of(options: Namespace) -> Budget | None:
    """The budget that was written, of several the last word on each limit.

    Raises ``ConfigurationError`` that names what cannot be.
    """
    given = {name: text for pairs in options.budget or () for name, text in pairs}
    if not given:
        return None
    from ..budget.budget import Budget

    return Budget(**{name: _value(text) for name, text in given.items()})


def _value(text: str) -> Any:
    """A whole number, on or off; anything else is left to the limit."""
    if _WHOLE.fullmatch(text):
        return int(text)
    return _WORDS.get(text.lower(), text)


def ledger_at(options: Namespace) -> str:
    """The address of the ledger that was named. Raises ``ConfigurationError`` for none."""
    address: str | None = options.ledger or os.environ.get(LEDGER)
    if not address:
        raise ConfigurationError("Which ledger?", hint=f"Give --ledger, or set {LEDGER}.")
    return address


@asynccontextmanager
async def scopes_of(options: Namespace) -> AsyncIterator[list[Scope]]:
    """The scopes that the question is charged to, while their ledger is open."""
    if not options.scope:
        if options.ledger:
            raise ConfigurationError(
                "--ledger belongs to --scope.", hint="Say whose limits count: --scope tenant:acme."
            )
        yield []
        return
    from ..ledgers import open_ledger

    async with aclosing(open_ledger(ledger_at(options))) as ledger:
        yield [await _scope(name, ledger) for name in dict.fromkeys(options.scope)]


async def _scope(text: str, ledger: Ledger) -> Scope:
    from ..ledgers import Scope

    kind, _, name = text.partition(":")
    scope = Scope(kind, name, ledger=ledger)
    if not any(balance.stored for balance in await scope.balances()):
        raise ConfigurationError(
            f"This ledger keeps no limit of {scope.key}.",
            hint=f"Set one: reflectkit budget set {scope.key} --tokens 100000 --per day.",
        )
    return scope


def cut_short(reply: Reply) -> str:
    """Which limit an answer met, whose it is, and how the answer was come by ("": none)."""
    if not reply.bound_by:
        return ""
    attempt = reply.attempts[-1]
    met = next((g for g in reply.grants if _met(g, attempt.cut)), None)
    figure = f", {met.spent} of {met.granted}" if met else ""
    how = _COME_BY[attempt.wrap] or ("it was cut there" if attempt.cut else "the server kept to it")
    return f"The answer met a limit, {reply.bound_by}{figure}: {how}."


def _met(grant: Grant, cut: str) -> bool:
    return grant.limit == cut if cut else bool(grant.enforced_by)
