"""Exit codes, as data: the help text, the documentation and the program read this table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .. import errors
from ..reply import ANSWERED

if TYPE_CHECKING:
    from ..reply import Reply, Verdict

__all__ = ["EXITS", "Exit", "code_of", "complaint", "verdict_on"]


@dataclass(frozen=True, slots=True)
class Exit:
    """A code, what it means, and the errors that lead to it."""

    code: int
    meaning: str
    errors: tuple[type[BaseException], ...] = ()


OK = Exit(0, "a complete answer")
INCOMPLETE = Exit(
    1,
    "an answer, but incomplete, empty, not accepted, or (parse --strict) with issues; or an "
    "endpoint with faults",
    (errors.VerificationFailed, errors.BudgetExceeded, errors.ProtocolError),
)
USAGE = Exit(
    2,
    "a usage or configuration error; nothing was sent",
    (errors.ConfigurationError, errors.MissingCapability),
)
UNREACHABLE = Exit(
    3,
    "the server or ledger cannot be reached or is too slow",
    (errors.BackendUnreachable, errors.BackendTimeout, errors.LedgerError),
)
REFUSED = Exit(4, "the server or model said no", (errors.BackendError,))
WIRE = Exit(5, "the server's bytes are not the protocol", (errors.BackendWireError,))
BUG = Exit(70, "an error of reflectkit itself", (Exception,))
SYSTEM = Exit(74, "a file or the output could not be read or written", (OSError,))
INTERRUPTED = Exit(130, "ended by Ctrl-C", (KeyboardInterrupt,))
PIPE = Exit(141, "the reader of our output went away", (BrokenPipeError,))

EXITS = (OK, INCOMPLETE, USAGE, UNREACHABLE, REFUSED, WIRE, BUG, SYSTEM, INTERRUPTED, PIPE)


def code_of(error: BaseException) -> int:
    """The code of the row that names the error's nearest class."""
    rows = {cls: row.code for row in EXITS for cls in row.errors}
    return next((rows[cls] for cls in type(error).__mro__ if cls in rows), BUG.code)


def complaint(reply: Reply) -> str:
    """Why the answer is not a complete and accepted one ("" if it is)."""
    rejected = [_why(v) for v in reply.verdicts if v.ok is False]
    if reply.ending not in ANSWERED:
        return f"The answer is incomplete ({reply.ending})."
    if rejected:
        return f"The answer was not accepted: {'; '.join(rejected)}."
    if reply.verdicts and not any(v.ok for v in reply.verdicts):
        return f"Nobody could tell whether it is right: {'; '.join(map(_why, reply.verdicts))}."
    return "" if reply.output else "The answer is empty."


def _why(verdict: Verdict) -> str:
    return (verdict.feedback or verdict.name or "no reason given").rstrip(".")


def verdict_on(reply: Reply) -> int:
    """The code for an answer that came."""
    if reply.ending == "cancelled":
        return INTERRUPTED.code
    return INCOMPLETE.code if complaint(reply) else OK.code
