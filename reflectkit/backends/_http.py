"""HTTP: the one module that knows httpx (imported at first use), and translates its errors.

To put another client in its place, change this file alone.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cache
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from ..errors import (
    BackendError,
    BackendTimeout,
    BackendUnreachable,
    BackendWireError,
    ConfigurationError,
    ReflectKitError,
)
from ._retry import Retries, Timeouts, is_safe_status, parse_retry_after
from ._secrets import Address, Secrets

if TYPE_CHECKING:
    import httpx

__all__ = ["Answer", "Deadline", "Http"]

T = TypeVar("T")
#: the transport's steps that make a connection
_CONNECTING: Final = ("connection.connect_", "connection.start_tls")
#: seconds between the pieces of an answer that is not a stream
_SHORT: Final = 10.0
#: seconds for the last bytes after an answer is complete, so that the connection can be used again
_DRAIN: Final = 0.05
#: and how many pieces of them
_DRAINED: Final = 4
#: idle connections that are kept for later requests
_KEPT: Final = 20


class Deadline:
    """How long the next wait of one call may take. Seconds on the event loop's clock."""

    def __init__(self, timeouts: Timeouts) -> None:
        self.timeouts = timeouts
        self._start = asyncio.get_running_loop().time()

    def limit(self, seconds: float | None, what: str) -> tuple[float | None, str]:
        """The wait allowed, and the words for what ran out if it does."""
        left = self.left()
        if left is not None and (seconds is None or left < seconds):
            return max(left, 0.0), f"the answer was not complete within {self.timeouts.total:g} s"
        return seconds, f"{what} within {seconds:g} s" if seconds is not None else what

    def left(self) -> float | None:
        """Seconds until the total is spent; None without a total."""
        if self.timeouts.total is None:
            return None
        return self._start + self.timeouts.total - asyncio.get_running_loop().time()


class Answer:
    """One HTTP answer whose body is still to be read. Close it on every path."""

    def __init__(self, response: httpx.Response, http: Http, deadline: Deadline) -> None:
        self._response = response
        # httpx writes its async generators down as plain iterators
        self._pieces = cast("AsyncGenerator[bytes, None]", response.aiter_bytes())
        self._http = http
        self._deadline = deadline
        self._began = False
        self._whole = False
        self._silence = _Silence(deadline.timeouts.between, self._hang_up)
        #: no more bytes will come
        self.ended = False
        self.status = response.status_code
        self.content_type = response.headers.get("content-type", "")
        self.location = response.headers.get("location", "")
        self.retry_after = parse_retry_after(response.headers.get("retry-after"), now=time.time())

    async def piece(self, seconds: float | None = None) -> bytes | ReflectKitError:
        """The next bytes of the body, or the fault that ended it. See ``ended``.

        ``seconds`` takes the place of the time-out.
        """
        try:
            # Between pieces, which are many, one timer watches over all; else each has its own.
            if self._began and seconds is None and self._deadline.timeouts.total is None:
                with self._silence:
                    piece = await self._http.wait(anext(self._pieces, None), None, began=True)
            else:
                limit = self._limit(seconds)
                piece = await self._http.wait(anext(self._pieces, None), limit, began=True)
        except ReflectKitError as error:
            self.ended = True
            return self._http.too_slow(self._limit(seconds)[1]) if self._silence.broken else error
        self._began = True
        self.ended = self._whole = piece is None
        return piece or b""

    def _limit(self, seconds: float | None) -> tuple[float | None, str]:
        timeouts = self._deadline.timeouts
        what = "no further byte came" if self._began else "no byte of the answer came"
        wait = timeouts.between if self._began else timeouts.first
        return self._deadline.limit(wait if seconds is None else seconds, what)

    async def read(self, largest: int = 64 * 1024) -> str:
        """The beginning of the body; a fault on the way ends it. Closes the answer."""
        body = bytearray()
        try:
            while not self.ended and len(body) < largest:
                piece = await self.piece(_SHORT)
                body += piece if isinstance(piece, bytes) else b""
        finally:
            await self.aclose()
        return body[:largest].decode("utf-8", "replace")

    async def drain(self) -> None:
        """Read the last bytes of a complete answer, if they are there already."""
        for _ in range(_DRAINED):
            if not self.ended:
                await self.piece(_DRAIN)

    async def aclose(self) -> None:
        """Give the connection back, or end it if the body was not read to its end."""
        self._silence.stop()
        await self._http.finish(self._close())

    def _hang_up(self) -> None:
        """End the connection, which ends the wait for it."""
        self._http.later(self._end_connection())

    async def _end_connection(self) -> None:
        # a transport of the user's own may have none
        stream = self._response.extensions.get("network_stream") or self._response
        await stream.aclose()

    async def _close(self) -> None:
        await self._pieces.aclose()
        await self._response.aclose()
        if not self._whole:
            # if a time-out and a cancellation come together, the second one can interrupt the
            # client's own clean-up: end the connection itself
            await self._end_connection()


class _Silence:
    """Calls ``then`` when the code inside ``with`` was waiting for longer than ``seconds``.

    There is one timer for all its uses: a timer of its own for each piece of an answer would cost
    more than reading the piece does.
    """

    def __init__(self, seconds: float | None, then: Callable[[], None]) -> None:
        self._seconds = seconds
        self._then = then
        self._loop = asyncio.get_running_loop()
        self._since: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        #: it was called
        self.broken = False

    def __enter__(self) -> None:
        self._since = self._loop.time()
        if self._timer is None and self._seconds is not None:
            self._timer = self._loop.call_later(self._seconds, self._look)

    def __exit__(self, *_: object) -> None:
        self._since = None

    def stop(self) -> None:
        """Watch no longer."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None

    def _look(self) -> None:
        assert self._seconds is not None
        now = self._loop.time()
        due = (now if self._since is None else self._since) + self._seconds
        if due > now:
            self._timer = self._loop.call_at(due, self._look)
            return
        self.broken = True
        self._timer = None
        self._then()


@dataclass(frozen=True, slots=True)
class _Outcome:
    """Of one attempt: an answer or an error, and whether sending again repeats nothing."""

    answer: Answer | None = None
    error: ReflectKitError | None = None
    safe: bool = False


@cache
def _quiet_url() -> type[httpx.URL]:
    """An address that is sent as it is, and shown without its query, which may hold a key.

    httpx logs the address of every request.
    """
    import httpx

    class QuietURL(httpx.URL):
        def __str__(self) -> str:
            return str(self.copy_with(query=None))

        def __repr__(self) -> str:
            return repr(self.copy_with(query=None))

    return QuietURL


class Http:
    """Requests to one server: time-outs, retries, and errors of our own tree.

    Proxies, netrc and certificate settings of the environment are used only with ``trust_env``.
    Redirects are not followed: they would carry the key elsewhere.
    """

    def __init__(
        self,
        address: Address,
        secrets: Secrets,
        *,
        timeouts: Timeouts,
        retries: Retries,
        trust_env: bool = False,
        connections: int | None = None,
        client: httpx.AsyncClient | None = None,
    ) -> None:
        if client is not None and not iscoroutinefunction(getattr(client, "send", None)):
            raise ConfigurationError(
                f"http_client is a {type(client).__name__}.", hint="Pass an httpx.AsyncClient."
            )
        self._address = address
        self._secrets = secrets
        self._timeouts = timeouts
        self._retries = retries
        self._trust_env = trust_env
        self._connections = connections
        self._given = client
        self._client: httpx.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._closing: set[asyncio.Future[None]] = set()

    async def open(
        self, method: str, path: str, deadline: Deadline, content: bytes = b""
    ) -> Answer:
        """Send, and send again what is safe to: connect failures, 408, 409, 429 and 5xx.

        Gives the answer to the last attempt whatever its status; raises ``BackendUnreachable`` or
        ``BackendTimeout``. The caller closes the answer.
        """
        for attempt in itertools.count():
            outcome = await self._once(method, path, deadline, content)
            delay = self._delay(outcome, attempt, deadline)
            if delay is None:
                break
            if outcome.answer:
                await outcome.answer.aclose()
            await self._retries.sleep(delay)
        if outcome.answer:
            return outcome.answer
        raise outcome.error or AssertionError("an outcome is one of the two")

    async def wait(
        self, awaitable: Awaitable[T], limit: tuple[float | None, str] | None, *, began: bool
    ) -> T:
        """Await within a limit; every foreign error becomes one of ours.

        Ours is raised outside the ``except`` blocks: as a context, the foreign one would carry the
        request, and with it the key, into tracebacks.
        """
        import httpx

        error: ReflectKitError
        try:
            if limit is None:
                return await awaitable
            async with asyncio.timeout(limit[0]):
                return await awaitable
        except TimeoutError:
            error = self.too_slow(limit[1] if limit else "it took too long")
        except httpx.InvalidURL as foreign:
            error = ConfigurationError(f"{self._address.shown} is no URL to send to: {foreign}.")
        except (httpx.HTTPError, httpx.StreamError) as foreign:
            error = self._translate(foreign, began)
        raise error

    def too_slow(self, what: str) -> BackendTimeout:
        """The error for a wait that was too long; ``what`` did not happen in time."""
        return BackendTimeout(
            f"{self._address.shown}: {what}.", hint="Give it longer (timeout), or ask for less."
        )

    def later(self, work: Awaitable[None]) -> None:
        """Start a clean-up that nobody waits for."""
        self._keep(asyncio.ensure_future(work))

    async def finish(self, closing: Awaitable[None]) -> None:
        """Run a clean-up to its end even if the caller is cancelled meanwhile."""
        task = asyncio.ensure_future(closing)
        self._keep(task)
        await asyncio.shield(task)

    async def aclose(self) -> None:
        """Close every connection; further requests are refused."""
        self._closed = True
        client, self._client = self._client, None
        if self._given is None and self._loop is not asyncio.get_running_loop():
            return  # what that loop held ended with it
        for task in tuple(self._closing):
            task.cancel()
        await asyncio.gather(*self._closing, return_exceptions=True)
        if client is not None:
            await self.finish(client.aclose())

    def _keep(self, task: asyncio.Future[None]) -> None:
        """The loop holds tasks weakly: clean-ups must not be lost."""
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _once(self, method: str, path: str, deadline: Deadline, content: bytes) -> _Outcome:
        """One attempt. Kept connections that turn out to be closed do not count as one."""
        outcome = _Outcome()
        for _ in range(_KEPT + 1):  # each turn uses up one of them, and a new one is never stale
            trace = _Trace()
            outcome = await self._try(method, path, deadline, content, trace)
            if not trace.stale_after(outcome.error):
                break
        return outcome

    async def _try(
        self, method: str, path: str, deadline: Deadline, content: bytes, trace: _Trace
    ) -> _Outcome:
        import httpx

        client = self._open_client()
        request = client.build_request(
            method,
            self._address.url(path),
            content=content or None,
            headers=self._secrets.headers(),
            timeout=httpx.Timeout(None, connect=self._timeouts.connect),
            extensions={"trace": trace.note},
        )
        request.url = _quiet_url()(request.url)
        limit = deadline.limit(self._timeouts.first, "no answer began")
        try:
            response = await self.wait(self._send(client, request, trace), limit, began=False)
        except ReflectKitError as error:
            return _Outcome(error=error, safe=trace.safe_after(error))
        answer = Answer(response, self, deadline)
        return _Outcome(answer=answer, safe=is_safe_status(answer.status))

    async def _send(
        self, client: httpx.AsyncClient, request: httpx.Request, trace: _Trace
    ) -> httpx.Response:
        sending = asyncio.ensure_future(client.send(request, stream=True))
        try:
            return await asyncio.shield(sending)
        except asyncio.CancelledError:
            sending.cancel()
            self._keep(asyncio.ensure_future(_settle(sending, trace)))
            raise

    def _delay(self, outcome: _Outcome, attempt: int, deadline: Deadline) -> float | None:
        if not outcome.safe:
            return None
        asked = outcome.answer.retry_after if outcome.answer else None
        delay, left = self._retries.delay(attempt, asked), deadline.left()
        return None if delay is None or (left is not None and delay >= left) else delay

    def _open_client(self) -> httpx.AsyncClient:
        import httpx

        if self._closed:
            raise ConfigurationError(f"The backend for {self._address.shown} has been closed.")
        if self._given is not None:
            if self._given.is_closed:
                raise ConfigurationError("The http_client has been closed.", hint="Open a new one.")
            return self._given
        self._move()
        if self._client is None:
            # without TLS there are no certificates to load, which takes longer than a local answer
            plain = self._address.shown.startswith("http://") and not self._trust_env
            self._client = httpx.AsyncClient(
                timeout=None,
                limits=httpx.Limits(
                    max_connections=self._connections, max_keepalive_connections=_KEPT
                ),
                trust_env=self._trust_env,
                verify=not plain,
                follow_redirects=False,
            )
        return self._client

    def _move(self) -> None:
        """Connections belong to the event loop that made them; in a new loop there are none."""
        loop = asyncio.get_running_loop()
        if self._loop is not None and self._loop is not loop:
            if not self._loop.is_closed():
                raise ConfigurationError(
                    f"The connections to {self._address.shown} belong to another event loop.",
                    hint="Make a client in each loop, or share a SyncClient between threads.",
                )
            self._client = None
            self._closing.clear()
        self._loop = loop

    def _translate(self, foreign: Exception, began: bool) -> ReflectKitError:
        import httpx

        words = f"{type(foreign).__name__} {foreign}".rstrip()
        here = self._address.shown
        match foreign:
            case httpx.ConnectTimeout() | httpx.PoolTimeout():
                return BackendTimeout(
                    f"{here}: no connection within {self._timeouts.connect} s.",
                    hint="Is the server running, and reachable from here?",
                )
            case httpx.ConnectError() | httpx.ProxyError():
                return BackendUnreachable(
                    f"No connection to {here} ({words}).",
                    hint="Is the server running, and base_url right?",
                )
            case httpx.UnsupportedProtocol() | httpx.LocalProtocolError():
                return ConfigurationError(f"{here} cannot be sent to ({words}).")
            case httpx.DecodingError():
                return BackendWireError(f"{here}: the body cannot be decompressed ({words}).")
        if began:
            return BackendWireError(
                f"{here}: the connection broke in the middle of the answer ({words}).",
                hint="The text so far is kept.",
                retryable=True,
            )
        return BackendUnreachable(
            f"{here} closed the connection before it answered ({words}).",
            hint="See the server's log.",
        )


async def _settle(sending: asyncio.Future[httpx.Response], trace: _Trace) -> None:
    """See a cancelled request to its end; close what it may have opened after all."""
    try:
        response = await sending
    except (Exception, asyncio.CancelledError):  # noqa: BLE001  # nobody waits for it any more
        sending.cancel()
    else:
        await response.aclose()
    finally:
        await trace.aclose()


class _Trace:
    """What the transport did for one request: enough to know whether the server may have seen it.

    A failure before the connection stood is safe to repeat. When a connection kept from an earlier
    request ends before any byte came back, it was stale: the server had closed it while idle.

    A new connection is remembered: the transport leaves it open when it is cancelled in the middle
    of the TLS handshake, or for a second time in the middle of its own clean-up.
    """

    def __init__(self) -> None:
        self._seen = False
        self._fresh = False
        self._connected = False
        self._stream: Any = None

    async def note(self, event: str, info: Mapping[str, Any]) -> None:
        self._seen = True
        step, _, state = event.rpartition(".")
        if step.startswith(_CONNECTING):
            self._fresh = True
            self._connected = state == "complete"
            # of TCP and TLS the first is the one that owns the socket
            self._stream = self._stream or info.get("return_value")

    def safe_after(self, error: ReflectKitError) -> bool:
        return self._fresh and isinstance(error, BackendError) and not self._connected

    def stale_after(self, error: ReflectKitError | None) -> bool:
        kept = self._seen and not self._fresh  # a transport of the user's own may tell nothing
        return kept and isinstance(error, BackendUnreachable)

    async def aclose(self) -> None:
        """End the connection if this request made one."""
        if self._stream is not None:
            await self._stream.aclose()
