"""A ledger in a Redis server: for any number of machines."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from ..backends._secrets import hidden
from ..budget.ledger import Balance, Granted, Short, Use
from ..errors import ConfigurationError, LedgerError
from ._wire import order_value
from .shared import SharedLedger, Step, forget_closed

if TYPE_CHECKING:
    from redis.asyncio import Redis

__all__ = ["RedisLedger"]

_SCRIPT: Final = Path(__file__).with_name("books.lua").read_text("utf-8")
_SHA: Final = hashlib.sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()
_KEYS: Final = ("accounts", "limits", "holdings", "waiting", "deadlines", "lines")
_SCHEMES: Final = ("redis", "rediss", "unix")
#: doing these twice is the same as once, so they are tried again when the connection breaks
_REPEATABLE: Final = frozenset({"reserve", "commit", "renew", "limit", "balances"})
_PAUSES: Final = (0.02, 0.1, 0.5)


class RedisLedger(SharedLedger):
    """Keeps accounts in Redis (5 or newer), one round trip for each step.

    ``server``: ``redis://``, ``rediss://`` or ``unix://`` with what the ``redis`` package reads
    there, or a client of ``redis.asyncio``, which stays yours to close. ``prefix`` begins every
    key; all keys of a ledger lie on one node of a cluster. ``ttl``: seconds after which the
    reservation of a dead process comes back. ``timeout``: seconds
    for one step. The clock is the server's; ``clock`` replaces it in tests.

    Raises ``LedgerError`` where the server cannot be reached or says no; never shows a password.
    """

    def __init__(
        self,
        server: str | Redis,
        *,
        prefix: str = "reflectkit",
        ttl: float = 60.0,
        poll: float = 0.02,
        timeout: float = 5.0,
        clock: Callable[[], float] | None = None,
    ) -> None:
        super().__init__(ttl=ttl, poll=poll)
        try:
            import redis.asyncio
        except ImportError as error:
            raise ConfigurationError(
                "A ledger in Redis needs the redis package.",
                hint='Install it: pip install "reflectkit[redis]".',
            ) from error
        self._redis = redis
        self._server = hidden(server)
        self.address = _shown(server) if isinstance(server, str) else "redis client"
        if isinstance(server, str):
            self._make(timeout)  # a mistake in the URL is found here
        self._timeout = timeout
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, Any] = WeakKeyDictionary()
        self._keys = [f"{{{prefix}}}:{name}" for name in _KEYS]
        self._clock = clock

    def __repr__(self) -> str:
        return f"RedisLedger({self.address!r})"

    async def aclose(self) -> None:
        """Close the connections of this event loop; a client that was handed over stays open."""
        await super().aclose()
        _, opened = self._clients.pop(asyncio.get_running_loop(), (None, None))
        if opened is not None:
            await opened.aclose()

    async def _perform(self, steps: list[Step]) -> list[Any]:
        now = "" if self._clock is None else str(int(self._clock() * 1000))
        values = [[name, _PAYLOADS[name](*arguments)] for name, arguments in steps]
        script = (now, self._ttl, json.dumps(values))
        answers = await self._persistently(script, {name for name, _ in steps})
        return [_ANSWERS[name](answer) for (name, _), answer in zip(steps, answers, strict=True)]

    async def _persistently(self, arguments: tuple[Any, ...], names: set[str]) -> Any:
        for pause in _PAUSES if names <= _REPEATABLE else ():
            try:
                return await self._evaluate(arguments)
            except LedgerError as error:
                if not error.retryable:
                    raise
            await asyncio.sleep(pause)
        return await self._evaluate(arguments)

    async def _evaluate(self, arguments: tuple[Any, ...]) -> Any:
        """The script by its digest; the server is sent the script itself when it has it not."""
        errors = self._redis.exceptions
        client = await self._client()
        count = len(self._keys)
        try:
            try:
                return await client.evalsha(_SHA, count, *self._keys, *arguments)
            except errors.NoScriptError:
                return await client.eval(_SCRIPT, count, *self._keys, *arguments)
        except errors.RedisError as error:
            raise self._failed(error) from None
        except OSError as error:
            raise self._failed(error) from None

    def _failed(self, error: Exception) -> LedgerError:
        errors = self._redis.exceptions
        refused = (errors.AuthenticationError, errors.AuthorizationError)
        if isinstance(error, refused) or isinstance(error.__cause__, refused):
            return LedgerError(
                f"{self.address} wants a user and password that it knows.",
                hint="Write them into the URL: redis://user:password@host.",
            )
        if isinstance(error, errors.ConnectionError | errors.TimeoutError | OSError):
            return LedgerError(
                f"{self.address} cannot be reached ({type(error).__name__}).",
                hint="See that the server runs and that the address is right.",
                retryable=True,
            )
        return LedgerError(
            f"{self.address} says: {_first_line(error)}",
            hint="Another program may use these keys: choose another prefix=.",
        )

    async def _client(self) -> Any:
        """A connection belongs to the event loop that it was made on."""
        if not isinstance(self._server, str):
            return self._server
        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            forget_closed(self._clients)
            opened = _open(self._make(self._timeout))
            self._clients[loop] = await anext(opened), opened
        return self._clients[loop][0]

    def _make(self, timeout: float) -> Any:
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        try:
            return Redis.from_url(
                str(self._server),
                socket_timeout=timeout,
                socket_connect_timeout=timeout,
                retry=Retry(NoBackoff(), 0),
                retry_on_error=[],
            )
        except ValueError:
            raise ConfigurationError(
                f"{self.address} is no address of a Redis server.",
                hint="Write redis://host:6379/0, rediss://..., or unix:///path/of/socket.",
            ) from None


async def _open(client: Any) -> AsyncGenerator[Any, None]:
    """An event loop that ends closes the generators begun on it, and this one its connections."""
    try:
        yield client
    finally:
        await client.aclose()


def _use(id: str, use: Use) -> dict[str, Any]:
    return {"id": id, "tokens": use.tokens, "money": use.money, "calls": use.calls}


def _grant(answer: Any) -> Granted | Short:
    kind, *fields = answer
    if _text(kind) == "granted":
        return Granted(fields[0], _text(fields[1]))
    key, cap, spent, reserved, needed, at, ends, waiting, queued, hopeless = fields
    return Short(
        key=_text(key),
        cap=cap,
        spent=spent,
        reserved=reserved,
        needed=needed,
        at=at,
        ends=ends,
        waiting=bool(waiting),
        queued=bool(queued),
        hopeless=bool(hopeless),
    )


def _balances(rows: Any) -> list[Balance]:
    return [
        Balance(
            key=_text(key),
            cap=cap,
            stored=bool(stored),
            spent=spent,
            reserved=reserved,
            extra=extra,
            ends=ends,
        )
        for key, cap, stored, spent, reserved, extra, ends in rows
    ]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


#: operation -> what the script is handed, from the arguments of ``Books``
_PAYLOADS: Final[dict[str, Callable[..., Any]]] = {
    "reserve": order_value,
    "commit": _use,
    "renew": lambda ids: {"ids": ids},
    "top_up": lambda key, amount: {"key": key, "amount": amount},
    "limit": lambda key, most: {"key": key, "most": most},
    "reset": lambda scope: {"scope": scope},
    "balances": lambda scope: {"scope": scope},
}
#: operation -> the answer of ``Books``, from the script's
_ANSWERS: Final[dict[str, Callable[[Any], Any]]] = {
    "reserve": _grant,
    "commit": _text,
    "renew": lambda states: [_text(state) or None for state in states],
    "top_up": lambda _: None,
    "limit": lambda _: None,
    "reset": lambda _: None,
    "balances": _balances,
}


def _shown(url: str) -> str:
    """The address without user, password and query."""
    try:
        parts = urlsplit(str(url))
        shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    except ValueError:
        shown, parts = "", None
    if parts is None or parts.scheme not in _SCHEMES:
        raise ConfigurationError(
            "That is no address of a Redis server.",
            hint="Write redis://host:6379/0, rediss://..., or unix:///path/of/socket.",
        )
    return shown


def _first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0][:200]
