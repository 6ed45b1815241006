"""Figures in words: one way to write each kind of number, and the sentences of a report."""

from __future__ import annotations

from ..meters.staged import Staged
from ..stats.intervals import Figure
from ..stats.paired import Difference
from .data import ArmRow, PairRow, Recovery

__all__ = ["amount", "difference", "p_value", "percent", "sentence_of", "times"]


def percent(figure: Figure, digits: int = 1) -> str:
    """``93.2 [90.6, 95.1]``, in percent; a dash where it is not defined."""
    if figure.value is None:
        return "–"
    said = f"{100 * figure.value:.{digits}f}"
    if figure.low is None or figure.high is None:
        return said
    return f"{said} [{100 * figure.low:.{digits}f}, {100 * figure.high:.{digits}f}]"


def amount(figure: Figure, digits: int = 2) -> str:
    """``1.55 [1.19, 1.84]``."""
    if figure.value is None:
        return "–"
    said = f"{figure.value:.{digits}f}"
    if figure.low is None or figure.high is None:
        return said
    return f"{said} [{figure.low:.{digits}f}, {figure.high:.{digits}f}]"


def times(figure: Figure) -> str:
    """``1.55 times``."""
    return "–" if figure.value is None else f"{figure.value:.2f} times"


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


def sentence_of(pair: PairRow, second: ArmRow) -> str:
    """What was found of two arms."""
    found, judged = pair.found, verdict(pair)
    first, name = pair.first, pair.second
    cost = second.cost.overhead
    spent = (
        f", for {cost.value:.2f} times the tokens"
        if cost.value is not None and cost.value > 1.005
        else ""
    )
    what = {
        "better": f"“{name}” is right more often than “{first}”{spent}",
        "worse": f"“{name}” is right less often than “{first}”{spent}",
        "not distinguishable": f"“{name}” and “{first}” cannot be told apart",
    }[judged]
    return (
        f"{what}: {100 * found.second:.1f} % against {100 * found.first:.1f} %, "
        f"{difference(found)} points, {p_value(pair.adjusted)} (n = {found.n} × {found.repeats})."
    )


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
