"""An agent's answer, checked before it is one: draft, verdicts, revision around the model call.

The loop is reflectkit's own; the agent's handler is its backend.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace
from time import monotonic
from typing import Any, Final

from langchain.agents.middleware import ModelRequest, ModelResponse
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AnyMessage
from langgraph.errors import GraphBubbleUp

from reflectkit import (
    BackendError,
    Budget,
    BudgetExceeded,
    Chunk,
    Client,
    ConfigurationError,
    Message,
    ReflectKitError,
    Request,
    Scope,
)
from reflectkit.backends.function import FunctionBackend
from reflectkit.correction import Policy

from .._counting import Counting
from .._messages import calls_in, from_langchain, to_langchain
from .._pieces import Pieces
from .._records import attempt_of, record_of
from .._verifiers import HIDDEN, verifiers_of
from .._wrapped import with_fields
from ._hooks import AsyncHook, Handler, answer_in

try:
    from langchain.agents.middleware.internal_call_transformer import (
        InternalCallTransformer,
        internal_call_metadata,
    )
except ImportError:  # releases before 1.4.8 know no internal calls
    InternalCallTransformer = None  # type: ignore[assignment,misc]  # in place of the class

    def internal_call_metadata() -> dict[str, Any]:
        """Nothing marks a call as internal in this release."""
        return {}


__all__ = ["ReflectionMiddleware"]

When = Callable[[ModelRequest[Any], AIMessage], bool]

#: the key of the payload by which an attempt is found again
_RESPONSE: Final = "langchain_response"


class ReflectionMiddleware(AsyncHook[Any]):
    """Checks an agent's final answer and lets the model correct it; the state gets one message.

    ``verify``: one or several of reflectkit's verifiers, functions of a ``Draft``, tools (they are
    given what their arguments are called by: question, output, thinking), runnables, output
    parsers. ``max_attempts``: answers at most. ``policy``: what follows a rejected one, as in
    ``reflectkit.correction``; by default what is wrong in form goes back with feedback, and what is
    wrong in content is asked for afresh. The first answer stays unless a verifier speaks against
    it. ``budget``: of one turn's loop; ``seconds``, ``total`` and ``calls`` are what makes sense
    here. ``scopes``: accounts that are charged; leave them out beside ``TokenBudgetMiddleware``,
    which charges each call already. ``when(request, message)``: whether this answer is judged.
    ``tool_turns``: messages that call tools are judged as well; they are not final, so they are
    passed on otherwise. ``stream_drafts``: the first draft is shown as it comes; otherwise nothing
    of any draft is, and the answer comes whole. ``patience``: seconds for one verifier.
    ``dialect``: how the model marks its sections, where its adapter leaves them in the text.

    Where attempts, budget or time run out, or a later request fails, the best answer so far is the
    result, and ``response_metadata["reflectkit"]`` says so. An error of the first request is raised
    as it came: no text of an error ever becomes an answer.

    Raises ``ConfigurationError`` for what cannot work.
    """

    transformers = (InternalCallTransformer,) if InternalCallTransformer is not None else ()

    def __init__(
        self,
        verify: Any = (),
        *,
        max_attempts: int = 3,
        policy: Policy | None = None,
        budget: Budget | None = None,
        scopes: Sequence[Scope] = (),
        when: When | None = None,
        tool_turns: bool = False,
        stream_drafts: bool = False,
        patience: float = 10.0,
        dialect: Any = "reflection",
    ) -> None:
        super().__init__()
        self.tools = []
        self._when = when
        self._tool_turns = tool_turns
        self._stream_drafts = stream_drafts
        self._budget = budget
        self._settings: dict[str, Any] = {
            "mode": "trained",
            "dialect": dialect,
            "prefilled": False,
            "verify": verifiers_of(verify, internal_call_metadata()),
            "attempts": max_attempts,
            "policy": policy,
            "scopes": tuple(scopes),
            "patience": patience,
        }
        self._client(_refuse, budget)  # finds what cannot work

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Handler
    ) -> ModelResponse[Any]:
        """The model's answer, or the one that it gave after it was told what is wrong."""
        began = monotonic()
        hidden = _hidden(request)
        first = await handler(request if self._stream_drafts else hidden)
        answer = answer_in(first.result)
        if answer is None or not self._judges(request, answer):
            return first
        seconds = monotonic() - began
        asking = _Asking(hidden, handler, first)
        try:
            client = self._client(asking, _less(self._budget, seconds))
        except _NoTime:
            return _marked(first, _stopped("deadline", "seconds"))
        async with client:
            return await asking.settled(client)

    def _judges(self, request: ModelRequest[Any], answer: AIMessage) -> bool:
        if answer.tool_calls and not self._tool_turns:
            return False
        return self._when is None or bool(self._when(request, answer))

    def _client(self, function: Any, budget: Budget | None) -> Client:
        return Client(FunctionBackend(function, model="agent"), budget=budget, **self._settings)


class _NoTime(Exception):
    """The first answer took all of it."""


async def _refuse(request: Request) -> str:
    raise ConfigurationError("Nothing is asked when a middleware is made.")


class _Asking:
    """One turn's loop: what it asks goes to the agent's handler, with the agent's own messages."""

    def __init__(self, request: ModelRequest[Any], handler: Handler, first: ModelResponse[Any]):
        self._request = request
        self._handler = handler
        self._responses = [first]
        self._asked = 0
        self._turns = from_langchain(request.messages, vendor="")
        self._sent: tuple[Message, ...] = ()
        self._drawn: tuple[float | None, int | None] = (None, None)
        self._failure: Exception | None = None

    async def __call__(self, request: Request) -> AsyncIterator[Chunk]:
        """Answer one request of the loop; the first one has its answer already."""
        self._asked += 1
        if self._asked == 1:
            self._sent = _turns(request)
            self._drawn = (request.temperature, request.seed)
        else:
            self._responses.append(await self._ask(request))
        for chunk in _chunks(self._responses[-1], len(self._responses) - 1):
            yield chunk

    async def _ask(self, request: Request) -> ModelResponse[Any]:
        changed = self._request.override(messages=self._messages(request))
        values = {"temperature": request.temperature, "seed": request.seed}
        if (request.temperature, request.seed) != self._drawn:
            told = {name: value for name, value in values.items() if value is not None}
            changed = changed.override(model=_with(changed.model, told))
        try:
            return await self._handler(changed)
        except BudgetExceeded:
            raise
        except Exception as error:  # noqa: BLE001  # it is raised again, or recorded
            self._failure = error
        raise BackendError("The handler failed.")

    def _messages(self, request: Request) -> list[AnyMessage]:
        """The agent's own messages as far as nothing changed in them, then what the loop adds."""
        both = list(zip(self._request.messages, self._turns, strict=True))
        own = [m for m, turn in both if turn.role != "system"]
        found: list[Any] = [m for m, turn in both if turn.role == "system"]
        for at, turn in enumerate(_turns(request)):
            same = at < len(own) and turn == self._sent[at]
            found += [own[at]] if same else to_langchain([turn])
        return found

    async def settled(self, client: Client) -> ModelResponse[Any]:
        """The response that the loop chose, with its record."""
        try:
            reply = await client.ask(self._turns)
        except BudgetExceeded as error:
            by = f"{error.limit} ({error.scope})"
            return _marked(self._responses[0], _stopped("budget", by, error))
        except ReflectKitError as error:
            if isinstance(self._failure, GraphBubbleUp):
                raise self._failure from None
            if self._failure is None:
                raise
            by = type(self._failure).__name__
            return _marked(self._responses[0], _stopped("exhausted", by, error))
        kept = (reply.attempt.transcript.payload or {}).get(_RESPONSE, 0)
        record = record_of(reply)
        record.pop("replay", None)  # that is this loop's own, by which the response was found
        return _marked(self._responses[kept], record)


def _turns(request: Request) -> tuple[Message, ...]:
    """Without the system text, which the agent has its own way with."""
    return tuple(m for m in request.messages if m.role != "system")


def _chunks(response: ModelResponse[Any], number: int) -> Iterator[Chunk]:
    """A response as the loop reads it."""
    answer = answer_in(response.result)
    if answer is None:
        yield Chunk("", finish="stop", payload={_RESPONSE: number})
        return
    for piece in Pieces().read(answer):
        if piece.kind == "text":
            yield Chunk(piece.text)
        elif piece.kind != "draft":
            yield Chunk(reasoning=piece.text)
    usage = Counting().add(answer.usage_metadata)
    calls = calls_in(answer)
    yield Chunk(
        tool_calls=calls,
        usage=usage,
        finish="tool_calls" if calls else "stop",
        payload={_RESPONSE: number},
    )


def _hidden(request: ModelRequest[Any]) -> ModelRequest[Any]:
    """The request, its model tagged so that nothing of it shows in streams of messages."""
    model: Any = request.model
    if not isinstance(model, BaseChatModel):
        return request
    tags = [*(model.tags or []), HIDDEN]
    return request.override(model=model.model_copy(update={"tags": tags}))


def _with(model: Any, values: dict[str, Any]) -> Any:
    return with_fields(model, values) if isinstance(model, BaseChatModel) else model


def _less(budget: Budget | None, seconds: float) -> Budget | None:
    """What is left of the budget's time."""
    if budget is None or budget.seconds is None:
        return budget
    if budget.seconds <= seconds:
        raise _NoTime
    return budget.model_copy(update={"seconds": budget.seconds - seconds})


def _stopped(status: str, by: str, error: ReflectKitError | None = None) -> dict[str, Any]:
    """The record of a loop that stayed at its first answer."""
    attempts = [attempt_of(a) for a in error.attempts] if error else []
    return {"status": status, "attempts": attempts, "chosen": 1, "stopped_by": by}


def _marked(response: ModelResponse[Any], record: dict[str, Any]) -> ModelResponse[Any]:
    """The response, its answer with the record in its metadata; that of our own chat model stands
    inside it. What its provider wants to see again stays where it is looked for."""
    answer = answer_in(response.result)
    if answer is None:
        return response
    told = answer.response_metadata
    own = dict(told.get("reflectkit") or {})
    replay = {"replay": own.pop("replay")} if "replay" in own else {}
    whole = {**({"inner": own} if own else {}), **record, **replay}
    marked = answer.model_copy(update={"response_metadata": {**told, "reflectkit": whole}})
    return replace(response, result=[marked if m is answer else m for m in response.result])
