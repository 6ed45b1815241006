"""Parsers for what a reflecting model writes, incremental in streams.

They take a text, a message or a chunk, in tags or in blocks, from any LangChain model. A stream is
read once: nothing is parsed again, and no thread is used.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from langchain_core.exceptions import OutputParserException
from langchain_core.messages import BaseMessage
from langchain_core.output_parsers import BaseTransformOutputParser
from langchain_core.outputs import ChatGeneration, Generation
from pydantic import ConfigDict, model_validator

from reflectkit import ConfigurationError, Transcript
from reflectkit.protocol import parse
from reflectkit.reply import Views

from ._transcripts import Taking, Writing

__all__ = ["OutputOnlyParser", "Reflected", "ReflectionOutputParser"]

T = TypeVar("T")

_NO_ANSWER: Final = "The response has no answer: {why}."


@dataclass(frozen=True, slots=True)
class Reflected(Views):
    """A response with its sections told apart, or as much of it as had come.

    ``complete`` is False for what a stream gives on its way. Taking such a snapshot costs nothing;
    the sections are read from the text so far when they are first looked at.
    """

    taken: Taking = field(repr=False)
    complete: bool = True

    @property
    def transcript(self) -> Transcript:
        """All sections, and where the text departs from the protocol."""
        return self.taken.transcript

    @property
    def drafts(self) -> list[str]:
        """Answers that were rejected on the way, where the model tells of them."""
        return self.taken.drafts

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Reflected):
            return NotImplemented
        return (self.complete, self.transcript, self.drafts) == (
            other.complete,
            other.transcript,
            other.drafts,
        )

    def __hash__(self) -> int:
        return hash((self.complete, self.transcript.source))

    def __repr__(self) -> str:
        return f"Reflected({self.transcript!r}, complete={self.complete})"


class _Incremental(BaseTransformOutputParser[T], Generic[T]):
    """What both parsers share: how a response is read, and what ``strict`` demands."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    #: how the model marks its sections, where its adapter has not told them apart already: a known
    #: dialect's name or a ``Dialect``
    dialect: Any = "reflection"
    #: the prompt ended with the opening tag of thinking
    prefilled: bool = False
    #: departures from the protocol raise ``OutputParserException``; they are issues otherwise
    strict: bool = False

    @model_validator(mode="after")
    def _check_dialect(self) -> _Incremental[T]:
        try:
            parse("", self.dialect, self.prefilled)
        except ConfigurationError as error:
            raise ValueError(str(error)) from None
        return self

    def parse(self, text: str) -> T:
        """Read a whole text."""
        return self.parse_result([Generation(text=text)])

    def parse_result(self, result: Sequence[Generation], *, partial: bool = False) -> T:
        """Read the first candidate. A text that is cut off is read as far as it goes; with
        ``partial`` that never raises."""
        first = result[0]
        said = first.message if isinstance(first, ChatGeneration) else first.text
        writing = self._writing()
        writing.feed(said)
        writing.finish()
        if self.strict and not partial:
            self._check(writing.transcript)
        return self._whole(writing, complete=not partial)

    async def aparse_result(self, result: Sequence[Generation], *, partial: bool = False) -> T:
        """As ``parse_result``; there is nothing to wait for."""
        return self.parse_result(result, partial=partial)

    def _transform(self, input: Iterator[str | BaseMessage]) -> Iterator[T]:
        writing = self._writing()
        for chunk in input:
            yield from self._pieces(writing, writing.feed(chunk))
        yield from self._last(writing)

    async def _atransform(self, input: AsyncIterator[str | BaseMessage]) -> AsyncIterator[T]:
        writing = self._writing()
        async for chunk in input:
            for piece in self._pieces(writing, writing.feed(chunk)):
                yield piece
        for piece in self._last(writing):
            yield piece

    def _last(self, writing: Writing) -> Iterator[T]:
        fed = writing.finish()
        if self.strict:
            self._check(writing.transcript)
        yield from self._ending(writing, fed)

    def _writing(self) -> Writing:
        return Writing(self.dialect, self.prefilled)

    def _whole(self, writing: Writing, *, complete: bool) -> T:
        raise NotImplementedError

    def _pieces(self, writing: Writing, fed: list[Any]) -> Iterator[T]:
        raise NotImplementedError

    def _ending(self, writing: Writing, fed: list[Any]) -> Iterator[T]:
        raise NotImplementedError

    def _check(self, transcript: Transcript) -> None:
        if transcript.issues:
            first = transcript.issues[0]
            detail = f" ({first.detail})" if first.detail else ""
            raise OutputParserException(
                f"The response departs from the protocol: {first.kind} at character "
                f"{first.position}{detail}.",
                llm_output=transcript.source,
            )


class ReflectionOutputParser(_Incremental[Any]):
    """A response as ``Reflected``: output, thinking, reflections, drafts and the transcript.

    A stream gives a ``Reflected`` after every chunk, of all that has come so far, and at last one
    that is ``complete``. With ``diff`` it gives reflectkit's events instead, each once, in order.

    ``strict`` raises ``OutputParserException`` with the raw text where the response departs from
    the protocol; in a stream, at its end.
    """

    #: in a stream: the events that each chunk brings, instead of all that has come so far
    diff: bool = False

    @property
    def _type(self) -> str:
        return "reflection"

    @property
    def OutputType(self) -> type[Reflected]:  # LangChain's name
        """What ``invoke`` gives."""
        return Reflected

    def get_format_instructions(self) -> str:
        """How to write sections of the reflection protocol, for a prompt."""
        from reflectkit.protocol import PROMPTED

        return PROMPTED["v1"].text

    def _whole(self, writing: Writing, *, complete: bool) -> Reflected:
        return Reflected(writing.taken(), complete)

    def _pieces(self, writing: Writing, fed: list[Any]) -> Iterator[Any]:
        if self.diff:
            yield from fed
        elif fed:
            yield Reflected(writing.taken(), complete=False)

    def _ending(self, writing: Writing, fed: list[Any]) -> Iterator[Any]:
        if self.diff:
            yield from fed
        else:
            yield Reflected(writing.taken(), complete=True)


class OutputOnlyParser(_Incremental[str]):
    """The answer alone, as text.

    In a stream text comes once no later text can withdraw it, so a text without tags waits for its
    end; with ``live`` that comes at once, at the risk that a later tag makes it thinking. Answers
    of ``ChatReflectKit``, and of models whose reasoning comes in blocks, never wait.

    ``strict`` raises ``OutputParserException`` where there is no answer.
    """

    #: text that nothing marks is given at once
    live: bool = False

    @property
    def _type(self) -> str:
        return "output_only"

    @property
    def OutputType(self) -> type[str]:  # LangChain's name
        """What ``invoke`` gives."""
        return str

    def _writing(self) -> Writing:
        return Writing(self.dialect, self.prefilled, answers=True, live=self.live)

    def _whole(self, writing: Writing, *, complete: bool) -> str:
        return writing.transcript.output

    def _pieces(self, writing: Writing, fed: list[Any]) -> Iterator[str]:
        yield from writing.answer()

    def _ending(self, writing: Writing, fed: list[Any]) -> Iterator[str]:
        yield from writing.answer()

    def _check(self, transcript: Transcript) -> None:
        if not transcript.output.strip() and not transcript.tool_calls:
            why = transcript.issues[0].kind if transcript.issues else "it is empty"
            raise OutputParserException(_NO_ANSWER.format(why=why), llm_output=transcript.source)
