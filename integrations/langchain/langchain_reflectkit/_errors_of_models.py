"""What a LangChain model raises, in reflectkit's own tree of errors: for whoever asks through it.

The other way, errors of ours that LangChain knows, is ``_errors``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import langchain_core.exceptions as core

from reflectkit import (
    BackendError,
    BackendStatus,
    BackendTimeout,
    BackendUnreachable,
    ConfigurationError,
    MissingCapability,
    ReflectKitError,
)

__all__ = ["as_ours"]

_WORDS: Final = 500
#: core's class -> status, and what to do; the most special first
_STATUSES: Final[dict[type[Exception], tuple[int, str]]] = {
    core.ModelAuthenticationError: (401, "Check the key of the LangChain model."),
    core.ModelPermissionDeniedError: (403, "The key is not allowed to use this model."),
    core.ModelNotFoundError: (404, "Check the model's name."),
    core.ModelRateLimitError: (429, "Wait, or ask less often."),
    core.ContextOverflowError: (400, "Shorten the conversation."),
    core.ModelInvalidRequestError: (400, "See the provider's words."),
    core.ModelAPIError: (500, "The provider failed; the same request may work later."),
}
_TIMEOUT: Final = (TimeoutError, core.ModelTimeoutError)
_CONNECTION: Final = (ConnectionError, core.ModelConnectionError)
#: class names of SDKs that are older than core's classes
_TIMEOUTS: Final = {"APITimeoutError", "TimeoutException", "ReadTimeout", "ConnectTimeout"}
_NO_CONNECTION: Final = {"APIConnectionError", "ConnectError", "TransportError"}
_RETRYABLE: Final = (408, 409, 429)


def as_ours(error: Exception, model: str, secrets: Iterable[str] = ()) -> ReflectKitError:
    """``error`` as one of ours, its words without ``secrets``; ours are returned as they are."""
    if isinstance(error, ReflectKitError):
        return error
    words = f"{model} failed with {type(error).__name__}: {_safe(str(error), secrets)}"
    names = {c.__name__ for c in type(error).__mro__}
    if isinstance(error, _TIMEOUT) or names & _TIMEOUTS:
        return BackendTimeout(words, hint="Give the LangChain model a longer timeout.")
    if isinstance(error, _CONNECTION) or names & _NO_CONNECTION:
        return BackendUnreachable(words, hint="Is the LangChain model's address right?")
    if isinstance(error, NotImplementedError):
        return MissingCapability(words, capability="langchain", hint="Its class lacks a method.")
    known = next((said for kind, said in _STATUSES.items() if isinstance(error, kind)), None)
    usual, hint = known or (None, "See its words.")
    told = getattr(error, "status_code", None)
    status = told if isinstance(told, int) else usual
    if status is not None:
        return BackendStatus(words, hint=hint, status=status, retryable=_retryable(error, status))
    if isinstance(error, core.OutputParserException):
        return ConfigurationError(words, hint="Pass the model without an output parser.")
    return BackendError(words, retryable=bool(getattr(error, "is_retryable", False)))


def _retryable(error: Exception, status: int) -> bool:
    said = getattr(error, "is_retryable", None)
    return said if isinstance(said, bool) else status in _RETRYABLE or status >= 500


def _safe(words: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        if len(secret) > 3:
            words = words.replace(secret, "***")
    return words if len(words) <= _WORDS else f"{words[:_WORDS]}..."
