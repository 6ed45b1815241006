"""Any LangChain chat model as a backend of reflectkit.

from reflectkit import Client
client = Client(LangChainBackend(ChatOpenAI(...)), mode="prompted")
"""

from __future__ import annotations

import asyncio
import random
import warnings
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.retry import RunnableRetry

from reflectkit import (
    Chunk,
    ConfigurationError,
    MissingCapability,
    ReflectKitError,
    Request,
)
from reflectkit.backends.base import Capabilities
from reflectkit.backends.function import FunctionBackend
from reflectkit.budget.tokens import LearnedCounter

from ._clients import keeper
from ._counting import Counting, finish_of
from ._errors_of_models import as_ours
from ._messages import calls_in, kept_for_replay, to_langchain
from ._pieces import Pieces
from ._wrapped import (
    changed,
    field_of,
    has_parser,
    models_in,
    name_of,
    one_at_a_time,
    secrets_of,
    with_fields,
)

if TYPE_CHECKING:
    from .chat_models import ChatReflectKit

__all__ = ["LangChainBackend", "with_reflection"]

_Keeper = AsyncGenerator[None, None]
#: nobody is told of the inner call: its tokens would be counted and streamed twice
_SILENT: Final[RunnableConfig] = {"callbacks": []}
_SAMPLING: Final = ("max_tokens", "temperature", "top_p", "seed")
#: fields of ``Request.extra`` that LangChain has arguments of its own for
_CALLING: Final = ("tools", "tool_choice", "parallel_tool_calls")
_COUNTER: Final = LearnedCounter()
#: hosts where ChatOpenAI reads all that there is
_OPENAI: Final = ("openai.com", "azure.com")


class LangChainBackend:
    """A backend that asks through ``runnable``: a LangChain chat model, or what its ``bind``,
    ``bind_tools``, ``with_retry`` or ``with_fallbacks`` gave, or any runnable from messages to an
    ``AIMessage``. It stays yours.

    It is asked on copies: without a cache, which would give every draft the same text; without
    callbacks, which would tell everything twice; and, where the class allows it, without retries
    inside the SDK and with usage in streams. Sampling goes into fields that the class has.
    ``with_retry`` is honoured before the first piece of an answer, in streams too; ``requests``
    counts what was asked, retries included, and ``hidden_retries`` is how many more the SDK may
    make by itself for each (0 where that could be switched off).

    A model without async is asked in a thread, which nobody can stop: a cancelled call waits for
    it, since it is billed, and its usage is told.

    ``model``: its name, where the class does not tell it. ``capabilities``: where they are not as
    the class shows. Raises ``ConfigurationError`` for something that gives no message, such as
    ``with_structured_output``'s result.
    """

    def __init__(
        self,
        runnable: Runnable[Any, Any],
        *,
        model: str = "",
        capabilities: Capabilities | None = None,
    ) -> None:
        _check(runnable)
        self._retry: RunnableRetry[Any, Any] | None = None
        while isinstance(runnable, RunnableRetry):
            self._retry, runnable = self._retry or runnable, runnable.bound
        self._runnable = changed(runnable, _quiet)
        #: by loop: the runnable with connections of that loop, and what closes them
        self._by_loop: dict[asyncio.AbstractEventLoop, tuple[Runnable[Any, Any], _Keeper]] = {}
        self.model = model or name_of(runnable)
        self.requests = 0
        found = list(models_in(runnable))
        self.hidden_retries = max((_hidden_retries(m) for m in found), default=0)
        self.capabilities = capabilities or _capabilities(found)
        self._function = FunctionBackend(
            self._answers, model=self.model or "langchain", capabilities=self.capabilities
        )
        for one in found:
            _warn(one)

    def __repr__(self) -> str:
        inner = next(models_in(self._runnable), self._runnable)
        return f"LangChainBackend({type(inner).__name__}, model={self.model!r})"

    @property
    def provider(self) -> str:
        """Whose replay payloads these are."""
        inner = next(models_in(self._runnable), None)
        return f"langchain {inner._llm_type if inner else type(self._runnable).__name__}"

    async def stream(self, request: Request, /) -> AsyncGenerator[Chunk, None]:
        """Yield the answer's chunks; the last one carries ``finish``.

        Raises ``MissingCapability`` and ``ConfigurationError`` before anything is sent, and
        ``BackendError`` in place of what the model raises.
        """
        async with aclosing(self._function.stream(request)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def aclose(self) -> None:
        """Close the connections that were opened for this event loop, which its end does too; the
        model stays open."""
        if mine := self._by_loop.pop(asyncio.get_running_loop(), None):
            await mine[1].aclose()

    async def _answers(self, request: Request) -> AsyncGenerator[Chunk, None]:
        runnable = self._ready(await self._here(), request)
        messages = to_langchain(request.messages, vendor=self.provider)
        stop = {"stop": list(request.stop)} if request.stop else {}
        reading = _Reading(self.model)
        failure: ReflectKitError | None = None
        try:
            async with aclosing(self._begun(runnable, messages, stop)) as answer:
                async for message in answer:
                    for chunk in reading.read(message):
                        yield chunk
        except Exception as error:  # noqa: BLE001  # SDKs raise all kinds
            failure = as_ours(error, repr(self), secrets_of(self._runnable))
        if failure is not None:  # without the original, whose words may hold a key
            raise failure
        yield reading.last()

    async def _begun(
        self, runnable: Runnable[Any, Any], messages: list[BaseMessage], stop: dict[str, Any]
    ) -> AsyncGenerator[Any, None]:
        """The answer; asked for again where that was wanted and nothing has come yet."""
        number = 0
        while True:
            number += 1
            self.requests += 1
            begun = False
            try:
                asking: Any = _asked(runnable, messages, stop)
                async with aclosing(asking) as answer:
                    async for message in answer:
                        begun = True
                        yield message
                return
            except Exception as error:
                if begun or not _again(self._retry, error, number):
                    raise
            await asyncio.sleep(_pause(self._retry, number))

    async def _here(self) -> Runnable[Any, Any]:
        """The runnable with connections of the running loop."""
        running = asyncio.get_running_loop()
        for loop in list(self._by_loop):
            if loop.is_closed():
                self._by_loop.pop(loop, None)
        if running not in self._by_loop:
            mine = changed(self._runnable, _own_connection)
            self._by_loop[running] = mine, keeper(lambda: _closed(mine))
            await anext(self._by_loop[running][1])
        return self._by_loop[running][0]

    @staticmethod
    def _ready(runnable: Runnable[Any, Any], request: Request) -> Runnable[Any, Any]:
        """The runnable as this request needs it."""
        values = {n: v for n in _SAMPLING if (v := getattr(request, n)) is not None}
        if request.reasoning and request.reasoning.effort:
            values["effort"] = request.reasoning.effort
        runnable = with_fields(runnable, values)
        calling = {k: v for k, v in request.extra.items() if k in _CALLING and v is not None}
        other = {k: v for k, v in request.extra.items() if k not in _CALLING and v is not None}
        if calling.get("tools"):
            runnable = _with_tools(runnable, calling)
        return changed(runnable, lambda model: _with_body(model, other)) if other else runnable


def with_reflection(runnable: Runnable[Any, Any], /, **settings: Any) -> ChatReflectKit:
    """``runnable`` again as a LangChain chat model, with reflectkit between: its protocol is
    parsed, its answers are checked and corrected, its tokens are kept in budget.

    ``settings`` are those of ``ChatReflectKit``, beside the connection's (``mode``, ``verify``,
    ``attempts``, ``budget``, ...). What is refused is what ``LangChainBackend`` refuses.
    """
    from .chat_models import ChatReflectKit

    return ChatReflectKit(client=LangChainBackend(runnable), **settings)


class _Reading:
    """One answer's messages, as chunks."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._pieces = Pieces()
        self._messages: list[AIMessage] = []
        self._counting = Counting()
        self._finish = ""

    def read(self, message: object) -> list[Chunk]:
        if not isinstance(message, AIMessage):
            raise ConfigurationError(
                f"The runnable gave {_kind(message)}, not an AIMessage.",
                hint="Pass the chat model itself: no parser and no with_structured_output; "
                "output_type= and SelfCorrecting(parser=...) do that here.",
            )
        self._messages.append(message)
        told = message.response_metadata
        self._model = str(told.get("model_name") or told.get("model") or self._model)
        self._finish = finish_of(told) or self._finish
        usage = self._counting.add(message.usage_metadata)
        chunks = [
            Chunk(p.text, model=self._model)
            if p.kind == "text"
            else Chunk(reasoning=p.text, model=self._model)
            for p in self._pieces.read(message)
        ]
        return [*chunks, Chunk(usage=usage)] if usage is not None else chunks

    def last(self) -> Chunk:
        whole = _whole(self._messages)
        calls = calls_in(whole) if whole is not None else ()
        return Chunk(
            tool_calls=calls,
            usage=self._counting.usage,
            finish="tool_calls" if calls and self._finish != "length" else self._finish or "stop",  # type: ignore[arg-type]  # the table's values
            model=self._model,
            payload=kept_for_replay(whole) if whole is not None else None,
        )


def _whole(messages: list[AIMessage]) -> AIMessage | None:
    """One message of all chunks, in one pass; None where adapters contradict themselves."""
    if len(messages) < 2:
        return messages[0] if messages else None
    telling = [m for m in messages if m.additional_kwargs or not isinstance(m.content, str)]
    if not telling and not any(getattr(m, "tool_call_chunks", None) for m in messages):
        return None
    chunks = [m for m in messages if isinstance(m, AIMessageChunk)]
    with suppress(TypeError, ValueError):
        return chunks[0].__add__(chunks[1:]) if len(chunks) > 1 else chunks[0]
    return None


async def _asked(
    runnable: Runnable[Any, Any], messages: list[BaseMessage], stop: dict[str, Any]
) -> AsyncIterator[Any]:
    if not one_at_a_time(runnable):
        stream: Any = runnable.astream(messages, _SILENT, **stop)
        async with aclosing(stream) as pieces:
            async for message in pieces:
                yield message
        return
    async with aclosing(_from_thread(runnable, messages, stop)) as pieces:
        async for message in pieces:
            yield message


async def _from_thread(
    runnable: Runnable[Any, Any], messages: list[BaseMessage], stop: dict[str, Any]
) -> AsyncGenerator[Any, None]:
    """The message of a model whose thread goes on whatever happens to this task.

    A cancel waits for its end: then what it cost is told first, as a message without text.
    """
    task = asyncio.ensure_future(runnable.ainvoke(messages, _SILENT, **stop))
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    message = task.result()
    if cancelled is not None and isinstance(message, AIMessage):
        yield AIMessage("", usage_metadata=message.usage_metadata or _guessed(messages, message))
    me = asyncio.current_task()
    if cancelled is not None and me is not None and me.cancelling():
        raise cancelled
    yield message


def _guessed(messages: list[BaseMessage], answer: AIMessage) -> Any:
    prompt = sum(_COUNTER.count(m.text) + 4 for m in messages)
    said = "".join(p.text for p in Pieces().read(answer))
    written = _COUNTER.count(said, special=True)
    return {"input_tokens": prompt, "output_tokens": written, "total_tokens": prompt + written}


# --- what is asked of, and how it is made ready


def _check(runnable: object) -> None:
    if not isinstance(runnable, Runnable):
        raise ConfigurationError(
            f"A {_kind(runnable)} is no LangChain runnable.", hint="Pass a chat model."
        )
    if has_parser(runnable):
        raise ConfigurationError(
            "This runnable ends in a parser, so its messages and their usage do not come out.",
            hint="Pass the chat model itself; for typed answers use output_type=, "
            "with_structured_output of ChatReflectKit, or SelfCorrecting(model, parser=...).",
        )


def _kind(value: object) -> str:
    return type(value).__name__


def _capabilities(models: list[BaseChatModel]) -> Capabilities:
    def all_have(parameter: str) -> bool:
        return bool(models) and all(field_of(m, parameter) for m in models)

    takes = bool(models) and all(type(m).bind_tools is not BaseChatModel.bind_tools for m in models)
    return Capabilities(
        reports_usage=True,
        seeds=all_have("seed"),
        tools=takes,
        images=True,
        reasoning=frozenset({"effort"}) if all_have("effort") else frozenset(),
    )


def _quiet(model: BaseChatModel) -> BaseChatModel:
    """A copy without cache, and with usage in streams where nobody has decided on that."""
    update: dict[str, Any] = {"cache": False}
    declared = type(model).model_fields
    if "max_retries" in declared:
        update["max_retries"] = 0
    if "stream_usage" in declared and not getattr(model, "stream_usage", None):
        update["stream_usage"] = True
    return model.model_copy(update=update)


def _hidden_retries(model: BaseChatModel) -> int:
    """How often its SDK asks again by itself, where that is fixed in a client it has made."""
    client = getattr(model, "root_async_client", None)
    if hasattr(client, "with_options"):
        return 0
    retries = getattr(model, "max_retries", 0)
    return retries if isinstance(retries, int) else 0


def _own_connection(model: BaseChatModel) -> BaseChatModel:
    """A copy with a client of its own where the class has one of the OpenAI SDK: its connections
    belong to one event loop, and it would try again by itself."""
    client = getattr(model, "root_async_client", None)
    if client is None or not hasattr(client, "with_options"):
        return model
    options: dict[str, Any] = {"max_retries": 0}
    if getattr(model, "http_async_client", None) is None:
        from openai import DefaultAsyncHttpxClient

        options["http_client"] = DefaultAsyncHttpxClient(timeout=client.timeout)
    mine = client.with_options(**options)
    return model.model_copy(
        update={"root_async_client": mine, "async_client": mine.chat.completions}
    )


async def _closed(runnable: Runnable[Any, Any]) -> None:
    """What ``_own_connection`` has opened."""
    for model in models_in(runnable):
        client: Any = getattr(model, "root_async_client", None)
        if hasattr(client, "with_options") and getattr(model, "http_async_client", None) is None:
            await client.close()


def _warn(model: BaseChatModel) -> None:
    """ChatOpenAI reads the fields of OpenAI's own server only, by its own account."""
    if not any(c.__name__ == "BaseChatOpenAI" for c in type(model).__mro__):
        return
    if type(model).__module__.partition(".")[0] != "langchain_openai":
        return  # a class for another server, which may read its fields
    address = getattr(model, "openai_api_base", None) or ""
    host = urlsplit(str(address)).hostname or ""
    if host and not host.endswith(_OPENAI):
        warnings.warn(
            f"{type(model).__name__} drops the reasoning that {host} sends beside its text; "
            "reflectkit.Client(base_url) and ChatReflectKit(base_url=...) read it.",
            stacklevel=4,
        )


def _with_tools(runnable: Runnable[Any, Any], calling: Mapping[str, Any]) -> Runnable[Any, Any]:
    if not hasattr(runnable, "bind_tools"):
        raise MissingCapability(
            "Tools cannot be bound to this runnable.",
            capability="tools",
            hint="Pass the chat model itself, or bind the tools before and pass none here.",
        )
    try:
        bound: Runnable[Any, Any] = runnable.bind_tools(**calling)
    except NotImplementedError:
        raise MissingCapability(
            f"{_kind(runnable)} takes no tools.", capability="tools", hint="Leave out tools."
        ) from None
    return bound


def _with_body(model: BaseChatModel, fields: Mapping[str, Any]) -> BaseChatModel:
    """A copy that sends ``fields``, which belong to a server's own protocol."""
    for name in ("extra_body", "model_kwargs"):
        if name in type(model).model_fields:
            own = getattr(model, name) or {}
            return model.model_copy(update={name: {**own, **fields}})
    raise MissingCapability(
        f"{_kind(model)} has no field for {', '.join(sorted(fields))}.",
        capability="extra",
        hint="Leave extra= out, or set these where the model is made.",
    )


# --- asking again


def _again(retry: RunnableRetry[Any, Any] | None, error: Exception, number: int) -> bool:
    if retry is None or number >= retry.max_attempt_number:
        return False
    wanted: Any = retry.retry_exception_types
    return bool(isinstance(error, wanted) if isinstance(wanted, tuple) else wanted(error))


def _pause(retry: RunnableRetry[Any, Any] | None, number: int) -> float:
    if retry is None or not retry.wait_exponential_jitter:
        return 0.0
    said = {"initial": 1.0, "max": 60.0, "exp_base": 2.0, "jitter": 1.0}
    given: Mapping[str, Any] = retry.exponential_jitter_params or {}
    said |= {name: float(value) for name, value in given.items()}
    wait = said["initial"] * said["exp_base"] ** (number - 1) + random.uniform(0, said["jitter"])
    return min(wait, said["max"])
