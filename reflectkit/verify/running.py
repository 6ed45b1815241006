"""Runs verifiers side by side, each with a time-out of its own."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from inspect import isawaitable, iscoroutinefunction
from typing import Any, Final

from ..errors import ConfigurationError
from ..reply import Draft, Verdict
from .callables import Verifier, name_of, renames, runnable, verdicts_of

__all__ = ["INLINE_CHARACTERS", "run"]

#: A longer response is not judged in the event loop, which would stand still for so long.
INLINE_CHARACTERS: Final = 2000


async def run(
    verifiers: Iterable[Verifier],
    draft: Draft,
    /,
    *,
    timeout: float | None = 10.0,  # noqa: ASYNC109  # each verifier's, not the caller's
) -> tuple[Verdict, ...]:
    """The verdicts of all verifiers on a draft, in the verifiers' order.

    They run at the same time, each for ``timeout`` seconds at most (None: without a limit). One
    that crashes, is too slow or returns no judgement gives an unknown verdict that says why: never
    a pass, and never at the cost of the others. Objects with ``ainvoke``, or with ``invoke`` where
    they cannot be called, are taken as ``runnable`` takes them.

    A sync verifier runs in a thread, so that it cannot hold up the loop, unless it has a true
    attribute ``inline`` and the response is short (2,000 characters). A thread cannot be stopped:
    one that is too slow or cancelled is left to end by itself, and nobody waits for it, the end of
    the program included.

    Raises ``ConfigurationError`` for what cannot be called at all. Cancelling cancels all of them.
    """
    if timeout is not None and not timeout > 0:
        raise ConfigurationError(f"timeout is {timeout!r}.", hint="Give seconds above 0, or None.")
    found = [_callable(v) for v in verifiers]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_one(v, draft, timeout)) for v in found]
    return tuple(verdict for task in tasks for verdict in task.result())


def _callable(verifier: Any) -> Verifier:
    # Some runnables of older releases can be called as well, but not with a draft.
    if hasattr(verifier, "ainvoke") or (hasattr(verifier, "invoke") and not callable(verifier)):
        return runnable(verifier)
    if callable(verifier):
        found: Verifier = verifier
        return found
    raise ConfigurationError(
        f"A {type(verifier).__name__} is no verifier.",
        hint="Pass a callable that takes a draft.",
    )


async def _one(verifier: Verifier, draft: Draft, seconds: float | None) -> tuple[Verdict, ...]:
    name = name_of(verifier)
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            judgement = await _judged(verifier, draft)
    except Exception as error:  # noqa: BLE001  # a verifier may fail in every way there is
        if limit.expired():
            return (_unknown(name, f"It took longer than {seconds:g} s."),)
        return (_unknown(name, f"It failed with {type(error).__name__}: {str(error)[:200]}"),)
    found = verdicts_of(judgement, name)
    return tuple(replace(v, name=name) for v in found) if renames(verifier) else found


def _unknown(name: str, why: str) -> Verdict:
    return Verdict(ok=None, name=name, feedback=why)


async def _judged(verifier: Verifier, draft: Draft) -> object:
    is_async = iscoroutinefunction(verifier) or iscoroutinefunction(
        getattr(verifier, "__call__", None)  # noqa: B004  # an object may be awaited when called
    )
    small = len(draft.transcript.source) <= INLINE_CHARACTERS
    here = is_async or (small and getattr(verifier, "inline", False))
    result: object = verifier(draft) if here else await _in_thread(verifier, draft)
    return await result if isawaitable(result) else result


async def _in_thread(function: Callable[[Draft], Any], draft: Draft) -> object:
    """The result, from a thread of its own. Pools are joined when the program ends: this is not."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[object] = loop.create_future()
    context = contextvars.copy_context()

    def work() -> None:
        try:
            result = context.run(function, draft)
        except BaseException as error:  # noqa: BLE001  # it is raised again where it is awaited
            _deliver(loop, outcome, None, error)
        else:
            _deliver(loop, outcome, result, None)

    threading.Thread(target=work, name=f"verifier {name_of(function)}", daemon=True).start()
    return await outcome


def _deliver(
    loop: asyncio.AbstractEventLoop,
    outcome: asyncio.Future[object],
    result: object,
    error: BaseException | None,
) -> None:
    def settle() -> None:
        if outcome.done():  # nobody waits any more
            _drop(result)
        elif error is None:
            outcome.set_result(result)
        else:
            outcome.set_exception(_as_exception(error))

    try:
        loop.call_soon_threadsafe(settle)
    except RuntimeError:  # the loop has been closed meanwhile
        _drop(result)


def _drop(result: object) -> None:
    """A coroutine that nobody will await is closed, so that it does not complain."""
    close = getattr(result, "close", None)
    if isawaitable(result) and close is not None:
        close()


def _as_exception(error: BaseException) -> BaseException:
    """A thread's own SystemExit or StopIteration must not end the program or the task."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    return RuntimeError(f"{type(error).__name__}: {error}")
