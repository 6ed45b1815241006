"""``reflectkit ask``: a question, answered live."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError, ReflectKitError
from ._correcting import Attempts, correction
from ._exits import complaint, verdict_on
from ._options import KEY
from ._printer import Printer, printable, wants_colour
from ._spending import budget_of, cut_short, scopes_of
from ._stdin import is_piped, read_stdin
from ._values import (
    attempt_values,
    error_value,
    event_value,
    reply_value,
    transcript_value,
    write,
)

if TYPE_CHECKING:
    from argparse import Namespace

    from ..backends.anthropic import AnthropicBackend
    from ..backends.ollama import OllamaBackend
    from ..client import Client
    from ..events import Event
    from ..ledgers import Scope
    from ..reply import Reply, Summary
    from ..stream import ReplyStream

__all__ = ["ask"]

#: Options that go to the client as they are, when they were given.
PASSED = (
    "model",
    "mode",
    "variant",
    "show",
    "system",
    "temperature",
    "seed",
    "max_tokens",
    "timeout",
    "api_key",
)


def ask(options: Namespace) -> int:
    """Stream the answer; 0 when it is complete and accepted."""
    if options.stream and not options.json:
        raise ConfigurationError("--stream belongs to --json.", hint="Text streams without it.")
    report = Lines(options) if options.json else Text(options)
    try:
        return asyncio.run(_answer(options, _prompt(options.prompt), report))
    except ReflectKitError as error:
        report.failed(error)
        raise


def _prompt(words: list[str]) -> str:
    """The words, with standard input in the place of ``-``, or after them when it is a pipe."""
    if words == ["-"]:
        return read_stdin()
    given = " ".join(words)
    try:
        given.encode()
    except UnicodeEncodeError as error:
        raise ConfigurationError(
            "The question is not UTF-8.", hint="See the terminal's encoding (LANG)."
        ) from error
    piped = read_stdin().strip() if is_piped() else ""
    prompt = "\n\n".join(part for part in (given, piped) if part.strip())
    if not prompt:
        raise ConfigurationError(
            "There is no question.", hint='Ask one: reflectkit ask "What is (2 + 2) * 7?"'
        )
    return prompt


def _client(
    options: Namespace, scopes: list[Scope]
) -> tuple[Client, AnthropicBackend | OllamaBackend | None]:
    from ..client import Client

    if options.verbose:
        _log_to_stderr()
    settings: dict[str, Any] = {n: v for n in PASSED if (v := getattr(options, n)) is not None}
    settings["scopes"] = scopes
    settings |= correction(options)
    if options.think is not None:
        settings["reasoning"] = options.think
    remote = options.base_url or options.api != "openai"
    if remote and not options.api_key:
        settings["api_key"] = os.environ.get(KEY) or None
    if options.api == "openai":
        return Client(options.base_url, **settings), None
    backend = _backend(options, {n: settings.pop(n, None) for n in ("api_key", "timeout")})
    return Client(backend, **settings), backend


def _backend(options: Namespace, wire: dict[str, Any]) -> AnthropicBackend | OllamaBackend:
    from ..backends.anthropic import AnthropicBackend
    from ..backends.ollama import OllamaBackend

    where = (options.base_url,) if options.base_url else ()
    if options.api == "anthropic":
        return AnthropicBackend(*where, model=options.model or "", **wire)
    return OllamaBackend(*where, model=options.model or "", **wire)


@asynccontextmanager
async def _opened(options: Namespace) -> AsyncIterator[Client]:
    async with scopes_of(options) as scopes:
        client, backend = _client(options, scopes)
        try:
            async with client:
                yield client
        finally:
            if backend:
                await backend.aclose()


async def _answer(options: Namespace, prompt: str, report: Text | Lines) -> int:
    budget = budget_of(options)
    async with _opened(options) as client, client.stream(prompt, budget=budget) as stream:
        try:
            async for event in stream:
                report.event(event, stream)
            reply = await stream.reply()
        except asyncio.CancelledError:
            report.interrupted(stream)
            raise
    report.reply(reply)
    return verdict_on(reply)


class Text:
    """The answer as text for people."""

    def __init__(self, options: Namespace) -> None:
        colour, labels = wants_colour(sys.stdout), options.show != "hidden"
        self._printer = Printer(sys.stdout, colour=colour, labels=labels)
        self._summary: bool = options.show == "summary"
        self._attempts = Attempts(self._printer, options)

    def event(self, event: Event, stream: ReplyStream) -> None:
        if not self._attempts.takes(event, stream):
            self._printer.show(event)

    def reply(self, reply: Reply) -> None:
        self._attempts.reply(reply)
        if self._summary and reply.summary:
            self._printer.note(_in_words(reply.summary))
        self._printer.end()
        for said in (complaint(reply), cut_short(reply), self._attempts.status(reply)):
            if said:
                print(f"reflectkit: {printable(said)}", file=sys.stderr)

    def interrupted(self, _: ReplyStream) -> None:
        self._printer.end()

    def failed(self, _: ReflectKitError) -> None:
        self._printer.end()


def _in_words(summary: Summary) -> str:
    """How much thinking there was, as a phrase."""
    counted = [
        f"{number} {name}{'s' * (number != 1)}"
        for number, name in (
            (summary.reflections, "reflection"),
            (summary.tokens, "token"),
            (summary.characters, "character"),
        )
        if number is not None
    ]
    return f"thinking not shown: {', '.join(counted)}"


class Lines:
    """The answer as JSON for programs: one object, or with ``--stream`` one line for each event."""

    def __init__(self, options: Namespace) -> None:
        self._live: bool = options.stream

    def event(self, event: Event, _: ReplyStream) -> None:
        if self._live:
            write(event_value(event), sys.stdout)

    def reply(self, reply: Reply) -> None:
        self._last("reply", reply_value(reply))

    def interrupted(self, stream: ReplyStream) -> None:
        over = {"ending": "cancelled", "attempts": attempt_values(stream.attempts)}
        self._last("reply", {**transcript_value(stream.partial), **over})

    def failed(self, error: ReflectKitError) -> None:
        self._last("error", error_value(error))

    def _last(self, name: str, value: dict[str, Any]) -> None:
        write({"event": name, **value} if self._live else value, sys.stdout)


def _log_to_stderr() -> None:
    import logging

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("reflectkit")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
