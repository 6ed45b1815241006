"""Every error that reflectkit raises on purpose.

ReflectKitError
 +-- ConfigurationError        something you set up cannot work; found before sending
 +-- MissingCapability         the backend cannot do what was asked; found before sending
 +-- BackendError              the model's side failed (retryable, status, hint, partial)
 |    +-- BackendUnreachable     no connection
 |    +-- BackendTimeout         connected, but too slow
 |    +-- BackendStatus          an HTTP status that says no
 |    +-- BackendWireError       not the protocol: HTML, bad SSE or JSON, early end
 +-- ProtocolError             text departs from the grammar (strict parsing only)
 +-- BudgetExceeded            a limit would be passed (limit, spent, scope, retry_after)
 +-- LedgerError               the store of a ledger failed (retryable)
 +-- VerificationFailed        no attempt was accepted (carries the reply)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .messages import Usage
    from .reply import Attempt, Issue, Reply, Transcript

__all__ = [
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
]


class ReflectKitError(Exception):
    """The root of the tree. ``hint`` says in one sentence what to do ("" if nothing helps).

    ``attempts``: where a call has failed, the answers that had come before, with their verdicts.
    """

    attempts: tuple[Attempt, ...] = ()

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions are rebuilt from their positional arguments alone; ours have others as well.
        return _revived, (type(self), *self.args), vars(self)


def _revived(cls: type[ReflectKitError], *args: object) -> ReflectKitError:
    """An error as it was pickled or copied, before its attributes are put back."""
    return cls.__new__(cls, *args)


class ConfigurationError(ReflectKitError):
    """A setting, file or argument that cannot work."""


class MissingCapability(ReflectKitError):
    """The backend cannot do what was asked; ``capability`` names it, ``hint`` the way out."""

    def __init__(self, message: str, *, capability: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.capability = capability


class BackendError(ReflectKitError):
    """The model's side failed.

    ``retryable``: the same request may work later. ``status``: the HTTP status, if there was one.
    ``retry_after``: seconds that the server asked for. ``partial``: what had arrived before the
    fault, parsed; ``usage``: what it cost as far as known. Nothing that arrived is ever lost.
    ``failures``: where several backends were asked, the errors of all of them, in order.
    """

    retryable = False

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        status: int | None = None,
        retryable: bool | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.retry_after = retry_after
        if retryable is not None:
            self.retryable = retryable
        self.partial: Transcript | None = None
        self.usage: Usage | None = None
        self.failures: tuple[BackendError, ...] = ()


class BackendUnreachable(BackendError):
    """No connection could be made, or it broke before the first byte of an answer."""

    retryable = True


class BackendTimeout(BackendError):
    """The server was too slow to connect, to begin, or to go on."""

    retryable = True


class BackendStatus(BackendError):
    """The server answered with an error status."""


class BackendWireError(BackendError):
    """The server's bytes are not the protocol: HTML, broken SSE, invalid JSON, an early end."""


class ProtocolError(ReflectKitError):
    """Strict parsing met text that departs from the grammar; ``issues`` lists where."""

    def __init__(self, message: str, *, issues: tuple[Issue, ...] = (), hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.issues = issues


class BudgetExceeded(ReflectKitError):
    """Going on would pass a limit: its name, what was spent, and the scope it belongs to.

    ``retry_after``: seconds until the limit's window starts anew (None: it will not by itself).
    """

    def __init__(
        self,
        message: str,
        *,
        limit: str,
        spent: float = 0.0,
        scope: str = "call",
        hint: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.limit = limit
        self.spent = spent
        self.scope = scope
        self.retry_after = retry_after


class LedgerError(ReflectKitError):
    """The file or server that keeps a ledger failed. ``retryable``: it may work later."""

    def __init__(self, message: str, *, hint: str = "", retryable: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.retryable = retryable


class VerificationFailed(ReflectKitError):
    """No attempt was accepted; ``reply`` holds the best candidate and every attempt."""

    def __init__(self, message: str, *, reply: Reply, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reply = reply
