"""Any server that speaks the OpenAI chat API: vLLM, llama.cpp, SGLang, Ollama, LM Studio, ..."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Mapping
from types import TracebackType
from typing import Any, Final, Literal

from ..errors import (
    BackendError,
    BackendStatus,
    ConfigurationError,
    MissingCapability,
    ReflectKitError,
)
from ..messages import Chunk, Request
from ._chat import ChatStream, excerpt
from ._http import Answer, Deadline, Http
from ._retry import Retries, Timeouts, is_safe_status
from ._secrets import Address, Secrets, hidden
from ._wire import body, read_error
from .base import Capabilities

__all__ = ["OpenAIBackend", "Retries", "Timeouts"]

#: How a server goes on from ``Request.prefix``: not at all; with vLLM's and SGLang's two flags; by
#: itself from a trailing assistant message, which it repeats in its answer (llama.cpp).
Continues = Literal["no", "flags", "trailing"]

_CHAT: Final = "/chat/completions"
_FLAGS: Final = {"continue_final_message": True, "add_generation_prompt": False}
#: Fields without which an answer is still the answer: left out when a server refuses them.
_OPTIONAL: Final = frozenset(
    {
        "stream_options",
        "skip_special_tokens",
        "spaces_between_special_tokens",
        "include_reasoning",
        "chat_template_kwargs",
        "return_progress",
        "cache_prompt",
        "top_k",
        "min_p",
        "repetition_penalty",
    }
)
_REFUSES_FIELDS: Final = (400, 422)
#: seconds for what may follow a complete answer: the usage
_AFTERWARDS: Final = 2.0
#: bytes of a list of models
_MODEL_LIST: Final = 8 * 1024 * 1024
_SERVER_FAILED: Final = "The server failed: see its log, or try again later."
_REFUSED: Final = "The server refused the request: see its words."
_HINTS: Final[Mapping[int, str]] = {
    400: _REFUSED,
    401: "Give a valid api_key.",
    403: "This key may not use this model or this server.",
    404: "Check base_url (it often ends in /v1) and the model's name.",
    405: "base_url is not the chat API's address; it often ends in /v1.",
    408: "The server gave up waiting; try again.",
    413: "The request is too large: shorten the messages.",
    422: "The server does not know a field of the request: see its words, and take it out.",
    429: "Too many requests, or the quota is spent: wait, or raise retries.",
    503: "The server is overloaded or still loading the model: try again later.",
}


class OpenAIBackend:
    """Streams from ``POST {base_url}/chat/completions``.

    ``base_url``: the API's address; without a path, ``/v1`` is added. User and password in it are
    taken out and sent as basic authentication. ``model``: its name; if "" the server is asked once
    and must offer exactly one. ``timeout``: ``Timeouts``, or a number of seconds for the whole
    call. ``retries``: ``Retries``, or how often to try again what is safe to send again: connect
    failures, 408, 409, 429 and 5xx, before anything was delivered. ``extra``: fields for
    every request; one that the server refuses by name with 400 or 422 is left out from then on
    (``refused`` lists them). ``continues``: how the server goes on from a prefix. ``trust_env``:
    use the environment's proxies, netrc and certificate settings (off: what is sent where depends
    on the arguments alone).

    Raises ``ConfigurationError`` for an address, key or header that cannot work.
    """

    # A report of a failing constructor shows these.
    _name = _model = ""

    def __init__(
        self,
        base_url: str,
        *,
        model: str = "",
        api_key: str | None = None,
        timeout: Timeouts | float | None = None,
        retries: Retries | int = 2,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
        continues: Continues = "no",
        trust_env: bool = False,
    ) -> None:
        base_url, api_key = hidden(base_url), hidden(api_key)
        headers = {name: hidden(value) for name, value in (headers or {}).items()}
        address = Address.parse(base_url)
        self._secrets = Secrets(api_key, headers, address)
        self._name = address.shown
        self._model = model
        self._extra = dict(extra or {})
        self._continues = continues
        self._refused: set[str] = set()
        self._new_cap_name = False
        self._asking = asyncio.Lock()
        self._timeouts = timeout if isinstance(timeout, Timeouts) else Timeouts(total=timeout)
        self._http = Http(
            address,
            self._secrets,
            timeouts=self._timeouts,
            retries=retries if isinstance(retries, Retries) else Retries(times=retries),
            trust_env=trust_env,
        )

    def __repr__(self) -> str:
        return f"OpenAIBackend({self._name!r}, model={self._model!r})"

    @property
    def model(self) -> str:
        """The model's name; "" until it is known."""
        return self._model

    @property
    def provider(self) -> str:
        """Whose replay payloads these are: the server's address, without secrets."""
        return self._name

    @property
    def refused(self) -> frozenset[str]:
        """Fields that the server refused, and that are no longer sent."""
        return frozenset(self._refused)

    @property
    def capabilities(self) -> Capabilities:
        """What is asked of the server; what it makes of it only its answers show."""
        skip = self._extra.get("skip_special_tokens")
        return Capabilities(
            continues_prefix=self._continues != "no",
            reports_usage="stream_options" not in self._refused,
            keeps_special_tokens=skip is False and "skip_special_tokens" not in self._refused,
            seeds=True,
            tools=True,
            images=True,
        )

    async def stream(self, request: Request, /) -> AsyncGenerator[Chunk, None]:
        """Yield the answer's chunks as they come; the last one carries ``finish``.

        Closing the generator closes the connection, which stops the server's work. Raises
        ``MissingCapability`` before anything is sent, and ``BackendError`` of every kind; text that
        arrived before a fault has been yielded by then.
        """
        self._check(request)
        deadline = Deadline(self._timeouts)
        failure: ReflectKitError | None = None
        try:
            model = request.model or await self._find_model(deadline)
            answer = await self._ask(request, model, deadline)
            try:
                prefix = request.prefix if self._continues == "trailing" else ""
                stream = ChatStream(answer.content_type, stop=request.stop, prefix=prefix)
                while not (stream.over or answer.ended):
                    seconds = _AFTERWARDS if stream.complete else None
                    for chunk in stream.feed(await answer.piece(seconds)):
                        yield chunk
                for chunk in stream.finish():
                    yield chunk
                await answer.drain()
            finally:
                await answer.aclose()
        except ReflectKitError as error:
            failure = self._secrets.clean(error)
        if failure is not None:
            raise failure

    async def resolve(self) -> str:
        """The model's name; the server is asked once if none was given. Raises as ``stream``."""
        return self._model or await self._clean_model()

    async def models(self) -> tuple[str, ...]:
        """The names of the models that the server offers. Raises ``BackendError``."""
        return await self._models(Deadline(self._timeouts))

    async def aclose(self) -> None:
        """Close all connections; the backend cannot be used afterwards."""
        await self._http.aclose()

    async def __aenter__(self) -> OpenAIBackend:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    def _check(self, request: Request) -> None:
        if request.prefix and self._continues == "no":
            raise MissingCapability(
                "This server is not known to go on from a prefix.",
                capability="continues_prefix",
                hint='Pass continues="flags" (vLLM, SGLang) or continues="trailing" (llama.cpp).',
            )

    def _content(self, request: Request, model: str) -> tuple[dict[str, Any], bytes]:
        flags = _FLAGS if request.prefix and self._continues == "flags" else {}
        fields = body(request, model=model, extra={**self._extra, **flags}, provider=self.provider)
        fields = {k: v for k, v in fields.items() if k not in self._refused}
        if self._new_cap_name and "max_tokens" in fields:
            fields["max_completion_tokens"] = fields.pop("max_tokens")
        try:
            return fields, json.dumps(fields, allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise ConfigurationError(
                f"The request is no JSON: {error}.", hint="See its extra fields and content parts."
            ) from None

    async def _ask(self, request: Request, model: str, deadline: Deadline) -> Answer:
        """Send; again without the fields that the server refuses by name."""
        while True:
            fields, content = self._content(request, model)
            answer = await self._http.open("POST", _CHAT, deadline, content)
            if 200 <= answer.status < 300:
                return answer
            said = self._secrets.redact(await answer.read())
            if not self._adapt(answer.status, said, fields):
                raise await self._refusal(answer, said, fields["model"], deadline)

    def _adapt(self, status: int, said: str, fields: Mapping[str, Any]) -> bool:
        """Learn from a refusal; True when a different request can be made now."""
        if status not in _REFUSES_FIELDS:
            return False
        if "max_tokens" in fields and "max_completion_tokens" in said:
            self._new_cap_name = True
            return True
        optional = (_OPTIONAL | self._extra.keys()) & fields.keys()
        named = {f for f in optional if re.search(rf"\b{re.escape(f)}\b", said)}
        self._refused |= named
        return bool(named)

    async def _refusal(
        self, answer: Answer, said: str, model: str, deadline: Deadline
    ) -> BackendStatus:
        hint = _HINTS.get(answer.status, _SERVER_FAILED if answer.status >= 500 else _REFUSED)
        if answer.location:
            hint = "The server is somewhere else: redirects are not followed; set base_url."
        if answer.status in (400, 404) and "model" in said.lower():
            hint = await self._offered(model, deadline) or hint
        return BackendStatus(
            f"{self._name} answered {answer.status}: {_words(said)}".rstrip(": "),
            hint=hint,
            status=answer.status,
            retryable=is_safe_status(answer.status),
            retry_after=answer.retry_after,
        )

    async def _offered(self, model: str, deadline: Deadline) -> str:
        try:
            names = await self._models(deadline)
        except BackendError:
            return ""
        if not names or model in names:
            return ""
        return f"It has no model {model!r}; it offers: {_list(names)}."

    async def _clean_model(self) -> str:
        try:
            return await self._find_model(Deadline(self._timeouts))
        except ReflectKitError as error:
            failure = self._secrets.clean(error)
        raise failure

    async def _find_model(self, deadline: Deadline) -> str:
        if self._model:
            return self._model
        async with self._asking:
            if not self._model:
                names = await self._models(deadline)
                if len(names) != 1:
                    found = f"offers {_list(names)}" if names else "names none"
                    raise ConfigurationError(
                        f"No model was chosen, and {self._name} {found}.", hint="Pass model=..."
                    )
                self._model = names[0]
        return self._model

    async def _models(self, deadline: Deadline) -> tuple[str, ...]:
        answer = await self._http.open("GET", "/models", deadline)
        said = self._secrets.redact(await answer.read(_MODEL_LIST))
        if answer.status != 200:
            raise BackendStatus(
                f"{self._name}/models answered {answer.status}: {_words(said)}".rstrip(": "),
                hint="Pass model=... if this server does not list its models.",
                status=answer.status,
                retryable=is_safe_status(answer.status),
            )
        return _model_names(said)


def _model_names(text: str) -> tuple[str, ...]:
    try:
        rows = json.loads(text)["data"]
        return tuple(row["id"] for row in rows if isinstance(row["id"], str))
    except (ValueError, RecursionError, KeyError, TypeError):
        return ()


def _list(names: tuple[str, ...], most: int = 10) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _words(said: str) -> str:
    """What a refusing server says: its JSON message, or the beginning of its text."""
    try:
        fault = read_error(json.loads(said))
    except (ValueError, RecursionError):
        fault = None
    return fault.message[:500] if fault else excerpt(said.encode())
