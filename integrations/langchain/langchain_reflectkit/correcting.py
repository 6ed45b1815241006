"""A LangChain model whose answers are checked, and asked for again: in place of retry parsers.

chain = prompt | SelfCorrecting(model, parser=PydanticOutputParser(pydantic_object=Invoice))
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from functools import partial
from typing import Any, Final, Literal, cast, get_args

from langchain_core.exceptions import OutputParserException
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, convert_to_messages
from langchain_core.output_parsers import BaseLLMOutputParser
from langchain_core.prompt_values import PromptValue
from langchain_core.runnables import Runnable, RunnableConfig, RunnableSequence

from reflectkit import Client, ConfigurationError, Message, Reply, VerificationFailed

from . import _sync
from ._messages import PROVIDER, from_langchain, tool_calls
from ._records import record_of
from ._usage import usage_of
from ._verifiers import Parses, verifiers_of
from .backend import LangChainBackend

__all__ = ["SelfCorrecting"]

OnFailure = Literal["raise", "best"]

_TRIED: Final = "No answer could be parsed after {number} attempts. {why}"


class SelfCorrecting(Runnable[Any, Any]):
    """Asks ``runnable`` until its answer passes, within a bound that is known beforehand.

    ``runnable``: a LangChain chat model, what its ``bind`` and the like gave, or a sequence that
    ends in one (``prompt | model``). ``verify``: reflectkit's verifiers, functions of a ``Draft``,
    runnables, tools, output parsers. ``parser``: a LangChain output parser that has to take the
    answer; what it complains of goes back to the model, and its object is the result. ``attempts``
    and ``client_settings`` (``policy``, ``budget``, ``mode``, ``scopes``, ...) are those of
    ``reflectkit.Client``.

    The result is the parser's object, else an ``AIMessage``: its text is the answer, its usage that
    of all attempts, and ``response_metadata["reflectkit"]`` says what came of them. ``on_failure``:
    where no answer passed, ``raise`` (``OutputParserException`` with a parser, else
    ``VerificationFailed``) or return the ``best`` one; with a parser there is nothing to return.

    The inner calls are no runs of their own: there is one, of this object.
    """

    def __init__(
        self,
        runnable: Runnable[Any, Any],
        *,
        verify: Any = (),
        parser: BaseLLMOutputParser[Any] | None = None,
        attempts: int = 3,
        on_failure: OnFailure | None = None,
        name: str | None = None,
        **client_settings: Any,
    ) -> None:
        self._prompt, model = _parted(runnable)
        self._parser = parser
        self._on_failure = on_failure or ("raise" if parser else "best")
        if self._on_failure not in get_args(OnFailure) or (parser and on_failure == "best"):
            raise ConfigurationError(
                f"on_failure is {on_failure!r}.",
                hint='It is "raise" or "best"; with a parser there is no best to return.',
            )
        self._parses = Parses(parser) if parser else None
        verifiers = verifiers_of(verify)
        settings: dict[str, Any] = {"mode": "plain", **client_settings}
        settings["verify"] = [*([self._parses] if self._parses else []), *verifiers]
        settings["attempts"] = attempts
        self._backend = LangChainBackend(model)
        self._client = Client(self._backend, **settings)
        self.name = name or "SelfCorrecting"

    def __repr__(self) -> str:
        return f"SelfCorrecting({self._client!r})"

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """See the class. Works where a loop is running, too."""

        def call(given: Any, config: RunnableConfig) -> Any:
            said = self._prompt.invoke(given, config) if self._prompt else given
            turns = self._turns(said)
            return _sync.call(self._asked(turns, kwargs))

        return self._call_with_config(cast("Any", call), input, config)

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """See the class."""

        async def call(given: Any, config: RunnableConfig) -> Any:
            prompt = self._prompt
            said = await prompt.ainvoke(given, config) if prompt else given
            return await self._asked(self._turns(said), kwargs)

        return await self._acall_with_config(cast("Any", call), input, config)

    def stream(
        self, input: Any, config: RunnableConfig | None = None, **kwargs: Any
    ) -> Iterator[Any]:
        """The answer in pieces that will not be withdrawn; with a parser, its object at the end."""

        def pieces(given: Iterator[Any], config: RunnableConfig) -> Iterator[Any]:
            for one in given:
                said = self._prompt.invoke(one, config) if self._prompt else one
                found = partial(self._pieces, self._turns(said), kwargs)
                yield from _sync.iterate(found)

        yield from self._transform_stream_with_config(iter([input]), cast("Any", pieces), config)

    async def astream(
        self, input: Any, config: RunnableConfig | None = None, **kwargs: Any
    ) -> AsyncIterator[Any]:
        """As ``stream``. Leaving it early stops the model."""

        async def once() -> AsyncIterator[Any]:
            yield input

        async def pieces(given: AsyncIterator[Any], config: RunnableConfig) -> AsyncIterator[Any]:
            async for one in given:
                prompt = self._prompt
                said = await prompt.ainvoke(one, config) if prompt else one
                async with aclosing(self._pieces(self._turns(said), kwargs)) as found:
                    async for piece in found:
                        yield piece

        stream: Any = self._atransform_stream_with_config(once(), cast("Any", pieces), config)
        async with aclosing(stream) as found:
            async for piece in found:
                yield piece

    async def aclose(self) -> None:
        """Close the connections that were opened for the running event loop."""
        await self._backend.aclose()

    def close(self) -> None:
        """Close the connections that the synchronous methods opened."""
        _sync.call(self.aclose())

    def _turns(self, given: Any) -> tuple[Message, ...]:
        """The turns in whatever a chat model takes."""
        if isinstance(given, PromptValue):
            messages = given.to_messages()
        else:
            alone = isinstance(given, str | BaseMessage)
            messages = convert_to_messages([given] if alone else given)
        return from_langchain(messages, vendor=self._backend.provider)

    async def _asked(self, turns: tuple[Message, ...], options: dict[str, Any]) -> Any:
        return self._result(await self._client.ask(turns, **options))

    async def _pieces(
        self, turns: tuple[Message, ...], options: dict[str, Any]
    ) -> AsyncGenerator[Any, None]:
        async with self._client.stream(turns, **options) as stream:
            if self._parser is None and self._on_failure == "best":
                async for text in stream.output:
                    yield AIMessageChunk(content=text)
                message = _message(await stream.reply())
                yield AIMessageChunk(content="", chunk_position="last", **_beside(message))
                return
            reply = await stream.reply()
        result = self._result(reply)
        yield (
            AIMessageChunk(**result.model_dump(exclude={"type"}))
            if isinstance(result, AIMessage)
            else result
        )

    def _result(self, reply: Reply) -> Any:
        if self._parses is None:
            if self._on_failure == "raise":
                reply.raise_for_verdict()
            return _message(reply)
        verdict = next((v for v in reply.verdicts if v.name == self._parses.name), None)
        try:
            reply.raise_for_verdict()
        except VerificationFailed as error:
            raise _unparsed(reply, str(error)) from error
        if verdict is None or not verdict.ok:
            raise _unparsed(reply, verdict.feedback if verdict else "")
        return verdict.value


def _unparsed(reply: Reply, why: str) -> OutputParserException:
    said = _TRIED.format(number=len(reply.attempts), why=why)
    return OutputParserException(said.strip(), observation=why, llm_output=reply.output)


def _parted(runnable: Runnable[Any, Any]) -> tuple[Runnable[Any, Any] | None, Runnable[Any, Any]]:
    """What makes the messages, and the model that is asked."""
    if not isinstance(runnable, RunnableSequence):
        return None, runnable
    *before, last = runnable.steps
    prompt = before[0] if len(before) == 1 else RunnableSequence(*before)
    return prompt, last


def _message(reply: Reply) -> AIMessage:
    """The reply as one message; its usage is that of all attempts, which is what was paid."""
    good, bad = tool_calls(reply.transcript.tool_calls)
    thinking = {"reasoning_content": reply.thinking} if reply.thinking else {}
    return AIMessage(
        reply.output,
        additional_kwargs=thinking,
        tool_calls=good,
        invalid_tool_calls=bad,
        usage_metadata=usage_of(reply.usage),
        response_metadata={
            "model_name": reply.model,
            "model_provider": PROVIDER,
            "finish_reason": "length" if reply.ending == "length" else "stop",
            PROVIDER: record_of(reply),
        },
    )


def _beside(message: AIMessage) -> dict[str, Any]:
    return {
        "additional_kwargs": message.additional_kwargs,
        "usage_metadata": message.usage_metadata,
        "response_metadata": message.response_metadata,
    }
