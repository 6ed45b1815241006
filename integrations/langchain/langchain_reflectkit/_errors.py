"""Errors that are both reflectkit's and LangChain's, so that whoever catches either is served.

LangChain's middleware retries what is retryable and what it does not know; everything here is
known to it. The other way, what a LangChain model raises as one of ours, is ``_errors_of_models``.
"""

from __future__ import annotations

import re
from typing import Any, Final

from langchain_core.exceptions import (
    ContextOverflowError,
    LangChainException,
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelError,
    ModelInvalidRequestError,
    ModelNotFoundError,
    ModelPermissionDeniedError,
    ModelRateLimitError,
    ModelTimeoutError,
)

from reflectkit import (
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

__all__ = ["Misconfigured", "TokenBudgetExceeded", "translated"]


class StatusUnauthenticated(BackendStatus, ModelAuthenticationError):
    """401: the key was refused."""


class StatusForbidden(BackendStatus, ModelPermissionDeniedError):
    """403: the key may not do this."""


class StatusNotFound(BackendStatus, ModelNotFoundError):
    """404: no such model or address."""


class StatusTooMany(BackendStatus, ModelRateLimitError):
    """429: too many requests."""


class StatusTooSlow(BackendStatus, ModelTimeoutError):
    """408 or 504: the server gave up waiting."""


class StatusOverflow(BackendStatus, ContextOverflowError):
    """The prompt does not fit into the model's context."""


class StatusInvalid(BackendStatus, ModelInvalidRequestError):
    """Another 4xx: the request cannot be answered as it is."""


class StatusFailed(BackendStatus, ModelAPIError):
    """5xx, or a status that nobody knows."""


class Timeout(BackendTimeout, ModelTimeoutError):
    """Too slow to connect, to begin or to go on."""


class Unreachable(BackendUnreachable, ModelConnectionError):
    """No connection."""


class NotTheProtocol(BackendWireError, ModelAPIError):
    """The server's bytes are not the protocol."""


class Failed(BackendError, ModelAPIError):
    """The model's side failed in another way."""


class OverBudget(BudgetExceeded, ModelError):
    """A limit would be passed. Asking again passes it again, so it is not retryable."""


class TokenBudgetExceeded(OverBudget):
    """An agent's token budget is spent; ``scope`` and ``limit`` say whose and which."""

    is_retryable = False

    def __init__(self, by: str) -> None:
        scope, _, limit = by.partition(" ")
        super().__init__(
            f"The budget of {scope} is spent ({limit or 'tokens'}).",
            limit=limit or "tokens",
            scope=scope,
            hint="Give it more, or end with exit_behavior='answer'.",
        )


class Misconfigured(ConfigurationError, ModelInvalidRequestError):
    """A setting or an argument that cannot work."""


class Incapable(MissingCapability, ModelInvalidRequestError):
    """The backend cannot do what was asked."""


class LedgerFailed(LedgerError, ModelError):
    """The store of a ledger failed."""


class NotAccepted(VerificationFailed, ModelError):
    """No attempt was accepted."""


class NotInGrammar(ProtocolError, ModelError):
    """Text departs from the grammar."""


class Other(ReflectKitError, ModelError):
    """Anything else of reflectkit's."""


_OVERFLOW: Final = re.compile(
    r"context[ _](length|window|size)|maximum context|context has room|exceeds the available",
    re.IGNORECASE,
)
_STATUS: Final[dict[int, type[BackendStatus]]] = {
    401: StatusUnauthenticated,
    403: StatusForbidden,
    404: StatusNotFound,
    408: StatusTooSlow,
    429: StatusTooMany,
    504: StatusTooSlow,
}
#: the most special first
_KINDS: Final[tuple[tuple[type[ReflectKitError], type[ReflectKitError]], ...]] = (
    (BackendTimeout, Timeout),
    (BackendUnreachable, Unreachable),
    (BackendWireError, NotTheProtocol),
    (BackendError, Failed),
    (BudgetExceeded, OverBudget),
    (ConfigurationError, Misconfigured),
    (MissingCapability, Incapable),
    (LedgerError, LedgerFailed),
    (VerificationFailed, NotAccepted),
    (ProtocolError, NotInGrammar),
)


def translated(error: ReflectKitError) -> ReflectKitError:
    """The same error, of a class that is LangChain's as well: all attributes, cause and notes.

    ``is_retryable`` is reflectkit's own judgement where it has one.
    """
    if isinstance(error, LangChainException):
        return error
    kind = _kind(error)
    made: Any = kind.__new__(kind, *error.args)
    vars(made).update(vars(error))
    if isinstance(error, BackendError | LedgerError):
        made.is_retryable = error.retryable
    made.__cause__, made.__context__ = error.__cause__, error.__context__
    made.__suppress_context__ = error.__suppress_context__
    found: ReflectKitError = made.with_traceback(error.__traceback__)
    return found


def _kind(error: ReflectKitError) -> type[ReflectKitError]:
    if isinstance(error, BackendStatus):
        status = error.status or 500
        if status in (400, 413, 422) and _OVERFLOW.search(error.message):
            return StatusOverflow
        usual = StatusInvalid if 400 <= status < 500 else StatusFailed
        return _STATUS.get(status, usual)
    return next((ours for kind, ours in _KINDS if isinstance(error, kind)), Other)
