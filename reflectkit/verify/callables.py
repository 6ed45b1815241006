"""What counts as a verifier, what it is called, and what its answer means."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypeAlias

from ..errors import ConfigurationError
from ..reply import Draft, Verdict, VerdictBy

__all__ = ["Judgement", "Verifier", "name_of", "named", "renames", "runnable", "verdicts_of"]

#: What a verifier may return; None means that it cannot tell.
Judgement: TypeAlias = Verdict | bool | Sequence[Verdict | bool | None] | None
#: Any callable, sync or async, from a draft to a judgement.
Verifier: TypeAlias = Callable[[Draft], Judgement | Awaitable[Judgement]]

_YES: Final = {"yes", "y", "true", "pass", "passed", "ok", "correct", "valid", "accept", "accepted"}
_NO: Final = {
    "no", "n", "false", "fail", "failed", "incorrect", "wrong", "invalid", "reject", "rejected",
}  # fmt: skip
_OK_KEYS, _WHY_KEYS = ("ok", "passed", "valid"), ("feedback", "reason", "reasoning", "comment")


def name_of(verifier: object) -> str:
    """Its ``name``, else that of the function, else that of its type."""
    while isinstance(verifier, partial):
        verifier = verifier.func
    for attribute in ("name", "__name__"):
        found = getattr(verifier, attribute, None)
        if isinstance(found, str) and found:
            return found
    return type(verifier).__name__


def named(verifier: Verifier, name: str) -> Verifier:
    """The same verifier under another name, for lambdas and for two of a kind."""
    return _Named(verifier, name)


def renames(verifier: object) -> bool:
    """Whether its name goes over those that its verdicts have."""
    return isinstance(verifier, _Named)


class _Named:
    def __init__(self, verifier: Verifier, name: str) -> None:
        self._verifier = verifier
        self.name = name
        self.inline = bool(getattr(verifier, "inline", False))

    def __repr__(self) -> str:
        return f"named({self._verifier!r}, {self.name!r})"

    def __call__(self, draft: Draft, /) -> Judgement | Awaitable[Judgement]:
        return self._verifier(draft)


def verdicts_of(judgement: object, name: str) -> tuple[Verdict, ...]:
    """The verdicts that a judgement stands for. What is no judgement is an unknown that says so."""
    if isinstance(judgement, (list, tuple)):
        if not judgement:
            return (_unknown(name, "It returned an empty list, which says nothing."),)
        return tuple(_verdict(one, name) for one in judgement)
    return (_verdict(judgement, name),)


def _verdict(one: object, name: str) -> Verdict:
    if isinstance(one, Verdict):
        return one if one.name else replace(one, name=name)
    if one is None or isinstance(one, bool):
        return Verdict(
            ok=one, name=name, feedback=f"The check {name} failed." if one is False else ""
        )
    return _unknown(
        name,
        f"It returned {type(one).__name__}, which is no verdict: return a Verdict, a bool, None "
        "or a list of these.",
    )


def _unknown(name: str, why: str) -> Verdict:
    return Verdict(ok=None, name=name, feedback=why)


def runnable(target: Any, *, name: str = "", by: VerdictBy = "judge") -> Verifier:
    """A verifier from an object with ``ainvoke`` or ``invoke``, such as a LangChain runnable.

    It is given a dictionary of ``question``, ``output`` and ``thinking``, and may return a bool; a
    text that begins with yes or no, pass or fail; an object with such a text as its ``content``; or
    a dictionary with ``ok``, ``feedback`` and ``score``. Anything else is an unknown verdict.
    """
    if not (hasattr(target, "ainvoke") or hasattr(target, "invoke")):
        raise ConfigurationError(
            f"A {type(target).__name__} cannot be invoked.",
            hint="Pass an object with invoke or ainvoke, or a callable as it is.",
        )
    found = name or name_of(target)
    if hasattr(target, "ainvoke"):
        return _AsyncRunnable(target, found, by)
    return _Runnable(target, found, by)


class _Runnable:
    def __init__(self, target: Any, name: str, by: VerdictBy) -> None:
        self._target, self.name, self._by = target, name, by

    def __call__(self, draft: Draft, /) -> Verdict:
        return self._read(self._target.invoke(_input(draft)))

    def _read(self, result: object) -> Verdict:
        return replace(_read(result), name=self.name, by=self._by)


class _AsyncRunnable(_Runnable):
    async def __call__(self, draft: Draft, /) -> Verdict:  # type: ignore[override]  # awaited, as the other is not
        return self._read(await self._target.ainvoke(_input(draft)))


def _input(draft: Draft) -> dict[str, str]:
    return {"question": draft.question, "output": draft.output, "thinking": draft.thinking or ""}


def _read(result: object) -> Verdict:
    if isinstance(result, Verdict):
        return result
    result = getattr(result, "content", result)
    if isinstance(result, bool) or result is None:
        return Verdict(ok=result)
    if isinstance(result, str):
        return _said(result)
    if isinstance(result, dict):
        return _fields(result)
    return Verdict(ok=None, feedback=f"It returned {type(result).__name__}, which is no judgement.")


def _said(text: str) -> Verdict:
    first = re.match(r"\W*(\w+)\W*", text)
    word = first[1].lower() if first else ""
    if first is None or word not in _YES | _NO:
        return Verdict(ok=None, feedback=f"It said neither yes nor no: {text.strip()[:200]}")
    return Verdict(ok=word in _YES, feedback="" if word in _YES else text[first.end() :].strip())


def _fields(result: dict[Any, Any]) -> Verdict:
    ok = next((result[key] for key in _OK_KEYS if key in result), result.get("score"))
    score = result.get("score")
    number = isinstance(score, (int, float)) and not isinstance(score, bool) and 0 <= score <= 1
    return Verdict(
        ok=ok if isinstance(ok, bool) else None,
        feedback=next((str(result[k]) for k in _WHY_KEYS if result.get(k)), ""),
        score=float(score) if number and score is not None else None,
    )
