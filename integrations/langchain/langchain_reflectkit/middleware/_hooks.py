"""What both middlewares are: an async hook around the model call, and the same without async."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from langchain.agents.middleware import AgentMiddleware, AgentState, ModelRequest, ModelResponse
from langchain_core.messages import AIMessage

from .._sync import run_here

__all__ = ["AsyncHook", "Handler", "answer_in"]

Handler = Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]
SyncHandler = Callable[[ModelRequest[Any]], ModelResponse[Any]]
S = TypeVar("S", bound=AgentState[Any])


class AsyncHook(AgentMiddleware[S, Any, Any]):
    """Middleware whose ``awrap_model_call`` is all that there is of it."""

    def wrap_model_call(self, request: ModelRequest[Any], handler: SyncHandler) -> Any:
        """See ``awrap_model_call``; ``handler`` is called in this thread."""
        return run_here(
            lambda here: self.awrap_model_call(
                request, lambda asked: here.call(lambda: handler(asked))
            )
        )

    async def awrap_model_call(self, request: ModelRequest[Any], handler: Handler) -> Any:
        """Answer ``request``, by ``handler`` as often as it takes."""
        raise NotImplementedError


def answer_in(messages: Sequence[Any]) -> AIMessage | None:
    """The last message of a model."""
    return next((m for m in reversed(messages) if isinstance(m, AIMessage)), None)
