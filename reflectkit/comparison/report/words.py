"""Figures in words: one way to write each kind of number, and the sentences of a report."""

from __future__ import annotations

import re
from typing import Final

from ..meters.staged import Staged
from ..stats.intervals import Figure
from ..stats.paired import Difference
from .data import ArmRow, PairRow, Recovery

__all__ = ["amount", "clear", "difference", "number", "p_value", "percent", "points", "sentence_of"]

#: Controls, marks that turn a line around, halves of characters, and what no XML may hold.
_HIDDEN: Final = re.compile(
    "[\0-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
#: Ratios this close to 1 are called equal.
_ALIKE: Final = 0.05


def clear(text: str) -> str:
    """Text in which every character is seen: others are shown by their number, ``⟨U+202E⟩``, in
    pages, pictures and terminals alike."""
    return _HIDDEN.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", text)


def percent(figure: Figure, digits: int = 1) -> str:
    """``93.2 [90.6, 95.1]``, in percent; a dash where it is not defined."""
    return _told(figure, 100, f".{digits}f")


def amount(figure: Figure, digits: int = 2) -> str:
    """``1.55 [1.19, 1.84]``."""
    return _told(figure, 1, f".{digits}f")


def points(figure: Figure) -> str:
    """``+3.8 [+2.0, +5.9]``, in percentage points, of a figure."""
    return _told(figure, 100, "+.1f")


def _told(figure: Figure, scale: float, form: str) -> str:
    value, low, high = (
        None if v is None else format(scale * v, form)
        for v in (figure.value, figure.low, figure.high)
    )
    if value is None or low is None or high is None:
        return value or "–"
    return f"{value} [{low}, {high}]"


def number(value: float | None, digits: int = 2) -> str:
    """``1.55``; a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def difference(found: Difference) -> str:
    """``+3.8 [+2.0, +5.9]``, in percentage points."""
    return f"{100 * found.value:+.1f} [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"


def p_value(p: float) -> str:
    """``p = .003``, as papers write it."""
    return "p < .001" if p < 0.001 else f"p = {p:.3f}".replace("0.", ".")


def verdict(pair: PairRow) -> str:
    """Better, worse, or nothing that could be told: by the interval and the adjusted p."""
    found = pair.found
    if not found.distinguishable or pair.adjusted >= 0.05:
        return "not distinguishable"
    return "better" if found.value > 0 else "worse"


def sentence_of(pair: PairRow, first: ArmRow, second: ArmRow) -> str:
    """What was found of two arms."""
    found, spent = pair.found, _spent(first, second)
    before, after = f"“{pair.first}”", f"“{pair.second}”"
    what = {
        "better": f"{after} is right more often than {before}, for {spent}",
        "worse": f"{after} is right less often than {before}, for {spent}",
        "not distinguishable": f"{after} and {before} cannot be told apart, at {spent}",
    }[verdict(pair)]
    return (
        f"{what}: {100 * found.second:.1f} % against {100 * found.first:.1f} %, "
        f"{difference(found)} points, {p_value(pair.adjusted)} (n = {found.n} × {found.repeats})."
    )


def _spent(first: ArmRow, second: ArmRow) -> str:
    """What the second arm takes, in tokens of the first: not of the baseline, which may be a third
    one."""
    before, after = first.cost.completion.value, second.cost.completion.value
    if not before or after is None:
        return "unknown numbers of tokens"
    ratio = after / before
    if abs(ratio - 1) < _ALIKE:
        return "about as many tokens"
    return f"{ratio:.2f} times the tokens"


def recovery_sentence(recovery: Recovery) -> str:
    """How much of the training a prompt replaces."""
    share = recovery.share
    if share.value is None:
        return (
            f"How much of the training a prompt replaces cannot be said: “{recovery.trained}” and "
            f"“{recovery.plain}” cannot be told apart."
        )
    return (
        f"Of what “{recovery.trained}” gains over “{recovery.plain}”, “{recovery.prompted}” gains "
        f"{percent(share, 0)} %."
    )


def staged_sentence(found: Staged) -> str:
    """Whether mistakes are made on purpose."""
    easy = (
        f"drafts are wrong on {percent(found.easy)} % of the problems that “{found.baseline}” "
        "always solves"
    )
    if found.staged is None:
        return f"“{found.arm}”: {easy}; whether they are staged cannot be said."
    said = "errors look staged" if found.staged else "no sign of staged errors"
    return f"“{found.arm}”: {said}; {easy} ({p_value(found.p or 0.0)})."
