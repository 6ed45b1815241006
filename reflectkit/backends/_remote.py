"""What all backends over HTTP share: one request, its refusals, and the stream of its answer."""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self, TypeVar

from ..errors import BackendError, BackendStatus, ConfigurationError, ReflectKitError
from ..messages import Chunk, Request
from ._chat import ChatStream, excerpt
from ._http import Answer, Deadline, Http
from ._local import check_at_least
from ._retry import Retries, Timeouts, is_safe_status
from ._secrets import Address, Secrets
from ._wire import read_error

if TYPE_CHECKING:
    import httpx

__all__ = ["Exchange", "RemoteBackend"]

T = TypeVar("T")

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
    404: "Check base_url and the model's name.",
    405: "base_url is not the chat API's address.",
    408: "The server gave up waiting; try again.",
    413: "The request is too large: shorten the messages.",
    422: "The server does not know a field of the request: see its words, and take it out.",
    429: "Too many requests, or the quota is spent: wait, or raise retries.",
    503: "The server is overloaded or still loading the model: try again later.",
    529: "The service is overloaded: try again later.",
}


@dataclass(frozen=True, slots=True)
class Exchange:
    """A server's answer as it is; ``cut``: it was not read to its end."""

    status: int
    content_type: str
    text: str
    cut: bool = False


class RemoteBackend(ABC):
    """One server. A subclass says what is sent, and how the answer's bytes are read.

    Raises ``ConfigurationError`` for an address, key or header that cannot work.
    """

    #: where questions go, and where the list of models is
    _chat_path: ClassVar[str]
    _models_path: ClassVar[str]
    #: what to do about a status, before what is true of every server
    _hints: ClassVar[Mapping[int, str]] = {}
    # A report of a failing constructor shows these.
    _name = _model = ""

    def __init__(
        self,
        address: Address,
        secrets: Secrets,
        *,
        model: str,
        timeout: Timeouts | float | None,
        retries: Retries | int,
        extra: Mapping[str, Any] | None,
        trust_env: bool,
        connections: int | None,
        http_client: httpx.AsyncClient | None,
    ) -> None:
        check_at_least(connections=(connections, 1))
        self._secrets = secrets
        self._name = address.shown
        self._model = model
        self._extra = dict(extra or {})
        self._asking = asyncio.Lock()
        self._timeouts = timeout if isinstance(timeout, Timeouts) else Timeouts(total=timeout)
        self._http = Http(
            address,
            secrets,
            timeouts=self._timeouts,
            retries=retries if isinstance(retries, Retries) else Retries(times=retries),
            trust_env=trust_env,
            connections=connections,
            client=http_client,
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name!r}, model={self._model!r})"

    @property
    def model(self) -> str:
        """The model's name; "" until it is known."""
        return self._model

    @property
    def provider(self) -> str:
        """Whose replay payloads these are: the server's address, without secrets."""
        return self._name

    async def stream(self, request: Request, /) -> AsyncGenerator[Chunk, None]:
        """Yield the answer's chunks as they come; the last one carries ``finish``.

        Closing the generator closes the connection, which stops the server's work. Raises
        ``MissingCapability`` or ``ConfigurationError`` before anything is sent, and
        ``BackendError`` of every kind; text that arrived before a fault has been yielded by then.
        """
        deadline = Deadline(self._timeouts)
        failure: ReflectKitError | None = None
        try:
            await self._prepare(request, deadline)
            model = request.model or await self._find_model(deadline)
            answer = await self._ask(request, model, deadline)
            try:
                stream = self._reader(answer.content_type, request)
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
        return self._model or await self._cleanly(self._find_model)

    async def models(self) -> tuple[str, ...]:
        """The names of the models that the server offers. Raises ``BackendError``."""
        return await self._cleanly(self._models)

    async def exchange(
        self,
        path: str,
        fields: Mapping[str, Any] | None = None,
        *,
        most: int = _MODEL_LIST,
    ) -> Exchange:
        """One exchange as it is, for tools that look at servers: GET, or POST with ``fields``.

        ``path`` follows the base address; "/../x" lies beside the API's version. The answer is read
        to its end, or until it has ``most`` bytes. Any status is an answer. Raises
        ``BackendUnreachable`` and ``BackendTimeout``.
        """
        return await self._cleanly(lambda deadline: self._exchange(path, fields, most, deadline))

    async def aclose(self) -> None:
        """Close all connections; the backend cannot be used afterwards."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    # --- what a subclass says

    @abstractmethod
    def _check(self, request: Request) -> None:
        """Refuse what this server cannot do."""

    async def _prepare(self, request: Request, deadline: Deadline) -> None:
        """Find out what the request needs to know of the server, and refuse what it cannot do."""
        self._check(request)

    @abstractmethod
    def _fields(self, request: Request, model: str) -> dict[str, Any]:
        """The JSON body."""

    @abstractmethod
    def _reader(self, content_type: str, request: Request) -> ChatStream:
        """What reads the answer's body."""

    @abstractmethod
    def _model_names(self, data: Any) -> tuple[str, ...]:
        """The names in a list of models; may raise ``KeyError`` and ``TypeError``."""

    def _adapt(self, status: int, said: str, fields: Mapping[str, Any]) -> bool:
        """Learn from a refusal; True when a different request can be made now."""
        return False

    # --- the request

    def _content(self, request: Request, model: str) -> tuple[dict[str, Any], bytes]:
        fields = self._fields(request, model)
        try:
            return fields, json.dumps(fields, allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise ConfigurationError(
                f"The request is no JSON: {error}.", hint="See its extra fields and content parts."
            ) from None

    async def _ask(self, request: Request, model: str, deadline: Deadline) -> Answer:
        """Send; again, if something can be learnt from a refusal."""
        while True:
            fields, content = self._content(request, model)
            answer = await self._http.open("POST", self._chat_path, deadline, content)
            if 200 <= answer.status < 300:
                return answer
            said = self._secrets.redact(await answer.read())
            if not self._adapt(answer.status, said, fields):
                raise await self._refusal(answer, said, fields.get("model", ""), deadline)

    async def _question(self, path: str, fields: Mapping[str, Any], deadline: Deadline) -> Any:
        """The JSON answer to a small question beside the chat."""
        answer = await self._http.open("POST", path, deadline, json.dumps(fields).encode())
        said = self._secrets.redact(await answer.read())
        if answer.status != 200:
            raise await self._refusal(answer, said, str(fields.get("model", "")), deadline)
        try:
            return json.loads(said)
        except (ValueError, RecursionError):
            return None

    async def _exchange(
        self,
        path: str,
        fields: Mapping[str, Any] | None,
        most: int,
        deadline: Deadline,
    ) -> Exchange:
        content = b"" if fields is None else json.dumps(fields).encode()
        method = "GET" if fields is None else "POST"
        answer = await self._http.open(method, path, deadline, content)
        body = bytearray()
        try:
            while not answer.ended and len(body) < most:
                piece = await answer.piece()
                body += piece if isinstance(piece, bytes) else b""
        finally:
            await answer.aclose()
        text = self._secrets.redact(body.decode("utf-8", "replace"))
        return Exchange(answer.status, answer.content_type, text, cut=not answer.ended)

    async def _refusal(
        self, answer: Answer, said: str, model: str, deadline: Deadline
    ) -> BackendStatus:
        usual = _SERVER_FAILED if answer.status >= 500 else _REFUSED
        hint = {**_HINTS, **self._hints}.get(answer.status, usual)
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

    async def _cleanly(self, ask: Callable[[Deadline], Awaitable[T]]) -> T:
        """What ``ask`` gives; an error of it without the key, and without what led to it."""
        try:
            return await ask(Deadline(self._timeouts))
        except ReflectKitError as error:
            failure = self._secrets.clean(error)
        raise failure

    # --- the model

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
        answer = await self._http.open("GET", self._models_path, deadline)
        said = self._secrets.redact(await answer.read(_MODEL_LIST))
        if answer.status != 200:
            raise BackendStatus(
                f"{self._name}{self._models_path} answered {answer.status}: {_words(said)}".rstrip(
                    ": "
                ),
                hint="Pass model=... if this server does not list its models.",
                status=answer.status,
                retryable=is_safe_status(answer.status),
            )
        try:
            return self._model_names(json.loads(said))
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
