"""reflectkit's clients of one model: one for each event loop, made of the same settings."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from reflectkit import Client, Message

__all__ = ["Clients", "keeper", "without_password"]

#: The model that answers where nobody was named.
_EMBEDDED: Final = "nano-reflect"
#: loops hold tasks weakly
_CLOSING: Final[set[asyncio.Future[None]]] = set()


class Clients:
    """Makes a client where one is needed.

    Connections belong to a loop; a backend that was handed over, or runs in this process, serves
    all of them. What was handed over stays its owner's to close. The constructor raises
    ``ConfigurationError`` for settings that cannot work.
    """

    def __init__(self, given: Any, base_url: str | None, settings: Mapping[str, Any]) -> None:
        from reflectkit import Client, ConfigurationError

        if given is not None and base_url:
            raise ConfigurationError(
                "There is a client, and a base_url as well.", hint="Pass one of them."
            )
        own = sorted(settings.keys() - {"model"})
        if isinstance(given, Client) and own:
            raise ConfigurationError(
                f"{own[0]} belongs to the client that was handed over.", hint="Set it there."
            )
        self._made = (given, base_url, dict(settings))
        self._given = given
        self._settings = {name: value for name, value in settings.items() if value != ""}
        self._where: Any = base_url if given is None else given
        self._lock = threading.Lock()
        self._kept: list[_Kept] = []
        self._spare: Client | None = given if isinstance(given, Client) else self._client()
        self._shared = None if base_url else self._spare
        named = settings.get("model") or getattr(given, "model", "")
        self.model: str = named if isinstance(named, str) and named else ""
        if not self.model and self._where is None:
            self.model = _EMBEDDED

    def __deepcopy__(self, memo: Any) -> Clients:
        """Connections are shared by copies, as by ``model_copy``."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """In another process they are opened anew."""
        return type(self), self._made

    def _client(self) -> Client:
        from reflectkit import Client

        return Client(self._where, **self._settings)

    def check(self, settings: Mapping[str, Any]) -> None:
        """Raises ``ConfigurationError`` for settings that cannot work."""
        if self._spare is not None:
            self._spare.with_options(**settings)

    async def here(self) -> Client:
        """The client of the running loop. It is closed when the loop is."""
        if self._shared is not None:
            return self._shared
        running = asyncio.get_running_loop()
        for kept in self._kept:
            if kept.loop is running:
                return kept.client
        with self._lock:
            self._kept = [kept for kept in self._kept if not kept.loop.is_closed()]
            client, self._spare = self._spare or self._client(), None
            mine = keeper(client.close)
            self._kept.append(_Kept(running, client=client, keeper=mine))
            # holds the client until it is closed, though nobody else may hold this any longer
            weakref.finalize(self, _end, running, mine).atexit = False
        await anext(mine)
        return client

    async def aclose(self) -> None:
        """Close the client of the running loop; the next call makes another. What serves all loops
        is closed too, if it was made here."""
        running = asyncio.get_running_loop()
        with self._lock:
            mine = [kept for kept in self._kept if kept.loop is running]
            self._kept = [kept for kept in self._kept if kept.loop is not running]
            shared, again = self._shared, None
            if shared is not None and shared is not self._given:
                again = self._client()
                self._shared = self._spare = again
        for kept in mine:
            await kept.keeper.aclose()
        if shared is not None and again is not None:
            await shared.close()

    @property
    def backend(self) -> Any:
        """What can be asked what the model is able to; None for a server, which is not asked."""
        from reflectkit.backends.nano import NanoBackend

        return NanoBackend(self.model) if self._where is None else self._given

    def mode(self, chosen: Any) -> str:
        """The mode that ``chosen`` comes to with this model."""
        from reflectkit.models import profile_for
        from reflectkit.modes import mode_for

        return mode_for(chosen, profile_for(self.model))

    # --- counting

    def counter(self, given: Any) -> Any:
        """What counts texts: the one that was given, or the best there is for the model."""
        from reflectkit.counters import counter_for

        return given if given is not None else counter_for(self.model)

    def prompt_tokens(
        self, counter: Any, messages: Sequence[Message], extra: Mapping[str, Any]
    ) -> int:
        """Tokens of a prompt of these turns and tools."""
        from reflectkit import Request

        request = Request(messages=tuple(messages), model=self.model, extra=dict(extra))
        return int(self.counter(counter).prompt(request))

    async def token_ids(self, text: str) -> tuple[int, ...]:
        """Ids of a text, from the backend that was handed over or a server."""
        from reflectkit import MissingCapability
        from reflectkit.backends.nano import NanoBackend
        from reflectkit.backends.openai import OpenAIBackend

        tokenize = getattr(self._given, "tokenize", None)
        if tokenize is not None:
            return tuple(await tokenize(text))
        if self._given is not None:
            raise MissingCapability(
                "This backend does not tokenize.",
                capability="tokenize",
                hint="get_num_tokens counts without ids.",
            )
        key = self._settings.get("api_key")
        backend: Any = (
            OpenAIBackend(self._where, model=self.model, api_key=key)
            if self._where
            else NanoBackend(self.model)
        )
        try:
            return tuple(await backend.tokenize(text))
        finally:
            with suppress(Exception):
                await backend.aclose()


def without_password(address: str | None) -> tuple[str | None, str | None]:
    """An address as it may be shown, and as it is called."""
    if not address:
        return None, None
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(address)
    except ValueError:  # it is no address: the client will say so
        return address, address
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl(), address


@dataclass(frozen=True, slots=True)
class _Kept:
    """A loop, its client, and what closes the client."""

    loop: asyncio.AbstractEventLoop
    client: Client = field(kw_only=True)
    keeper: AsyncGenerator[None, None] = field(kw_only=True)


async def keeper(close: Callable[[], Awaitable[object]]) -> AsyncGenerator[None, None]:
    """Once begun, it does ``close`` where it is closed itself, or where the loop ends, which closes
    its generators."""
    try:
        yield
    finally:
        await close()


def _end(loop: asyncio.AbstractEventLoop, keeper: AsyncGenerator[None, None]) -> None:
    with suppress(RuntimeError):  # the loop is closed, and so is the keeper
        loop.call_soon_threadsafe(_begin_to_close, keeper)


def _begin_to_close(keeper: AsyncGenerator[None, None]) -> None:
    task = asyncio.ensure_future(keeper.aclose())
    _CLOSING.add(task)
    task.add_done_callback(_CLOSING.discard)
