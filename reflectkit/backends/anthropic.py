"""Anthropic's messages API, and servers that speak it (llama.cpp and vLLM among them)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import BackendWireError, MissingCapability
from ..messages import Request
from ._chat import ChatStream
from ._http import Deadline
from ._kinds import MESSAGES, merged
from ._messages_wire import MessageReader, body, check_thinking
from ._remote import RemoteBackend
from ._retry import Retries, Timeouts
from ._secrets import Address, Secrets, hidden
from .base import Capabilities

if TYPE_CHECKING:
    import httpx

__all__ = ["AnthropicBackend", "Retries", "Timeouts"]

_VERSION = "2023-06-01"
_SECRET = "x-api-key"


class AnthropicBackend(RemoteBackend):
    """Streams from ``POST {base_url}/messages``; no vendor package is needed.

    Thinking blocks arrive as reasoning. Their signatures and redacted blocks are in the message's
    payload, which goes back to the same server as it came. ``max_tokens``: the cap where a request
    names none, since this API demands one. ``extra``: fields for every request, such as
    ``{"thinking": {"type": "enabled", "budget_tokens": 2048}}`` or ``tools``. ``continues``:
    whether the model goes on from a prefix (newer ones refuse to). Everything else as in
    ``OpenAIBackend``; ``seed`` has no meaning here and is not sent.

    Raises ``ConfigurationError`` for an address, key or header that cannot work.
    """

    _chat_path: ClassVar = "/messages"
    _models_path: ClassVar = "/models"

    def __init__(
        self,
        base_url: str = "https://api.anthropic.com/v1",
        *,
        model: str = "",
        api_key: str | None = None,
        max_tokens: int = 4096,
        timeout: Timeouts | float | None = None,
        retries: Retries | int = 2,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
        continues: bool = False,
        trust_env: bool = False,
        connections: int | None = None,
        http_client: httpx.AsyncClient | None = None,
    ) -> None:
        base_url, api_key = hidden(base_url), hidden(api_key)
        given = {name: hidden(value) for name, value in (headers or {}).items()}
        given = {"anthropic-version": _VERSION, **given}
        address = Address.parse(base_url, endpoint="/messages")
        super().__init__(
            address,
            Secrets(api_key, given, address, key_header=_SECRET),
            model=model,
            timeout=timeout,
            retries=retries,
            extra=extra,
            trust_env=trust_env,
            connections=connections,
            http_client=http_client,
        )
        self._max_tokens = max_tokens
        self._continues = continues

    @property
    def capabilities(self) -> Capabilities:
        """What this API does."""
        return Capabilities(
            continues_prefix=self._continues,
            reports_usage=True,
            tools=True,
            images=True,
            reasoning=MESSAGES.names,
            counts_tokens=True,
        )

    async def count_tokens(self, request: Request) -> int:
        """The prompt's tokens, by the server's own count (tokens; nothing is generated).

        Raises ``BackendError``.
        """
        return await self._cleanly(lambda deadline: self._count(request, deadline))

    async def _count(self, request: Request, deadline: Deadline) -> int:
        fields = self._fields(request, request.model or await self._find_model(deadline))
        for name in ("max_tokens", "stream", "temperature", "top_p", "stop_sequences"):
            fields.pop(name, None)
        data = await self._question("/messages/count_tokens", fields, deadline)
        count = data.get("input_tokens") if isinstance(data, dict) else None
        if not isinstance(count, int):
            raise BackendWireError(f"{self._name} counted no tokens.")
        return count

    def _check(self, request: Request) -> None:
        if request.prefix and not self._continues:
            raise MissingCapability(
                "This model is not known to go on from a prefix.",
                capability="continues_prefix",
                hint="Pass continues=True if it does.",
            )

    def _fields(self, request: Request, model: str) -> dict[str, Any]:
        fields = body(
            request,
            model=model,
            max_tokens=self._max_tokens,
            extra=self._extra,
            provider=self.provider,
        )
        capped = replace(request, max_tokens=fields["max_tokens"])
        fields = merged(fields, MESSAGES.fields(capped, self._name))
        check_thinking(fields, prefix=bool(request.prefix))
        return fields

    def _reader(self, content_type: str, request: Request) -> ChatStream:
        return ChatStream(content_type, reader=MessageReader(stop=request.stop))

    def _model_names(self, data: Any) -> tuple[str, ...]:
        return tuple(row["id"] for row in data["data"] if isinstance(row["id"], str))
