"""Any server that speaks the OpenAI chat API: vLLM, llama.cpp, SGLang, Ollama, LM Studio, ..."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from ..errors import MissingCapability
from ..messages import Request
from ._chat import ChatStream
from ._remote import RemoteBackend
from ._retry import Retries, Timeouts
from ._secrets import Address, Secrets, hidden
from ._wire import CONTINUES, body
from .base import Capabilities

if TYPE_CHECKING:
    import httpx

__all__ = ["OpenAIBackend", "Retries", "Timeouts"]

#: How a server goes on from ``Request.prefix``: not at all; with vLLM's and SGLang's two flags; by
#: itself from a trailing assistant message, which it repeats in its answer (llama.cpp).
Continues = Literal["no", "flags", "trailing"]

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


class OpenAIBackend(RemoteBackend):
    """Streams from ``POST {base_url}/chat/completions``.

    ``base_url``: the API's address; without a path, ``/v1`` is added. User and password in it are
    taken out and sent as basic authentication. ``model``: its name; if "" the server is asked once
    and must offer exactly one. ``timeout``: ``Timeouts``, or a number of seconds for the whole
    call. ``retries``: ``Retries``, or how often to try again what is safe to send again: connect
    failures, 408, 409, 429 and 5xx, before anything was delivered. ``extra``: fields for
    every request; one that the server refuses by name with 400 or 422 is left out from then on
    (``refused`` lists them). ``continues``: how the server goes on from a prefix. ``trust_env``:
    use the environment's proxies, netrc and certificate settings (off: what is sent where depends
    on the arguments alone). ``http_client``: an ``httpx.AsyncClient`` of your own, with its
    proxies, certificates, limits and transport; closing it stays yours.

    Raises ``ConfigurationError`` for an address, key or header that cannot work.
    """

    _chat_path: ClassVar = "/chat/completions"
    _models_path: ClassVar = "/models"
    _hints: ClassVar = {
        404: "Check base_url (it often ends in /v1) and the model's name.",
        405: "base_url is not the chat API's address; it often ends in /v1.",
    }

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
        http_client: httpx.AsyncClient | None = None,
    ) -> None:
        base_url, api_key = hidden(base_url), hidden(api_key)
        headers = {name: hidden(value) for name, value in (headers or {}).items()}
        address = Address.parse(base_url)
        super().__init__(
            address,
            Secrets(api_key, headers, address),
            model=model,
            timeout=timeout,
            retries=retries,
            extra=extra,
            trust_env=trust_env,
            http_client=http_client,
        )
        self._continues = continues
        self._refused: set[str] = set()
        self._new_cap_name = False

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

    def _check(self, request: Request) -> None:
        if request.prefix and self._continues == "no":
            raise MissingCapability(
                "This server is not known to go on from a prefix.",
                capability="continues_prefix",
                hint='Pass continues="flags" (vLLM, SGLang) or continues="trailing" (llama.cpp).',
            )

    def _fields(self, request: Request, model: str) -> dict[str, Any]:
        flags = CONTINUES if request.prefix and self._continues == "flags" else {}
        fields = body(request, model=model, extra={**self._extra, **flags}, provider=self.provider)
        fields = {k: v for k, v in fields.items() if k not in self._refused}
        if self._new_cap_name and "max_tokens" in fields:
            fields["max_completion_tokens"] = fields.pop("max_tokens")
        return fields

    def _reader(self, content_type: str, request: Request) -> ChatStream:
        prefix = request.prefix if self._continues == "trailing" else ""
        return ChatStream(content_type, stop=request.stop, prefix=prefix)

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

    def _model_names(self, data: Any) -> tuple[str, ...]:
        return tuple(row["id"] for row in data["data"] if isinstance(row["id"], str))
