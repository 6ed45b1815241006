"""The client: what to ask, of whom, and how; the engine does the rest."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from . import _log
from .budget.trust import Trust
from .conversation import Prompt, asked, at_the_end, conversation, neutral
from .correcting import instructions, policy_of, verifiers_of
from .engine import Plan, Run
from .errors import ConfigurationError
from .messages import Message, Request
from .modes import Setup, setup
from .options import Connecting, Options, Settings, changed
from .protocol import neutralise
from .protocol.dialects import find_dialect
from .spending import Spending, price_of, spending
from .stream import ReplyStream

if TYPE_CHECKING:
    from typing import Unpack

    from .backends.base import Backend
    from .backends.nano import NanoBackend
    from .budget.budget import Budget
    from .budget.tokens import Counter
    from .correction.policy import Policy
    from .models.prices import Price
    from .reply import Mode, Reply
    from .verify import Verifier

__all__ = ["Client", "Preview"]

#: What belongs to a connection to a server.
_WIRE: Final = ("api_key", "timeout", "retries")
#: The model that answers when nobody was named.
_EMBEDDED = "nano-reflect"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """How a client would ask: the first request, the model's name and mode, how its answer would be
    read, what judges it and decides on further attempts. ``price``: None where none is known."""

    request: Request
    model: str
    mode: Mode
    dialect: str
    policy: Policy
    verifiers: tuple[Verifier, ...]
    price: Price | None
    counter: Counter


class _Connection:
    """A backend, shared by a client and the clients made from it."""

    def __init__(self, backend: Backend, *, ours: bool) -> None:
        self.backend = backend
        self.ours = ours
        self.closed = False
        self.warned: set[str] = set()
        self.trust = Trust()

    def backend_of(self, model: str) -> Backend:
        """What answers as ``model``; most backends are told the name, and choose themselves."""
        return self.backend

    async def aclose(self) -> None:
        """Close what this package has opened; a backend that was handed over stays open."""
        self.closed = True
        close = getattr(self.backend, "aclose", None)
        if self.ours and close is not None:
            await close()


class _Embedded(_Connection):
    """Models in this process: each has a backend of its own, made when it is first named."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._others: dict[str, NanoBackend] = {}
        super().__init__(self._made(model), ours=True)

    def backend_of(self, model: str) -> Backend:
        """See ``_Connection``. Raises ``ConfigurationError`` for a name that no model has."""
        if model in ("", self._model):
            return self.backend
        if model not in self._others:
            self._others[model] = self._made(model)
        return self._others[model]

    async def aclose(self) -> None:
        """Give all of them back."""
        async with AsyncExitStack() as stack:
            for backend in self._others.values():
                stack.push_async_callback(backend.aclose)
            await super().aclose()

    @staticmethod
    def _made(model: str) -> NanoBackend:
        from .backends.nano import NanoBackend

        return NanoBackend(model)


class Client:
    """Asks a model and returns its answer with the reflection told apart.

    Without an argument the embedded model answers, in this process. A URL is an OpenAI-compatible
    server; any object with ``stream(request)`` is a backend and stays yours to close. ``model``
    chooses among a server's models, or names the embedded weights or a GGUF file; a call may name
    another one.

    ``mode``: ``trained`` (the model learnt the protocol), ``prompted`` (it is asked for it),
    ``plain`` (no reflection asked) or ``auto``, from what is known about the model. ``show``:
    ``full``, ``summary`` or ``hidden`` thinking. ``dialect``: how the model marks its sections,
    where it is not the one known for the model. ``system``: a system text, beside the mode's.
    ``temperature``, ``top_p``, ``max_tokens``, ``seed`` and ``stop`` go to the model; what is
    left out is the model's own advice, then the server's default. ``reasoning``: how much the
    model may think, in its server's own fields; what the server has no field for is refused.
    ``timeout`` (seconds for a call) and ``retries`` belong to a URL, as does ``api_key``.
    ``extra``: fields for the wire body. ``policy``: how often to ask and when to stop.
    ``variant``: which of ``protocol.PROMPTED`` asks for reflection in prompted mode
    (``v1-format`` leaves tasks with a fixed format alone).
    ``prefilled``: whether the server's template puts the opening tag into the prompt, where that is
    not as known for the model.

    ``budget``: what an answer and a call may cost; a call's own budget and those of scopes count as
    well, and of each limit the smallest. ``scopes``: accounts that every call is charged to, beside
    those that were entered with ``with scope``. ``prices``: what tokens cost, where that is not
    known for the model. ``counter``: counts tokens, where the backend does not.

    ``verify``: what judges every answer: any callables from a ``Draft`` to a verdict or a bool, for
    ``patience`` seconds at most each. ``attempts``: how often to ask at most where an answer is
    rejected (default: three times if there are verifiers), with ``correction.Correct`` where no
    ``policy`` says otherwise; without verifiers, and from three attempts on, the first answer stays
    unless two independent ones agree on another (``correction.GuardedReflection``).
    ``reserve``: whether scopes hold what one attempt may take, before each (``attempt``), or what
    all of them may, before the first (``call``; needs ``max_tokens`` and a policy with a bound).
    ``output_type``: a pydantic model, another type or a JSON schema that the answer's JSON must
    fit; ``reply.value`` is the object.

    Raises ``ConfigurationError`` for a setting that cannot work.
    """

    _settings = Settings()

    def __init__(
        self,
        backend_or_base_url: str | Backend | None = None,
        **settings: Unpack[Connecting],
    ) -> None:
        if isinstance(backend_or_base_url, str) or "api_key" in settings:
            from .backends._secrets import hidden

            backend_or_base_url = hidden(backend_or_base_url)
            settings["api_key"] = hidden(settings.get("api_key"))
        wire = {name: settings.pop(name, None) for name in _WIRE}  # type: ignore[misc]  # names of its own keys
        self._settings = changed(Settings(), settings)
        self._budgets: tuple[tuple[str, Budget | None], ...] = (("client", self._settings.budget),)
        model = self._settings.model
        self._connection = _connect(backend_or_base_url, model, wire)
        self._borrowed = False

    def __repr__(self) -> str:
        connection = getattr(self, "_connection", None)  # None while the constructor fails
        backend = connection.backend if connection else None
        return f"Client({backend!r}, mode={self._settings.mode!r})"

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def ask(self, prompt: Prompt, **options: Unpack[Options]) -> Reply:
        """The reply to ``prompt``: a text, a message, or a conversation of messages.

        ``options`` change the client's settings for this call. Raises ``ConfigurationError``
        before anything is sent, and ``BackendError`` with what had come before the fault.
        """
        async with self.stream(prompt, **options) as stream:
            return await stream.reply()

    def stream(self, prompt: Prompt, **options: Unpack[Options]) -> ReplyStream:
        """The reply as it comes: ``async with client.stream(...) as stream``. As ``ask`` else."""
        settings = changed(self._settings, options)
        messages = conversation(prompt)
        self._check_open()

        async def start() -> Run:
            self._check_open()
            name = settings.model or await _model_of(self._connection.backend)
            spending = self._spending(settings, name, options.get("budget"))
            return Run(self._plan(settings, messages, name, spending))

        return ReplyStream(start, settings.output_type)

    async def preview(self, prompt: Prompt, **options: Unpack[Options]) -> Preview:
        """What ``ask`` would begin with; nothing is sent but a question for the model's name, where
        a server with one model knows it. Raises ``ConfigurationError`` as ``ask`` does."""
        settings = changed(self._settings, options)
        self._check_open()
        name = settings.model or await _model_of(self._connection.backend)
        spending = self._spending(settings, name, options.get("budget"))
        plan = self._plan(settings, conversation(prompt), name, spending)
        return Preview(
            request=plan.request,
            model=name,
            mode=plan.mode,
            dialect=find_dialect(plan.reading.dialect).name,
            policy=plan.policy,
            verifiers=plan.verifiers,
            price=spending.rates or price_of(settings, name),
            counter=spending.counter,
        )

    def with_options(self, **changes: Unpack[Options]) -> Client:
        """A client with other settings on the same connection, which it leaves open."""
        twin = object.__new__(type(self))
        twin._settings = changed(self._settings, changes)
        twin._connection = self._connection
        twin._budgets = (*self._budgets, ("client", changes.get("budget")))
        twin._borrowed = True
        return twin

    async def close(self) -> None:
        """Close the connection; the client and those made from it cannot be used afterwards."""
        if not self._borrowed and not self._connection.closed:
            await self._connection.aclose()

    def _check_open(self) -> None:
        if self._connection.closed:
            raise ConfigurationError("The client is closed.", hint="Make a new one.")

    def _spending(self, settings: Settings, name: str, budget: Budget | None) -> Spending:
        return spending(
            settings,
            name,
            budgets=(("call", budget), *self._budgets),
            trust=self._connection.trust,
        )

    def _plan(
        self, settings: Settings, messages: tuple[Message, ...], name: str, spending: Spending
    ) -> Plan:
        backend = self._connection.backend_of(settings.model)
        ready = setup(
            name,
            settings.mode,
            settings.dialect,
            variant=settings.variant,
            prefilled=settings.prefilled,
            extra=settings.extra,
        )
        self._warn(ready)
        inert = tuple(_inert(m, ready) for m in messages)
        verifiers = verifiers_of(settings)
        said = instructions(settings)
        return Plan(
            request=_request(settings, ready, at_the_end(inert, said) if said else inert),
            restore=inert != messages,
            asked=at_the_end(messages, said) if said else messages,
            verifiers=verifiers,
            patience=settings.patience,
            reserve=settings.reserve,
            backend=backend,
            policy=policy_of(settings, verifiers),
            spending=spending,
            reading=ready.reading,
            mode=ready.mode,
            show=settings.show,
        )

    async def _plan_of(self, messages: tuple[Message, ...]) -> Plan:
        """How this client would ask: for a policy of another one that hands a question on."""
        self._check_open()
        name = self._settings.model or await _model_of(self._connection.backend)
        return self._plan(
            self._settings, messages, name, self._spending(self._settings, name, None)
        )

    def _warn(self, ready: Setup) -> None:
        """Say once what is known to be wrong with a model."""
        name = ready.profile.name
        if ready.profile.faults and name not in self._connection.warned:
            self._connection.warned.add(name)
            _log.warn("model_faults", profile=name, faults=ready.profile.faults)


def _inert(message: Message, ready: Setup) -> Message:
    """Tags in what users and tools wrote must not pass for the model's own."""
    return neutral(message, lambda text: neutralise(text, ready.reading.dialect))


async def _model_of(backend: Backend) -> str:
    """The model's name: a server with one model is asked, since the name decides the profile."""
    resolve = getattr(backend, "resolve", None)
    name: str = await resolve() if resolve else getattr(backend, "model", "")
    return name


def _request(settings: Settings, ready: Setup, messages: tuple[Message, ...]) -> Request:
    def chosen(name: str) -> Any:
        value = getattr(settings, name)
        return getattr(ready, name) if value is None else value

    return Request(
        messages=asked(messages, system=(ready.system, settings.system or ""), suffix=ready.suffix),
        model=settings.model,
        max_tokens=chosen("max_tokens"),
        temperature=chosen("temperature"),
        top_p=chosen("top_p"),
        seed=settings.seed,
        stop=(*ready.stop, *settings.stop),
        reasoning=settings.reasoning,
        extra={**ready.extra, **(settings.extra or {})},
    )


def _connect(target: str | Backend | None, model: str, wire: Mapping[str, Any]) -> _Connection:
    if isinstance(target, str) and target.lower().startswith(("http://", "https://")):
        return _Connection(_server(target, model, wire), ours=True)
    given = [name for name, value in wire.items() if value is not None]
    if given:
        raise ConfigurationError(
            f"{given[0]} belongs to a URL, and no URL was given.",
            hint="Name the server, http(s)://host/v1, or leave it out.",
        )
    if target is None:
        return _Embedded(model or _EMBEDDED)
    if isinstance(target, str | type) or not callable(getattr(target, "stream", None)):
        raise ConfigurationError(
            f"{_short(target)} is neither a URL nor a backend.",
            hint="Pass http(s)://host/v1, an object with stream(request), or model=... alone.",
        )
    return _Connection(target, ours=False)


def _server(url: str, model: str, wire: Mapping[str, Any]) -> Backend:
    from .backends.openai import OpenAIBackend

    given = {name: value for name, value in wire.items() if value is not None}
    return OpenAIBackend(url, model=model, **given)


def _short(value: object) -> str:
    if not isinstance(value, str):
        return f"A {type(value).__name__}"
    before, at, host = str(value).rpartition("@")  # a user and a password stand before it
    scheme = before.partition("://")[0] + "://" if "://" in before else ""
    return repr(f"{scheme}***@{host}" if at else host)
