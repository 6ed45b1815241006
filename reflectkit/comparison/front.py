"""``reflectkit.compare``: the same problems through several arms, and a report."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .arms import Arm, arms_of
from .design import Design, designed
from .grading import marking
from .options import Options, Terms
from .planning import Plan, planned
from .records import Problem, Record
from .report import Report, facts_of, summarised
from .run import Progress, run
from .store import Store

if TYPE_CHECKING:
    from typing import Unpack

    from ..client import Client

__all__ = ["compare", "plan"]

Arms = Mapping[str, "Client | Arm"] | Iterable["Arm | Client"]


async def compare(
    problems: Iterable[Problem],
    arms: Arms,
    grade: Any = None,
    *,
    title: str = "",
    draws: int = 10_000,
    regrade: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
    **options: Unpack[Options],
) -> Report:
    """Ask every arm every problem, ``repeats`` times, and report what they differ by.

    ``arms``: a mapping of names to clients or ``Arm``s; at least two. All get the same seeds.
    ``grade``: how answers are graded: a grader's name, or a function of a problem and a text that
    returns a bool or a ``Grade``; by default each problem's own. Only the output is graded.
    ``regrade``: grade what is in the store once more. ``draws``: of the bootstrap. ``on_progress``
    is called after every answer.

    Options, with their defaults. ``repeats`` (1). ``seed`` (0): of all seeds, and of the order.
    ``store`` (None): a file that every answer is written to as soon as it is there; started again,
    the run goes on from it. ``concurrency`` (8): problems under way at once. ``equal_tokens``
    (True): add a vote of the plain arm that may generate as many tokens as the arm that reflects.
    ``probe`` (False): add the two probes for staged errors to each arm that reflects (see
    ``probing``; their backends must be able to continue a prefix).

    Raises ``ConfigurationError`` for what cannot be compared, before anything is asked, and
    ``BackendError`` when an arm fails 20 times in a row; what was answered is in the store then.
    """
    grading, terms = marking(grade), Terms(**options)
    design = await _designed(problems, arms, grading, terms)
    with Store(terms.store) as kept:
        records = await run(
            design,
            kept,
            grading,
            concurrency=terms.concurrency,
            on_progress=on_progress,
            regrade=regrade,
        )
    return report_of(records, design, title=title, draws=draws)


async def plan(
    problems: Iterable[Problem], arms: Arms, grade: Any = None, **options: Unpack[Options]
) -> Plan:
    """What ``compare`` would cost, how long it would take, and what it could find out.

    It takes the options of ``compare``, and asks nothing. Answers that are in ``store`` already say
    how long and how costly further ones are; without any, costs are bounds and the time is not
    known.
    """
    terms = Terms(**options)
    design = await _designed(problems, arms, marking(grade), terms)
    with Store(_there(terms.store)) as kept:
        return planned(design, kept, terms.concurrency)


def _there(store: str | os.PathLike[str] | None) -> str | os.PathLike[str] | None:
    """A plan makes no file."""
    return store if store is not None and os.path.exists(store) else None


def report_of(
    records: Sequence[Record], design: Design, *, title: str = "", draws: int = 10_000
) -> Report:
    """The report of a design's records."""
    return summarised(records, facts_of(design), title=title, draws=draws)


async def _designed(problems: Iterable[Problem], arms: Arms, grading: Any, terms: Terms) -> Design:
    found = list(problems)
    design = await designed(found, arms_of(arms), terms)
    if check := getattr(grading, "check", None):
        check(found)
    return design
