"""A client of the openai or anthropic package, as its user set it up, as a backend.

The package is not patched, and not imported here: what is told apart are its objects.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace
from typing import Any, Final, Literal

from ..errors import (
    BackendError,
    BackendStatus,
    BackendTimeout,
    BackendUnreachable,
    BackendWireError,
    ConfigurationError,
    MissingCapability,
)
from ..messages import Chunk, Request
from . import _messages_wire, _wire
from ._chat import AnswerReader
from ._kinds import MESSAGES, UNKNOWN, merged, recognised
from ._retry import is_safe_status, parse_retry_after
from ._secrets import hidden
from .base import Capabilities

__all__ = ["SDKBackend", "from_sdk"]

#: how the server behind an openai client goes on from a prefix; see ``OpenAIBackend``
Continues = Literal["no", "flags", "trailing"]

#: what the packages' own methods take by name; everything else goes into ``extra_body``
_BOTH: Final = ("model", "messages", "max_tokens", "stream", "temperature", "top_p", "tools")
_TAKES: Final = {
    "openai": frozenset(
        (
            *_BOTH,
            "stream_options",
            "max_completion_tokens",
            "seed",
            "stop",
            "tool_choice",
            "response_format",
            "reasoning_effort",
        )
    ),
    "anthropic": frozenset(
        (*_BOTH, "system", "top_k", "stop_sequences", "thinking", "tool_choice", "metadata")
    ),
}
_CLIENTS: Final = {
    ("openai", True): "AsyncOpenAI",
    ("openai", False): "OpenAI",
    ("anthropic", True): "AsyncAnthropic",
    ("anthropic", False): "Anthropic",
}


def from_sdk(
    client: Any,
    *,
    model: str = "",
    extra: Mapping[str, Any] | None = None,
    max_tokens: int = 4096,
    continues: Continues = "no",
) -> SDKBackend:
    """A backend that asks through ``client``: an ``AsyncOpenAI`` or ``AsyncAnthropic`` (or one of
    their kinds for Azure, Bedrock, Vertex).

    Its address, key, time-outs, retries and transport are the client's own, and closing it stays
    yours. ``extra``: fields for every request. ``max_tokens``: the cap where a request names none
    (Anthropic's API demands one). Raises ``ConfigurationError`` for anything else, a client
    without ``async`` included.
    """
    package = next(
        (p for c in type(client).__mro__ if (p := c.__module__.partition(".")[0]) in _TAKES), ""
    )
    waits = {c.__name__ for c in type(client).__mro__}
    if package and _CLIENTS[package, False] in waits:
        raise ConfigurationError(
            f"This is a client without async: {type(client).__name__}.",
            hint=f"Pass {_CLIENTS[package, True]}.",
        )
    if not package or _CLIENTS[package, True] not in waits:
        raise ConfigurationError(
            f"A {type(client).__name__} is no client of the openai or anthropic package.",
            hint="Pass AsyncOpenAI or AsyncAnthropic, or write a FunctionBackend.",
        )
    return SDKBackend(client, package, model, dict(extra or {}), max_tokens, continues)


class SDKBackend:
    """See ``from_sdk``, which makes it."""

    def __init__(
        self,
        client: Any,
        package: str,
        model: str,
        extra: Mapping[str, Any],
        max_tokens: int,
        continues: Continues,
    ) -> None:
        self._client = client
        self._package = package
        self._extra = extra
        self._max_tokens = max_tokens
        self._continues = continues
        host = getattr(getattr(client, "base_url", ""), "host", "")
        known = recognised(host=host) or UNKNOWN
        self._knobs = MESSAGES if package == "anthropic" else known.knobs
        self.model = model

    def __repr__(self) -> str:
        return f"from_sdk({type(self._client).__name__}, model={self.model!r})"

    @property
    def provider(self) -> str:
        """Whose replay payloads these are: the address that the client asks."""
        return f"{self._package} {_host(self._client)}"

    @property
    def capabilities(self) -> Capabilities:
        """What is asked for; what the server makes of it only its answers show."""
        return Capabilities(
            continues_prefix=self._continues != "no",
            reports_usage=True,
            seeds=self._package == "openai",
            tools=True,
            images=True,
            reasoning=self._knobs.names,
        )

    async def stream(self, request: Request, /) -> AsyncGenerator[Chunk, None]:
        """Yield the answer's chunks; the last one carries ``finish``.

        Raises ``MissingCapability`` and ``ConfigurationError`` before anything is sent, and
        ``BackendError`` in place of the package's own errors.
        """
        fields, reader = self._ready(request)
        failure: BackendError | None = None
        answer: Any = None
        try:
            answer = await self._create(fields)
            async for event in answer:
                data = _plain(event)
                if fault := reader.fault(data):
                    failure = BackendWireError(fault.message, status=fault.code)
                    break
                for chunk in reader.read(data):
                    yield chunk
                if reader.stopped:
                    break
        except Exception as error:
            failure = self._translated(error, reader.started)
            if failure is None:
                raise
        finally:
            if answer is not None:
                await answer.close()
        last = reader.finish()
        if failure is None and last.finish is None and not reader.ended:
            failure = BackendWireError("The stream ended before the answer was finished.")
        if failure is None:
            yield last
            return
        if last.text:
            yield Chunk(last.text, model=last.model)
        failure.usage = last.usage
        raise failure

    def _ready(self, request: Request) -> tuple[dict[str, Any], AnswerReader]:
        if request.prefix and self._continues == "no":
            raise MissingCapability(
                "This server is not known to go on from a prefix.",
                capability="continues_prefix",
                hint='Pass continues="flags" or continues="trailing" if it does.',
            )
        if self._package == "anthropic":
            fields = _messages_wire.body(
                request,
                model=self.model,
                max_tokens=self._max_tokens,
                extra=self._extra,
                provider=self.provider,
            )
            capped = replace(request, max_tokens=fields["max_tokens"])
            fields = merged(fields, self._knobs.fields(capped, repr(self)))
            _messages_wire.check_thinking(fields, prefix=bool(request.prefix))
            return fields, _messages_wire.MessageReader(stop=request.stop)
        flags = _wire.CONTINUES if request.prefix and self._continues == "flags" else {}
        fields = _wire.body(
            request, model=self.model, extra={**self._extra, **flags}, provider=self.provider
        )
        fields = merged(fields, self._knobs.fields(request, repr(self)))
        prefix = request.prefix if self._continues == "trailing" else ""
        return fields, _wire.ChunkReader(stop=request.stop, prefix=prefix)

    async def _create(self, fields: Mapping[str, Any]) -> Any:
        named = {k: v for k, v in fields.items() if k in _TAKES[self._package]}
        other = {k: v for k, v in fields.items() if k not in named}
        given = {**named, "extra_body": other or None}
        ours = self._client.chat.completions if self._package == "openai" else self._client.messages
        words = ""
        try:
            return await ours.create(**given)
        except (TypeError, ValueError, RecursionError) as error:
            words = self._redacted(f"{type(error).__name__}: {error}")
        raise ConfigurationError(
            f"The {self._package} package cannot send this request ({words}).",
            hint="See its messages, extra fields and content parts.",
        )

    def _translated(self, error: Exception, started: bool) -> BackendError | None:
        """The package's error as one of ours; None for one that is not its own."""
        kinds = {c.__name__ for c in type(error).__mro__}
        words = self._redacted(str(error))
        if "APITimeoutError" in kinds:
            return BackendTimeout(words, hint="Give the client a longer timeout.")
        if "APIConnectionError" in kinds and not started:
            return BackendUnreachable(words, hint="Is the client's base_url right?")
        if "APIStatusError" in kinds:
            return self._refused(error, words)
        foreign = type(error).__module__.startswith(("httpx", "httpcore"))
        # a ValueError is bytes that are no text, text that is no JSON, or JSON of another shape
        if "APIError" in kinds or foreign or isinstance(error, ValueError):
            return BackendWireError(words, hint="The text so far is kept.", retryable=True)
        return None

    def _refused(self, error: Any, words: str) -> BackendStatus:
        status = int(error.status_code)
        asked = error.response.headers.get("retry-after")
        return BackendStatus(
            words,
            hint="See the server's words.",
            status=status,
            retryable=is_safe_status(status),
            retry_after=parse_retry_after(asked, now=time.time()),
        )

    def _redacted(self, text: str) -> str:
        for name in ("api_key", "auth_token"):
            secret = hidden(getattr(self._client, name, None))
            if isinstance(secret, str) and len(secret) > 3:
                text = text.replace(secret, "***")
        return text


def _plain(event: Any) -> object:
    """The event as JSON: the packages check nothing, and may give what is no object of theirs."""
    return event.model_dump() if hasattr(event, "model_dump") else event


def _host(client: Any) -> str:
    """The client's address without user, password and query."""
    url = getattr(client, "base_url", "")
    return f"{getattr(url, 'host', '')}{getattr(url, 'path', '')}"
