"""What an endpoint was asked and what came: values, which the checks look at."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..backends._chat import ChatStream
from ..backends._retry import is_safe_status
from ..errors import BackendWireError
from ..messages import FinishReason, Usage
from ..models import Profile
from ..protocol import parse
from ..reply import Transcript
from .wires import WIRES, Wire

__all__ = ["Answer", "Observations", "answer_of", "as_json"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer, read. ``fault``: why it is none. ``cut``: it was not read to its end.

    ``reasoned``: it said why it ended. ``done``: a stream that said that it is over.
    """

    status: int = 200
    text: str = ""
    reasoning: str = ""
    finish: FinishReason | None = None
    usage: Usage | None = None
    model: str = ""
    streamed: bool = True
    cut: bool = False
    choices: int = 0
    reasoned: bool = False
    done: bool = False
    fault: str = ""

    @property
    def refused(self) -> bool:
        """The server read the request and said no to it."""
        return 400 <= self.status < 500 and not is_safe_status(self.status)

    @property
    def whole(self) -> bool:
        """It is an answer that ended by itself."""
        return self.sound and not self.cut and self.finish != "length"

    @property
    def sound(self) -> bool:
        """It is an answer."""
        return self.status == 200 and not self.fault

    def transcript(self, profile: Profile) -> Transcript:
        """The answer's sections, in the dialect of the model."""
        return parse(self.text, profile.dialect)


@dataclass(slots=True, kw_only=True)
class Observations:
    """All that was seen. None and empty: not asked, or the server has no way to tell.

    ``api``: how it was asked, one of ``WIRES``.
    ``listed``: the row of the list of models; ``shown``: Ollama's settings of the model.
    ``extra``: the fields that go with every question. ``talk``: the profile's own question,
    streamed, without a cap; ``again``: the same once more; ``bare``: without those fields.
    ``capped``: at most ``cap`` tokens, not streamed. ``stopped``: with ``stop`` as a stop string.
    ``prefixed``: after ``prefix``; ``prefixed_tokens`` are in it. ``several``: two answers asked
    for. ``unknown_field`` and ``wrong_model``: what their names say. ``counts``: prompt tokens of
    small requests, by name.
    ``tag_ids``: the tokens of each tag. ``rendered``: the prompt of ``talk`` as the model reads it.
    ``long``: an answer of some hundred tokens, without a cap. ``filled``: with as many tokens asked
    for as the context should have room for (``room``), ``needed``: with those that a reflecting
    answer may need. ``seeded``: two answers with one seed. ``refused``: fields that were left out,
    and the server's words. ``unanswered``: questions to which nothing came, and why. ``quick``:
    only what takes few tokens was asked.
    """

    profile: Profile
    model: str
    api: str = "openai"
    kind: str = "unknown"
    system: str = ""
    prompt: str = ""
    models: tuple[str, ...] = ()
    listed: Mapping[str, Any] = field(default_factory=dict)
    shown: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    talk: Answer = field(default_factory=Answer)
    again: Answer | None = None
    bare: Answer | None = None
    capped: Answer | None = None
    cap: int = 0
    stopped: Answer | None = None
    stop: str = ""
    prefixed: Answer | None = None
    prefix: str = ""
    prefixed_tokens: int = 0
    several: Answer | None = None
    long: Answer | None = None
    filled: Answer | None = None
    room: int = 0
    needed: Answer | None = None
    seeded: tuple[Answer, ...] = ()
    unknown_field: Answer | None = None
    wrong_model: Answer | None = None
    counts: dict[str, int] = field(default_factory=dict)
    tag_ids: dict[str, tuple[int, ...]] = field(default_factory=dict)
    text_tokens: int | None = None
    rendered: str | None = None
    refused: dict[str, str] = field(default_factory=dict)
    unanswered: dict[str, str] = field(default_factory=dict)
    quick: bool = False
    requests: int = 0

    @property
    def wire(self) -> Wire:
        """The shape of questions and answers."""
        return WIRES[self.api]


def answer_of(
    status: int, content_type: str, text: str, *, cut: bool = False, wire: Wire = WIRES["openai"]
) -> Answer:
    """Read the body of a chat answer, streamed or whole."""
    if status != 200:
        return Answer(status=status, fault=_words(text))
    stream = ChatStream(content_type, reader=wire.reader())
    streamed = "data:" in text[:2000] and not text.lstrip().startswith("{")
    events = tuple(_events(text))
    found = Answer(
        streamed=streamed,
        cut=cut,
        choices=len({c.get("index") for c in _choices(events)}),
        reasoned=any(reason for event in events for reason in wire.reason(event)),
        done=wire.over in text,
    )
    parts: list[tuple[str, str]] = []
    fault = ""
    try:
        for chunk in (*stream.feed(text.encode()), *(() if cut else stream.finish())):
            parts.append((chunk.text, chunk.reasoning))
            found = replace(
                found,
                usage=chunk.usage or found.usage,
                finish=chunk.finish or found.finish,
                model=chunk.model or found.model,
            )
    except BackendWireError as error:
        fault = error.message
    return replace(
        found,
        text="".join(t for t, _ in parts),
        reasoning="".join(r for _, r in parts),
        fault=fault,
    )


def as_json(text: str) -> Mapping[str, Any]:
    """The object that a JSON text is; an empty one for anything else."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, Mapping) else {}


def _words(text: str) -> str:
    data = as_json(text)
    error = data.get("error", data)
    said = error.get("message") if isinstance(error, Mapping) else error
    return str(said or text)[:200]


def _events(text: str) -> Iterator[Mapping[str, Any]]:
    if text.lstrip().startswith("{"):
        yield as_json(text)
        return
    for line in text.splitlines():
        if line.startswith("data:") and not line.endswith("[DONE]"):
            yield as_json(line.removeprefix("data:"))


def _choices(events: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for event in events:
        choices = event.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, Mapping) and isinstance(choice.get("index"), int):
                yield choice
