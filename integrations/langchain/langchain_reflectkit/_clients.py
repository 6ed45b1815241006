"""reflectkit's clients of one model: one for each event loop, made of the same settings."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from . import _sync

if TYPE_CHECKING:
    from reflectkit import Client, Message

__all__ = ["Clients"]


class Clients:
    """Makes a client where one is needed. One that was handed over serves all loops; what it
    connects to stays its owner's.

    The constructor raises ``ConfigurationError`` for settings that cannot work.
    """

    def __init__(self, given: Any, base_url: str | None, settings: Mapping[str, Any]) -> None:
        from reflectkit import Client, ConfigurationError

        if given is not None and base_url and "api_key" not in settings:
            base_url = None  # from the environment: what was handed over comes first
        if given is not None and base_url:
            raise ConfigurationError(
                "There is a client, and a base_url as well.", hint="Pass one of them."
            )
        self._given = given
        self._settings = dict(settings)
        self._where: Any = base_url if given is None else given
        self._lock = threading.Lock()
        self._made: list[tuple[Any, Client]] = []
        self._spare: Client | None = None
        self.model: str = settings.get("model") or getattr(given, "model", "") or ""
        if isinstance(given, Client):
            own = {n: v for n, v in settings.items() if n not in ("api_key", "timeout", "retries")}
            if len(own) != len(settings):
                raise ConfigurationError(
                    "api_key, timeout and max_retries belong to the client that was handed over.",
                    hint="Set them there.",
                )
            self._shared: Client | None = given.with_options(**own)
            return
        self._shared = None
        self._spare = self._client()
        if not self.model and given is None and base_url is None:
            self.model = "nano-reflect"

    def _client(self) -> Client:
        from reflectkit import Client

        return Client(self._where, **self._settings)

    def here(self) -> Client:
        """The client of the running loop; one whose loop has ended goes on in this one."""
        if self._shared is not None:
            return self._shared
        running = asyncio.get_running_loop()
        for loop, client in self._made:
            if loop is running:
                return client
        with self._lock:
            for place, (loop, client) in enumerate(self._made):
                if loop.is_closed():
                    self._made[place] = (running, client)
                    return client
            client, self._spare = self._spare or self._client(), None
            self._made.append((running, client))
        if running is _sync.current():
            weakref.finalize(self, _close_later, client)
        return client

    async def aclose(self) -> None:
        """Close the client of the running loop; the next call makes another."""
        running = asyncio.get_running_loop()
        with self._lock:
            mine = [client for loop, client in self._made if loop is running]
            self._made = [(loop, client) for loop, client in self._made if loop is not running]
        for client in mine:
            await client.close()

    # --- counting

    def counter(self, model: str) -> Any:
        """What counts texts: the one that was given, or the best there is for the model."""
        from reflectkit.counters import counter_for

        return self._settings.get("counter") or counter_for(model or self.model)

    def prompt_tokens(
        self, model: str, messages: Sequence[Message], extra: Mapping[str, Any]
    ) -> int:
        """Tokens of a prompt of these turns and tools."""
        from reflectkit import Request

        request = Request(messages=tuple(messages), model=model, extra=dict(extra))
        return int(self.counter(model).prompt(request))

    async def token_ids(self, model: str, text: str) -> tuple[int, ...]:
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
            OpenAIBackend(self._where, model=model, api_key=key)
            if self._where
            else NanoBackend(model or "nano-reflect")
        )
        try:
            return tuple(await backend.tokenize(text))
        finally:
            with suppress(Exception):
                await backend.aclose()


def _close_later(client: Client) -> None:
    _sync.later(client.close())
