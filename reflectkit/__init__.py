"""reflectkit: make a chat model's reflection visible, checked, bounded and measured.

Importing this package loads nothing else: every public name is fetched when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._late import late

if TYPE_CHECKING:
    from . import backends, comparison, correction, ledgers, protocol, testing, verify
    from .budget.budget import Budget
    from .budget.limits import Limit
    from .client import Client, Preview
    from .comparison.front import compare
    from .errors import (
        BackendError,
        BackendStatus,
        BackendTimeout,
        BackendUnreachable,
        BackendWireError,
        BudgetExceeded,
        ConfigurationError,
        LedgerError,
        MissingCapability,
        ProtocolError,
        ReflectKitError,
        VerificationFailed,
    )
    from .events import (
        Accepted,
        AttemptEnded,
        AttemptStarted,
        Corrected,
        Event,
        Judged,
        Markup,
        Rejected,
        Retracted,
        SectionDelta,
        SectionEnded,
        SectionStarted,
    )
    from .ledgers import MemoryLedger, RedisLedger, Scope, SQLiteLedger, current_scopes
    from .messages import Chunk, Message, ReasoningBudget, Request, ToolCall, Usage
    from .reply import Attempt, Draft, Grant, Issue, Reply, Section, Summary, Transcript, Verdict
    from .stream import ReplyStream
    from .sync import SyncClient

__version__ = "0.1.0"

__all__ = [
    "Accepted",
    "Attempt",
    "AttemptEnded",
    "AttemptStarted",
    "BackendError",
    "BackendStatus",
    "BackendTimeout",
    "BackendUnreachable",
    "BackendWireError",
    "Budget",
    "BudgetExceeded",
    "Chunk",
    "Client",
    "ConfigurationError",
    "Corrected",
    "Draft",
    "Event",
    "Grant",
    "Issue",
    "Judged",
    "LedgerError",
    "Limit",
    "Markup",
    "MemoryLedger",
    "Message",
    "MissingCapability",
    "Preview",
    "ProtocolError",
    "ReasoningBudget",
    "RedisLedger",
    "ReflectKitError",
    "Rejected",
    "Reply",
    "ReplyStream",
    "Request",
    "Retracted",
    "SQLiteLedger",
    "Scope",
    "Section",
    "SectionDelta",
    "SectionEnded",
    "SectionStarted",
    "Summary",
    "SyncClient",
    "ToolCall",
    "Transcript",
    "Usage",
    "Verdict",
    "VerificationFailed",
    "__version__",
    "backends",
    "compare",
    "comparison",
    "correction",
    "current_scopes",
    "ledgers",
    "protocol",
    "testing",
    "verify",
]

#: Module -> the public names that come from it. A module that lists itself is public as it is.
_HOMES: dict[str, tuple[str, ...]] = {
    "backends": ("backends",),
    "budget.budget": ("Budget",),
    "budget.limits": ("Limit",),
    "client": ("Client", "Preview"),
    "comparison": ("comparison",),
    "comparison.front": ("compare",),
    "correction": ("correction",),
    "errors": (
        "BackendError",
        "BackendStatus",
        "BackendTimeout",
        "BackendUnreachable",
        "BackendWireError",
        "BudgetExceeded",
        "ConfigurationError",
        "LedgerError",
        "MissingCapability",
        "ProtocolError",
        "ReflectKitError",
        "VerificationFailed",
    ),
    "events": (
        "Accepted",
        "AttemptEnded",
        "AttemptStarted",
        "Corrected",
        "Event",
        "Judged",
        "Markup",
        "Rejected",
        "Retracted",
        "SectionDelta",
        "SectionEnded",
        "SectionStarted",
    ),
    "ledgers": (
        "MemoryLedger",
        "RedisLedger",
        "SQLiteLedger",
        "Scope",
        "current_scopes",
        "ledgers",
    ),
    "messages": ("Chunk", "Message", "ReasoningBudget", "Request", "ToolCall", "Usage"),
    "protocol": ("protocol",),
    "reply": (
        "Attempt",
        "Draft",
        "Grant",
        "Issue",
        "Reply",
        "Section",
        "Summary",
        "Transcript",
        "Verdict",
    ),
    "stream": ("ReplyStream",),
    "sync": ("SyncClient",),
    "testing": ("testing",),
    "verify": ("verify",),
}

if not TYPE_CHECKING:  # type checkers know these names, and find others wrong
    __getattr__ = late(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
