"""Token budgets of an agent: for each run, thread and tenant, kept by a ledger of reflectkit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from time import time
from typing import Annotated, Any, Final, Literal, NotRequired, get_args

from langchain.agents.middleware import AgentState, ModelRequest, ModelResponse
from langchain.agents.middleware.types import ExtendedModelResponse, PrivateStateAttr
from langchain_core import exceptions
from langgraph.errors import GraphBubbleUp
from langgraph.types import Command

from reflectkit import Budget, BudgetExceeded, ConfigurationError, Limit, Scope, Usage
from reflectkit.budget.ledger import Demand
from reflectkit.budget.tokens import Counter
from reflectkit.counters import counter_for
from reflectkit.ledgers import Ledger
from reflectkit.ledgers.hold import Lease, hold

from .._counting import is_cached, usage_of
from .._errors import TokenBudgetExceeded
from .._sync import call
from .._wrapped import field_of, models_in, name_of, with_fields
from . import _wrapup
from ._accounts import Accounts, Limits, begun
from ._hooks import AsyncHook, Handler, answer_in
from ._room import Plan, room_of

__all__ = ["TokenBudgetExceeded", "TokenBudgetMiddleware", "TokenBudgetState"]

Exit = Literal["answer", "end", "error"]

#: tokens that are wanted for an answer that nothing else limits
_USUAL: Final = 4096
_KNOWN: Final = frozenset({"total", "calls", "output", "output_floor", "prompt", "seconds"})
#: errors by which nothing was generated: their reservation comes back
_UNBILLED: Final = (
    exceptions.ModelAuthenticationError,
    exceptions.ModelPermissionDeniedError,
    exceptions.ModelNotFoundError,
    exceptions.ModelInvalidRequestError,
    exceptions.ModelRateLimitError,
    exceptions.ModelConnectionError,
    exceptions.ContextOverflowError,
    BudgetExceeded,
    ConfigurationError,
    GraphBubbleUp,
)


class TokenBudgetState(AgentState[Any]):
    """What a checkpoint keeps of the budget: a snapshot of the accounts, replaced each time."""

    token_budget: NotRequired[Annotated[dict[str, Any], PrivateStateAttr]]


class TokenBudgetMiddleware(AsyncHook[TokenBudgetState]):
    """Keeps an agent's model calls within budgets. Put it last in the list, so that the calls of
    all other middleware pass it.

    ``budget``: of one run (one ``invoke``), a number of tokens or a ``Budget`` with ``total``,
    ``calls``, ``seconds``, ``prompt`` (of one request), ``output`` (of one answer) and
    ``output_floor`` (kept for the last answer; 256 at most by default). ``thread``: limits of one
    thread of a checkpointer. ``tenant``: limits of a tenant, whose name is ``tenant_of(runtime)``;
    by default ``tenant`` of the runtime's context or of ``configurable``. ``scopes``: further ones.
    ``ledger``: where runs, threads and tenants are kept (this process's memory by default).

    Before each call the most that it may use is reserved, ``max_tokens`` is cut to what was
    granted, and afterwards what ``usage_metadata`` tells is charged: where it tells nothing, what
    reflectkit's counter counts; nothing for an answer from LangChain's cache. A call that fails in
    the middle is charged in full, one that was refused not at all.

    ``exit_behavior``, when the budget is nearly spent: ``answer`` asks for the answer now, without
    tools, with what was kept for it; ``end`` ends with a message that says so; ``error`` raises
    ``TokenBudgetExceeded``, which LangChain's retries leave alone.

    The ledger is what counts. The state keeps a snapshot, so that a run or thread goes on with what
    it had spent when another process resumes it.
    """

    state_schema = TokenBudgetState

    def __init__(
        self,
        budget: Budget | int | None = None,
        *,
        thread: Limits = None,
        tenant: Limits = None,
        tenant_of: Callable[[Any], str | None] | None = None,
        scopes: Sequence[Scope] = (),
        ledger: Ledger | None = None,
        exit_behavior: Exit = "answer",
        counter: Counter | None = None,
    ) -> None:
        super().__init__()
        self.tools = []
        self._budget = _checked(Budget(total=budget) if isinstance(budget, int) else budget)
        if exit_behavior not in get_args(Exit):
            raise ConfigurationError(
                f"exit_behavior is {exit_behavior!r}.", hint='It is "answer", "end" or "error".'
            )
        self._accounts = Accounts(
            run=_limits_of(self._budget),
            thread=thread,
            tenant=tenant,
            tenant_of=tenant_of,
            further=scopes,
            ledger=ledger,
        )
        if not (self._accounts or self._budget):
            raise ConfigurationError(
                "No budget was given.", hint="Pass budget=, thread=, tenant= or scopes=."
            )
        self._exit = exit_behavior
        self._counter = counter
        #: by model: tokens that its prompts had beside what is seen of them here
        self._unseen: dict[str, int] = {}

    # --- the run

    def before_agent(self, state: TokenBudgetState, runtime: Any) -> dict[str, Any]:
        """A new run begins; one that is resumed does not pass here."""
        return {"token_budget": begun(state.get("token_budget") or {})}

    async def abefore_agent(self, state: TokenBudgetState, runtime: Any) -> dict[str, Any]:
        """See ``before_agent``."""
        return self.before_agent(state, runtime)

    async def aafter_agent(self, state: TokenBudgetState, runtime: Any) -> None:
        """The run is over, and so is its account."""
        await self._accounts.end((state.get("token_budget") or {}).get("run", ""))

    def after_agent(self, state: TokenBudgetState, runtime: Any) -> None:
        """See ``aafter_agent``."""
        call(self.aafter_agent(state, runtime))

    # --- one call

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Handler
    ) -> ExtendedModelResponse[Any]:
        """The model's response, paid for. Raises ``TokenBudgetExceeded`` where that was wanted."""
        state: Any = request.state
        snapshot = dict(state.get("token_budget") or begun({}))
        scopes = self._accounts.scopes(request.runtime, snapshot)
        await self._accounts.restore(scopes, snapshot)
        counter = self._counter or counter_for(name_of(request.model))
        room = await room_of(scopes, self._left_of(snapshot))
        terms = _wrapup.Terms(
            counter=counter,
            budget=self._budget,
            wanted=self._wanted(request),
            how=self._exit,
            unseen=self._unseen.get(name_of(request.model), 0),
        )
        plan = _wrapup.plan(request, room, terms)
        response: ModelResponse[Any] | None = None
        if plan is not None:
            try:
                response = await self._paid(plan, handler, scopes, counter, snapshot)
            except _Refused as refused:
                room = replace(room, by=refused.by)
        if response is None:
            if self._exit == "error":
                raise TokenBudgetExceeded(room.by)
            response = _wrapup.ended(request, room, self._exit)
        told = await self._accounts.told(scopes, snapshot)
        return ExtendedModelResponse(response, Command(update={"token_budget": told}))

    async def _paid(
        self,
        plan: Plan,
        handler: Handler,
        scopes: Sequence[Scope],
        counter: Counter,
        snapshot: dict[str, Any],
    ) -> ModelResponse[Any]:
        """The response to ``plan``, between a reservation and its settlement."""
        demand = Demand(prompt=plan.prompt, completion=plan.completion, least=plan.least)
        try:
            lease = await hold(scopes, demand)
        except BudgetExceeded as error:
            raise _Refused(f"{error.scope} {error.limit}") from error
        try:
            granted = min(lease.completion, plan.completion)
            response = await handler(_clamped(plan.request, granted, plan.prompt))
        except BudgetExceeded as error:  # of our own chat model: its prompt is longer than it looks
            await lease.release()
            raise _Refused(f"{error.scope} {error.limit}") from error
        except BaseException as error:
            await _give_up(lease, error, plan.prompt + lease.completion)
            raise
        usage = _usage(response, plan, counter)
        cached = usage is None
        await lease.settle(tokens=usage.total if usage else 0, calls=0 if cached else 1)
        snapshot["exact"] = snapshot.get("exact", True) and (usage is None or usage.exact)
        if usage and usage.exact:
            name = name_of(plan.request.model)
            unseen = usage.prompt - counter.prompt_upper(plan.counted)
            self._unseen[name] = max(unseen, self._unseen.get(name, 0))
            counter.learn_prompt(plan.counted, usage.prompt)
        return _wrapup.answered(response, plan)

    def _wanted(self, request: ModelRequest[Any]) -> int:
        """The most tokens that this answer may have for other reasons than the accounts."""
        settings = request.model_settings.get("max_tokens")
        own = [
            getattr(m, name)
            for m in models_in(request.model)
            if (name := field_of(m, "max_tokens"))
        ]
        limits = [settings, *own, self._budget.output if self._budget else None]
        return min([n for n in limits if isinstance(n, int) and n > 0], default=_USUAL)

    def _left_of(self, snapshot: dict[str, Any]) -> float | None:
        """The share of the run's time that is left; None without a limit."""
        seconds = self._budget.seconds if self._budget else None
        if seconds is None:
            return None
        return 1 - (time() - float(snapshot["began"])) / seconds


class _Refused(Exception):
    """A ledger did not grant what was asked for: it had changed meanwhile."""

    def __init__(self, by: str) -> None:
        super().__init__(by)
        self.by = by


async def _give_up(lease: Lease, error: BaseException, most: int) -> None:
    """Settle a call that failed: nothing for one that was refused, else what it may have cost."""
    if isinstance(error, _UNBILLED):
        await lease.release()
    else:
        await lease.settle(tokens=most)


def _usage(response: ModelResponse[Any], plan: Plan, counter: Counter) -> Usage | None:
    """What it cost; None if it came from the cache, an estimate where nobody tells."""
    answer = answer_in(response.result)
    said: Any = answer.usage_metadata if answer else None
    if is_cached(said):
        return None
    found = usage_of(said)
    if found is not None:
        return found
    written = _wrapup.written(answer) if answer else ""
    return Usage(
        prompt=counter.prompt(plan.counted),
        completion=counter.count(written, special=True),
        exact=False,
    )


def _clamped(request: ModelRequest[Any], tokens: int, prompt: int) -> ModelRequest[Any]:
    """The request, its answer limited where the model's class has a word for that.

    Our own chat model may ask several times, and adds to prompts: it keeps to all that was granted.
    """
    if type(request.model).__name__ == "ChatReflectKit":
        model: Any = request.model
        own: Budget | None = request.model_settings.get("budget") or model.budget
        most = min(prompt + tokens, own.total if own and own.total else prompt + tokens)
        limits = own.model_dump(exclude_defaults=True) if own else {}
        whole = Budget(**{**limits, "total": most})
        settings = {**request.model_settings, "max_tokens": tokens, "budget": whole}
        return request.override(model_settings=settings)
    names = {field_of(m, "max_tokens") for m in models_in(request.model)}
    if "max_tokens" in names or "max_tokens" in request.model_settings:
        return request.override(model_settings={**request.model_settings, "max_tokens": tokens})
    limited: Any = with_fields(request.model, {"max_tokens": tokens})
    return request.override(model=limited)


def _checked(budget: Budget | None) -> Budget | None:
    given = budget.model_dump(exclude_defaults=True) if budget else {}
    if unknown := sorted(given.keys() - _KNOWN):
        raise ConfigurationError(
            f"An agent's budget has no {', '.join(unknown)}.",
            hint="Give these to the model: ChatReflectKit(budget=...); here are "
            f"{', '.join(sorted(_KNOWN))}.",
        )
    return budget


def _limits_of(budget: Budget | None) -> tuple[Limit, ...]:
    found = []
    if budget and budget.total:
        found.append(Limit(tokens=budget.total))
    if budget and budget.calls:
        found.append(Limit(calls=budget.calls))
    return tuple(found)
