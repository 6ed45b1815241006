"""The chat model: a thin face over reflectkit's client, for every method that LangChain has."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

from langchain_core.language_models import LangSmithParams, LanguageModelInput, ModelProfile
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.utils import from_env, secret_from_env
from pydantic import AliasChoices, ConfigDict, Field, PrivateAttr, SecretStr, model_validator

from . import _sync
from ._calling import chosen_tool, described, options_of
from ._messages import PROVIDER, History, from_langchain, tool_calls
from ._records import calls_in_thinking
from ._running import Chunks, Translating, call_chunks, pieces, translated, with_ids
from ._usage import metadata_of, usage_of

if TYPE_CHECKING:
    from typing import Self

    from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
    from langchain_core.runnables import Runnable

    from reflectkit import Event, Reply, ReplyStream

    from ._clients import Clients

__all__ = ["ChatReflectKit"]

#: Fields that are options of reflectkit's client under the same name.
_SAME = (
    "model", "mode", "show", "dialect", "system", "temperature", "top_p", "max_tokens", "seed",
    "stop", "policy", "variant", "prefilled", "budget", "scopes", "prices", "counter", "verify",
    "attempts", "patience", "reserve", "extra",
)  # fmt: skip
#: Fields under another name than the option's.
_RENAMED = {"reasoning_budget": "reasoning"}
#: Fields of the connection.
_WIRE = {"timeout": "timeout", "max_retries": "retries"}


class ChatReflectKit(BaseChatModel):
    """A chat model whose reflection is told apart, checked and kept inside a budget.

    Setup:
        ``pip install langchain-reflectkit``, and ``"langchain-reflectkit[local]"`` for the embedded
        model, which needs no key and no server. ``REFLECTKIT_BASE_URL`` and ``REFLECTKIT_API_KEY``
        are read where ``base_url`` and ``api_key`` are not given.

    Key init args, completion:
        model: its name at the server; "" asks a server with one model. Without a server, the
            embedded model ("nano-reflect", the default) or a path to a GGUF file.
        mode: "trained", "prompted", "plain" or "auto".
        temperature, top_p, max_tokens, seed, stop: as usual; None leaves it to model and server.
        budget: a ``reflectkit.Budget``; ``scopes``, ``prices``, ``counter`` as at the client.
        reasoning_budget: a ``reflectkit.ReasoningBudget``, in the server's own fields.
        verify, attempts, policy, patience: what judges answers, and how often is asked.
        reasoning: "blocks" gives thinking, reflections and rejected drafts as reasoning blocks;
            "hidden" gives the answer alone, and still counts their tokens.
        show: "full", "summary" or "hidden": what of the thinking leaves the client at all; below
            "full", records and traces hold none of it either.
        history: what becomes of earlier answers' thinking: "drop", "keep" or "summary".
        constrain: have the server hold ``json_schema`` and ``json_mode`` by a grammar. None: in
            plain mode alone, since a grammar leaves no room for sections.

    Key init args, client:
        client: a ``reflectkit.Client``, or a backend (any object with ``stream(request)``).
        base_url, api_key, timeout (seconds for a call), max_retries: an OpenAI-compatible server.

    Instantiate:
        .. code-block:: python

            from langchain_reflectkit import ChatReflectKit

            model = ChatReflectKit(base_url="http://localhost:8000/v1", mode="prompted")

    Invoke:
        .. code-block:: python

            message = model.invoke("What is (2 + 2) * 7?")
            message.text             # the answer alone
            message.content_blocks   # thinking, reflections and answer, in order

    Stream:
        .. code-block:: python

            for chunk in model.stream("What is (2 + 2) * 7?"):
                print(chunk.text, end="")

        Reasoning comes live. Text comes once it is certain to be the answer: with verifiers, or
        where several attempts may be made, when one is accepted.

    Async:
        ``ainvoke``, ``astream``, ``abatch``, ``astream_events``: native, no threads. Each event
        loop has a client of its own; synchronous methods share one loop in a thread.

    Tool calling:
        .. code-block:: python

            model.bind_tools([get_weather], tool_choice="any").invoke("Weather in Rome?").tool_calls

        A call that is only thought of is not made; ``response_metadata["reflectkit"]`` tells it
        under ``calls_in_thinking``. A turn that calls tools is not judged.

    Structured output:
        .. code-block:: python

            model.with_structured_output(Person).invoke("Who was Ada Lovelace?")

        An answer that does not fit goes back with what is wrong, inside the same budget.

    Token usage:
        ``message.usage_metadata``: of all attempts together;
        ``output_token_details["reasoning"]`` where somebody counted.

    Response metadata:
        ``model_name``, ``model_provider``, ``finish_reason``, and ``reflectkit``: mode, status,
        ending, attempts with verdicts, grants of the budget, issues.

    Raises errors that are both reflectkit's and LangChain's: ``except reflectkit.BackendError`` and
    ``except langchain_core.exceptions.ModelRateLimitError`` both work.
    """

    model_config = ConfigDict(
        extra="forbid",
        arbitrary_types_allowed=True,
        defer_build=True,  # built with the first model, not with the import
    )

    client: Any = Field(default=None, repr=False)
    model: str = Field(default="", validation_alias=AliasChoices("model", "model_name"))
    base_url: str | None = Field(
        default_factory=from_env("REFLECTKIT_BASE_URL", default=None), repr=False
    )
    api_key: SecretStr | None = Field(
        default_factory=secret_from_env("REFLECTKIT_API_KEY", default=None)
    )
    timeout: float | None = Field(
        default=None, validation_alias=AliasChoices("timeout", "request_timeout")
    )
    max_retries: int | None = None
    mode: Literal["auto", "trained", "prompted", "plain"] = "auto"
    show: Literal["full", "summary", "hidden"] = "full"
    reasoning: Literal["blocks", "hidden"] = "blocks"
    history: History = "drop"
    dialect: Any = None
    system: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    stop: list[str] | str | None = Field(
        default=None, validation_alias=AliasChoices("stop", "stop_sequences")
    )
    reasoning_budget: Any = None
    extra: dict[str, Any] | None = None
    policy: Any = None
    variant: str | None = None
    prefilled: bool | None = None
    budget: Any = None
    scopes: Any = None
    prices: Any = None
    counter: Any = None
    verify: Any = None
    attempts: int | None = None
    patience: float | None = None
    reserve: Literal["attempt", "call"] | None = None
    constrain: bool | None = None
    streaming: bool = False

    _clients: Clients = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        """Make what asks: what cannot work is found here, not at the first call, and LangChain's
        validators find the model complete."""
        super().model_post_init(context)
        from reflectkit import ReflectKitError

        from ._clients import Clients, without_password

        self.base_url, address = without_password(self.base_url)
        wire = {ours: getattr(self, name) for name, ours in _WIRE.items()}
        if address or "api_key" in self.model_fields_set:
            wire["api_key"] = self.api_key.get_secret_value() if self.api_key else None
        chosen = {name: value for name, value in wire.items() if value is not None}
        try:
            self._clients = Clients(self.client, address, {"model": self.model, **chosen})
            self._clients.check(self._settings())
        except ReflectKitError as error:
            raise translated(error) from None

    @model_validator(mode="after")
    def _add_langchain_reflectkit_version(self) -> Self:
        from . import __version__

        add = getattr(self, "_add_version", None)
        if add is not None:
            add("langchain-reflectkit", __version__)
        return self

    # --- what LangChain asks about

    @property
    def _llm_type(self) -> str:
        return "reflectkit-chat"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        from ._identity import identity

        values = {n: getattr(self, n) for n in type(self).model_fields if n in _OURS}
        found = {name: identity(value) for name, value in values.items() if value is not None}
        return found | ({"client": identity(self.client)} if self.client is not None else {})

    def _get_llm_string(self, stop: list[str] | None = None, **kwargs: Any) -> str:
        """The key of a cache: everything that an answer depends on, and no secret."""
        from ._identity import identity

        call = {name: identity(value) for name, value in kwargs.items()}
        own = {**self._identifying_params, "base_url": self.base_url}
        return repr((self._llm_type, sorted(own.items()), stop, sorted(call.items())))

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        found = LangSmithParams(
            ls_provider=PROVIDER,
            ls_model_type="chat",
            ls_model_name=kwargs.get("model") or self.model or self._clients.model or PROVIDER,
        )
        temperature = kwargs.get("temperature", self.temperature)
        if temperature is not None:
            found["ls_temperature"] = temperature
        max_tokens = kwargs.get("max_tokens", self.max_tokens)
        if max_tokens is not None:
            found["ls_max_tokens"] = max_tokens
        stops = stop or self.stop
        if stops:
            found["ls_stop"] = [stops] if isinstance(stops, str) else list(stops)
        return found

    def _resolve_model_profile(self) -> ModelProfile | None:
        backend = self._clients.backend
        able = getattr(backend, "capabilities", None)
        profile = ModelProfile(
            reasoning_output=self.reasoning == "blocks" and self.show != "hidden",
            tool_calling=able is None or able.tools,
            # with tools bound, an agent may send the schema of its answer along
            structured_output=True,
            text_inputs=True,
            text_outputs=True,
        )
        if self.max_tokens is not None:
            profile["max_output_tokens"] = self.max_tokens
        if context := getattr(backend, "context", 0):  # of one that knows it
            profile["max_input_tokens"] = context
        return profile

    @property
    def lc_secrets(self) -> dict[str, str]:
        return {"api_key": "REFLECTKIT_API_KEY"}

    @classmethod
    def is_lc_serializable(cls) -> bool:
        return True

    def get_num_tokens(self, text: str) -> int:
        """Tokens of a text by the model's own counter, else by one that estimates; no download."""
        return int(self._clients.counter(self.counter).count(text))

    def get_token_ids(self, text: str) -> list[int]:
        """The model's token ids, where this side or the server can tokenize.

        Raises an error that is ``reflectkit.MissingCapability`` where nobody can.
        """
        return list(_sync.call(self._clients.token_ids(text)))

    def get_num_tokens_from_messages(
        self, messages: list[BaseMessage], tools: Sequence[Any] | None = None
    ) -> int:
        """Tokens of a prompt: messages with what the mode adds, and tools; an estimate, unless the
        model's own tokenizer is at hand. Reasoning blocks count as far as ``history`` sends them.
        """
        turns = from_langchain(messages, history=self.history, dialect=self._tags)
        extra = {"tools": described(tools, None)} if tools else {}
        return self._clients.prompt_tokens(self.counter, turns, extra)

    # --- calls

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        from ._blocks import Blocks, joined

        blocks = Blocks(reasoning=self.reasoning == "blocks")
        found: list[dict[str, Any]] = []
        async with self._open(messages, stop, kwargs) as stream:
            async for event in stream:
                if self.rate_limiter is not None:
                    await self._turn(event)
                found += pieces(event, stream, blocks)
            reply = await stream.reply()
            found += [blocks.answer(text) for text in stream.ready()]
        good, bad = tool_calls(with_ids(reply))
        message = AIMessage(
            content=joined(found),
            tool_calls=good,
            invalid_tool_calls=bad,
            usage_metadata=usage_of(reply.usage),
            response_metadata=self._metadata(reply, kwargs),
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        from ._blocks import Blocks

        blocks = Blocks(reasoning=self.reasoning == "blocks")
        chunks = Chunks(self.output_version)
        async with self._open(messages, stop, kwargs) as stream:
            async for event in stream:
                if self.rate_limiter is not None:
                    await self._turn(event)
                for piece in pieces(event, stream, blocks):
                    yield chunks.of(piece)
            reply = await stream.reply()
            for text in stream.ready():  # what came with the reply, and with no event
                yield chunks.of(blocks.answer(text))
        yield ChatGenerationChunk(
            message=AIMessageChunk(
                content=[],
                tool_call_chunks=call_chunks(reply),
                usage_metadata=usage_of(reply.usage),
                response_metadata=self._metadata(reply, kwargs),
                chunk_position="last",
            )
        )

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return _sync.call(self._agenerate(messages, stop, None, **kwargs))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        return _sync.iterate(lambda: self._astream(messages, stop, None, **kwargs))

    def _open(
        self, messages: Sequence[BaseMessage], stop: list[str] | None, call: Mapping[str, Any]
    ) -> Translating:
        return Translating(lambda: self._begin(messages, stop, call))

    async def _begin(
        self, messages: Sequence[BaseMessage], stop: list[str] | None, call: Mapping[str, Any]
    ) -> ReplyStream:
        turns = from_langchain(messages, history=self.history, dialect=self._tags)
        settings = self._settings()
        options = {**settings, **options_of(settings, stop, call)}
        client = await self._clients.here()
        return client.stream(turns, **cast("Any", options))

    @property
    def _tags(self) -> str:
        return self.dialect if isinstance(self.dialect, str) else "reflection"

    async def _turn(self, event: Event) -> None:
        """LangChain has waited for the first request's turn; each further one waits for its own."""
        from reflectkit import AttemptStarted

        assert self.rate_limiter is not None
        if isinstance(event, AttemptStarted) and event.number > 1:
            await self.rate_limiter.aacquire(blocking=True)

    def _metadata(self, reply: Reply, call: Mapping[str, Any]) -> dict[str, Any]:
        if calls_in_thinking(reply):
            from logging import getLogger

            getLogger("langchain_reflectkit").warning(
                "A tool call stands inside the thinking. It was not made."
            )
        name = call.get("model") or self.model or self._clients.model
        return metadata_of(reply, model=name)

    def _settings(self) -> dict[str, Any]:
        """The client's own settings, as far as they were chosen here."""
        names = {name: _RENAMED.get(name, name) for name in (*_SAME, *_RENAMED)}
        values = {option: getattr(self, name) for name, option in names.items()}
        return {name: value for name, value in values.items() if value not in (None, "")}

    # --- tools and structured output

    def bind_tools(
        self,
        tools: Sequence[Any],
        *,
        tool_choice: str | bool | Mapping[str, Any] | None = None,
        strict: bool | None = None,
        parallel_tool_calls: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """This model with tools: functions, pydantic models, LangChain tools or JSON schemas.

        ``tool_choice``: "auto", "any" (or "required", True), "none", or a tool's name. ``strict``
        marks the schemas as binding for servers that know it. ``parallel_tool_calls``: whether one
        turn may call several. Raises an error that is ``reflectkit.ConfigurationError`` for a name
        that no tool has.
        """
        formatted = described(tools, strict)
        choice = chosen_tool(tool_choice, formatted)
        more = {"tool_choice": choice, "parallel_tool_calls": parallel_tool_calls}
        kwargs |= {name: value for name, value in more.items() if value is not None}
        return self.bind(tools=formatted, **kwargs)

    def with_structured_output(
        self,
        schema: dict[str, Any] | type,
        *,
        method: Literal["json_schema", "json_mode", "function_calling"] = "json_schema",
        include_raw: bool = False,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, Any]:
        """This model, giving objects: of a pydantic model, else dictionaries.

        ``json_schema`` asks for JSON in the answer and checks it there; ``json_mode`` does too, and
        tells the model nothing of the schema: the prompt must; ``function_calling`` forces a tool
        of this schema. In each of them, an answer that does not fit goes back with what is wrong,
        up to ``attempts`` times. ``include_raw``: a dictionary of ``raw``, ``parsed`` and
        ``parsing_error``. Raises ``OutputParserException`` where no answer fits, and an error that
        is ``reflectkit.ConfigurationError`` for a method that there is not.
        """
        from ._structured import structured

        return structured(
            self, schema, method=method, include_raw=include_raw, strict=strict, more=kwargs
        )

    # --- the end

    async def aclose(self) -> None:
        """Close the connections of the running event loop, as far as this model made them."""
        await self._clients.aclose()

    def close(self) -> None:
        """Close the connections that the synchronous methods made."""
        _sync.call(self._clients.aclose())


#: Fields that an answer depends on; ``base_url`` is in the cache's key, and not in traces.
_OURS = frozenset({*_SAME, *_RENAMED, "reasoning", "history", "constrain"})
