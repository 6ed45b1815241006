"""When a loop has done enough: rules over the attempts so far, joined by ``|`` and ``&``.

A rule is any callable from a ``State`` to a reason (a text), or to True; nothing means go on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import TYPE_CHECKING

from ..errors import ConfigurationError
from ..messages import Usage
from ..values import value_key
from .judged import complaints, is_accepted, score

if TYPE_CHECKING:
    from ..reply import Attempt

__all__ = [
    "Check",
    "Rule",
    "State",
    "accepted",
    "attempts",
    "money",
    "no_gain",
    "oscillation",
    "same_answer",
    "same_error",
    "seconds",
    "tokens",
]


@dataclass(frozen=True, slots=True)
class State:
    """What a rule sees: the attempts so far, the last one last."""

    attempts: tuple[Attempt, ...]

    @property
    def usage(self) -> Usage:
        """Of all attempts together."""
        return reduce(add, (a.usage for a in self.attempts), Usage())

    @property
    def seconds(self) -> float:
        """That the answers took, one after the other."""
        return sum(a.seconds for a in self.attempts)


Check = Callable[[State], "str | bool | None"]


class Rule:
    """A rule that can be joined with others, and says after how many attempts it stops at most."""

    def __init__(self, check: Check, name: str = "", *, most: int | None = None) -> None:
        if not callable(check):
            raise ConfigurationError(
                f"A {type(check).__name__} is no stop rule.",
                hint="Pass a callable from State to a reason, such as stop.attempts(3).",
            )
        self._check = check
        self.name = name or getattr(check, "__name__", "rule")
        #: after so many attempts it stops in any case; None: it may never stop
        self.most = most

    def __repr__(self) -> str:
        return self.name

    def __call__(self, state: State) -> str:
        """The reason to stop; "" for none."""
        found = self._check(state)
        return found if isinstance(found, str) else self.name if found else ""

    def __or__(self, other: Check) -> Rule:
        two = rule(other)
        known = [most for most in (self.most, two.most) if most is not None]
        return Rule(
            lambda state: self(state) or two(state),
            f"({self.name} | {two.name})",
            most=min(known, default=None),
        )

    def __and__(self, other: Check) -> Rule:
        two = rule(other)
        most = None if self.most is None or two.most is None else max(self.most, two.most)
        return Rule(lambda state: _both(self, two, state), f"({self.name} & {two.name})", most=most)

    def __ror__(self, other: Check) -> Rule:
        return rule(other) | self

    def __rand__(self, other: Check) -> Rule:
        return rule(other) & self


def rule(check: Check) -> Rule:
    """``check`` as a rule."""
    return check if isinstance(check, Rule) else Rule(check)


def _both(one: Rule, two: Rule, state: State) -> str:
    first, second = one(state), two(state)
    return f"{first} and {second}" if first and second else ""


# --- the usual ones


def attempts(most: int) -> Rule:
    """After ``most`` attempts."""
    _positive(attempts=most)
    return Rule(lambda s: len(s.attempts) >= most, f"attempts({most})", most=most)


def tokens(most: int) -> Rule:
    """Once the attempts have cost ``most`` tokens, prompts and completions."""
    _positive(tokens=most)
    return Rule(lambda s: s.usage.total >= most, f"tokens({most})")


def money(most: float, cost: Callable[[Usage], float]) -> Rule:
    """Once the attempts have cost ``most``; ``cost``: such as ``lambda u: price.cost(u)``."""
    _positive(money=most)
    return Rule(lambda s: cost(s.usage) >= most, f"money({most})")


def seconds(most: float) -> Rule:
    """Once the answers have taken ``most`` seconds."""
    _positive(seconds=most)
    return Rule(lambda s: s.seconds >= most, f"seconds({most})")


def accepted() -> Rule:
    """Once an answer was accepted."""
    return Rule(lambda s: is_accepted(s.attempts[-1]), "accepted")


def same_answer(times: int = 2) -> Rule:
    """When the last ``times`` answers come to the same value."""
    _positive(times=times - 1)
    return Rule(lambda s: _same([_value(a) for a in s.attempts], times), "same_answer")


def same_error(times: int = 2) -> Rule:
    """When the last ``times`` answers were rejected with the same complaints."""
    _positive(times=times - 1)
    return Rule(lambda s: _same([complaints(a) for a in s.attempts], times), "same_error")


def oscillation() -> Rule:
    """When an answer comes back that another one had replaced."""
    return Rule(_oscillates, "oscillation")


def no_gain(rounds: int = 2) -> Rule:
    """When ``rounds`` attempts in a row were no better than the best before them."""
    _positive(rounds=rounds)
    return Rule(lambda s: _gains_nothing(s.attempts, rounds), "no_gain")


def _same(values: Sequence[object], times: int) -> bool:
    last = values[-times:]
    return len(last) == times and bool(last[0]) and all(value == last[0] for value in last)


def _value(attempt: Attempt) -> object:
    return value_key(attempt.transcript.output)


def _oscillates(state: State) -> bool:
    values = [_value(a) for a in state.attempts]
    last = values[-1]
    return len(values) > 2 and bool(last) and values[-2] != last and last in values[:-2]


def _gains_nothing(attempts: Sequence[Attempt], rounds: int) -> bool:
    before, last = attempts[:-rounds], attempts[-rounds:]
    return bool(before) and max(map(score, last)) <= max(map(score, before))


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not value > 0:
            raise ConfigurationError(f"{name} is {value}.", hint="It has to be more.")
