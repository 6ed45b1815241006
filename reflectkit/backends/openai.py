"""Any server that speaks the OpenAI chat API: vLLM, llama.cpp, SGLang, Ollama, LM Studio, ..."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from ..errors import BackendStatus, BackendWireError, ConfigurationError, MissingCapability
from ..messages import Request
from ._chat import ChatStream
from ._http import Deadline
from ._kinds import (
    KINDS,
    UNKNOWN,
    Continues,
    ServerKind,
    Tokenizer,
    merged,
    naming_one,
    recognised,
)
from ._remote import RemoteBackend
from ._retry import Retries, Timeouts
from ._secrets import Address, Secrets, hidden
from ._wire import CONTINUES, body
from .base import Capabilities

if TYPE_CHECKING:
    import httpx

__all__ = ["KINDS", "OpenAIBackend", "Retries", "Timeouts"]

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
        "timings_per_token",
    }
)
_REFUSES_FIELDS: Final = (400, 422)
#: what of a chat request its template sees
_PROMPT: Final = (
    "model",
    "messages",
    "tools",
    "chat_template_kwargs",
    "continue_final_message",
    "add_generation_prompt",
)
_BESIDE: Final = "/.."

T = TypeVar("T")


class OpenAIBackend(RemoteBackend):
    """Streams from ``POST {base_url}/chat/completions``.

    ``base_url``: the API's address; without a path, ``/v1`` is added. User and password in it are
    taken out and sent as basic authentication. ``model``: its name; if "" the server is asked
    once and must offer exactly one. ``timeout``: ``Timeouts``, or a number of seconds for the
    whole call. ``retries``: ``Retries``, or how often to try again what is safe to send again:
    connect failures, 408, 409, 429 and 5xx, before anything was delivered. ``extra``: fields for
    every request; one that the server refuses by name with 400 or 422 is left out from then on
    (``refused`` lists them). ``kind``: which server this is, one of ``KINDS``; "auto" asks it
    once, when a request comes to which it matters. ``continues``: how the server goes on from a
    prefix ("no", "flags", "trailing"), where that is not as known for its kind. ``trust_env``:
    use the environment's proxies, netrc and certificate settings (off: what is sent where depends
    on the arguments alone). ``connections``: how many there may be at once; further requests wait
    for one, within the time for a first byte. ``http_client``: an ``httpx.AsyncClient`` of your
    own, with its proxies, certificates, limits and transport; closing it stays yours.

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
        kind: str = "auto",
        continues: Continues | None = None,
        trust_env: bool = False,
        connections: int | None = None,
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
            connections=connections,
            http_client=http_client,
        )
        self._kind = _named(kind) if kind != "auto" else recognised(host=address.host)
        self._continues = continues
        self._refused: set[str] = set()
        self._new_cap_name = False

    @property
    def refused(self) -> frozenset[str]:
        """Fields that the server refused, and that are no longer sent."""
        return frozenset(self._refused)

    @property
    def capabilities(self) -> Capabilities:
        """What this kind of server does, as far as it is known yet; see ``kind``."""
        skip = self._extra.get("skip_special_tokens")
        kind = self._known
        return Capabilities(
            continues_prefix=self._way_on != "no",
            reports_usage="stream_options" not in self._refused,
            keeps_special_tokens=skip is False and "skip_special_tokens" not in self._refused,
            seeds=kind.seeds,
            tools=kind.tools,
            images=kind.images,
            reasoning=kind.knobs.names if self._kind else None,
            caps_thinking=kind.knobs.caps,
            counts_tokens=kind.tokenizer is not None,
        )

    async def kind(self) -> str:
        """Which server this is: a name of ``KINDS``, or "unknown".

        By its host's name, or by how it signs its list of models, for which it is asked once.
        Raises ``BackendUnreachable`` and ``BackendTimeout``.
        """
        return (await self._cleanly(self._identify)).name

    async def tokenize(self, text: str) -> tuple[int, ...]:
        """The model's token ids for ``text``, nothing added; a tag that is a token is one id.

        Raises ``MissingCapability`` where the server has no route for it, and ``BackendError``.
        """
        return await self._cleanly(lambda deadline: self._tokens_of(text, deadline))

    async def count_tokens(self, request: Request) -> int:
        """The prompt's tokens, by the server's template and tokenizer. Raises as ``tokenize``."""
        return await self._cleanly(lambda deadline: self._count(request, deadline))

    async def render(self, request: Request) -> str:
        """The prompt as the model reads it: the server's template, filled in.

        Raises as ``tokenize``.
        """
        return await self._cleanly(lambda deadline: self._render(request, deadline))

    # --- the kind of server

    @property
    def _known(self) -> ServerKind:
        return self._kind or UNKNOWN

    @property
    def _way_on(self) -> Continues:
        return self._continues or self._known.continues

    async def _identify(self, deadline: Deadline) -> ServerKind:
        if self._kind is None:
            try:
                await self._models(deadline)
            except BackendStatus as error:
                # it lists no models, or not to us, or not now
                if error.retryable:
                    return self._known
            self._kind = self._kind or UNKNOWN
        return self._kind

    # --- a chat request

    def _check(self, request: Request) -> None:
        if {**self._extra, **request.extra}.get("n") not in (None, 1):
            raise ConfigurationError(
                "A stream is one answer, and n asks for more.",
                hint="Use reflectkit.backends.several.answers(backend, request, n).",
            )

    async def _prepare(self, request: Request, deadline: Deadline) -> None:
        self._check(request)
        named = isinstance({**self._extra, **request.extra}.get("tool_choice"), Mapping)
        if request.reasoning or named or (request.prefix and self._continues is None):
            await self._identify(deadline)
        if request.prefix and self._way_on == "no":
            raise MissingCapability(
                f"A server of the kind {self._known.name!r} is not known to go on from a prefix.",
                capability="continues_prefix",
                hint='Pass continues="flags" (vLLM, SGLang) or continues="trailing" (llama.cpp).',
            )

    def _fields(self, request: Request, model: str) -> dict[str, Any]:
        kind = self._known
        flags = CONTINUES if request.prefix and self._way_on == "flags" else {}
        standing = {**kind.running, **self._extra, **flags}
        fields = body(request, model=model, extra=standing, provider=self.provider)
        fields = merged(fields, kind.knobs.fields(request, self._name))
        fields = fields if kind.names_tools else naming_one(fields)
        fields = {k: v for k, v in fields.items() if k not in self._refused}
        if self._new_cap_name and "max_tokens" in fields:
            fields["max_completion_tokens"] = fields.pop("max_tokens")
        return fields

    def _reader(self, content_type: str, request: Request) -> ChatStream:
        prefix = request.prefix if self._way_on == "trailing" else ""
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
        rows = [row for row in data["data"] if isinstance(row, Mapping)]
        owners = frozenset(o for row in rows if isinstance(o := row.get("owned_by"), str))
        self._kind = self._kind or recognised(owners=owners)
        return tuple(row["id"] for row in rows if isinstance(row["id"], str))

    # --- the tokenizer's routes

    async def _tokenizer(self, deadline: Deadline) -> Tokenizer:
        kind = await self._identify(deadline)
        if kind.tokenizer is None:
            raise MissingCapability(
                f"A server of the kind {kind.name!r} has no route that tokenizes.",
                capability="counts_tokens",
                hint="vLLM, SGLang and llama.cpp have one: pass kind=... if this is one of them.",
            )
        return kind.tokenizer

    async def _tokens_of(self, text: str, deadline: Deadline) -> tuple[int, ...]:
        routes = await self._tokenizer(deadline)
        model = await self._find_model(deadline)
        asked = {"model": model, routes.text: text, **routes.flags}
        data = await self._question(_BESIDE + routes.route, asked, deadline)
        return tuple(self._found(data, "tokens", list))

    async def _count(self, request: Request, deadline: Deadline) -> int:
        routes = await self._tokenizer(deadline)
        data = await self._question(_BESIDE + routes.chat, await self._chat(request), deadline)
        return self._found(data, routes.counted, int)

    async def _render(self, request: Request, deadline: Deadline) -> str:
        routes = await self._tokenizer(deadline)
        chat = await self._chat(request)
        if routes.render:
            data = await self._question(_BESIDE + routes.render, chat, deadline)
            return self._found(data, "prompt", str)
        tokens = self._found(
            await self._question(_BESIDE + routes.chat, chat, deadline), "tokens", list
        )
        asked = {"model": chat["model"], "tokens": tokens, "skip_special_tokens": False}
        data = await self._question(_BESIDE + routes.back, asked, deadline)
        return self._found(data, "prompt" if "prompt" in data else "text", str)

    async def _chat(self, request: Request) -> dict[str, Any]:
        """The fields of a chat request that decide what its prompt is."""
        model = request.model or await self._find_model(Deadline(self._timeouts))
        self._check(request)
        fields = self._fields(request, model)
        return {name: fields[name] for name in _PROMPT if name in fields}

    def _found(self, data: Any, name: str, wanted: type[T]) -> T:
        value = data.get(name) if isinstance(data, Mapping) else None
        if not isinstance(value, wanted):
            raise BackendWireError(
                f"{self._name} sent no {name}.", hint="Is it the kind of server that kind= says?"
            )
        return value


def _named(kind: str) -> ServerKind:
    if kind not in KINDS:
        raise ConfigurationError(
            f"There is no kind of server {kind!r}.", hint=f'"auto", or one of {", ".join(KINDS)}.'
        )
    return KINDS[kind]
