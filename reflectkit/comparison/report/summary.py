"""From records to a report: everything computed once, in a fixed order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Final, get_args

from ..answers import marks_of
from ..meters.assurance import assurance
from ..meters.flips import flips, judged, reflection_kinds
from ..meters.recovery import Gain, gains, recovery
from ..meters.staged import Staged, staged
from ..meters.table import Table
from ..meters.tokens import costs
from ..probing import CUT, FORGED
from ..records import Outcome, Part, Problem, Record
from ..stats.bootstrap import Draws
from ..stats.holm import holm
from ..stats.paired import paired
from ..stats.power import smallest_difference
from .data import Answer, ArmRow, Item, PairRow, Recovery, Report, Section, TaskRow
from .words import recovery_sentence, sentence_of, staged_sentence

if TYPE_CHECKING:
    from ..design import Design

__all__ = ["Facts", "facts_of", "summarised"]

_OUTCOMES: Final = get_args(Outcome)
#: Characters of one section that a report holds.
_LONGEST: Final = 4_000
_POINTS: Final = 100
#: Two-sided 5 %, and a power of 80 %, in standard errors.
_LEVEL: Final = NormalDist().inv_cdf(0.975)
_POWER: Final = NormalDist().inv_cdf(0.8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a report needs to know beside the records. ``likes``: for a vote or a probe, the arm
    that it goes by."""

    run_id: str
    problems: Sequence[Problem]
    repeats: int
    seed: int
    kinds: Mapping[str, str]
    models: Mapping[str, str]
    modes: Mapping[str, str]
    policies: Mapping[str, str]
    likes: Mapping[str, str]


def facts_of(design: Design) -> Facts:
    """The facts of a design."""
    shown = design.previews
    return Facts(
        run_id=design.run_id,
        problems=design.problems,
        repeats=design.repeats,
        seed=design.seed,
        kinds=dict(design.kinds),
        models={name: preview.model for name, preview in shown.items()},
        modes={name: preview.mode for name, preview in shown.items()},
        policies={name: _policy_name(preview.policy) for name, preview in shown.items()},
        likes={arm.name: arm.like for arm in design.arms if arm.like},
    )


def _policy_name(policy: Any) -> str:
    name = type(policy).__name__
    return "" if name.startswith("_") else name


def summarised(
    records: Sequence[Record],
    facts: Facts,
    *,
    title: str = "",
    draws: int = 10_000,
    items: int | None = None,
) -> Report:
    """The report of some records. ``items``: how many problems it shows one by one (None: all)."""
    table = Table(records, facts.problems)
    names = [n for n in facts.kinds if n in table.arms and facts.kinds[n] != "probe"]
    order = table.common(*names) if names else []
    baseline = next((n for n in names if facts.kinds[n] == "plain"), names[0]) if names else ""
    arms = _arms(table, names, baseline, order, facts, draws)
    pairs = _pairs(table, names, baseline, facts)
    reflecting = [n for n in names if any(r.reflections for r in table.records(n))]
    found = _staged(table, reflecting, names, facts)
    back = _recovery(table, names, facts, draws)
    smallest = _smallest(pairs, len(order))
    return Report(
        title=title or "Comparison",
        run_id=facts.run_id,
        problems=len(facts.problems),
        repeats=facts.repeats,
        seed=facts.seed,
        arms=arms,
        tasks=_tasks(table, names),
        pairs=pairs,
        flips={n: tuple(flips(table, n)) for n in names if _has_drafts(table, n)},
        kinds={n: dict(reflection_kinds(table, n).items()) for n in reflecting},
        assurance={n: assurance(table, n) for n in reflecting},
        staged=found,
        recovery=back,
        gains=_gains(table, names, facts, draws),
        smallest=smallest,
        sentences=_sentences(arms, pairs, found, back),
        warnings=_warnings(table, arms, facts, order, smallest),
        items=_items(table, [*names, *_probes(table, facts)], items),
    )


# --- the parts


def _arms(
    table: Table,
    names: Sequence[str],
    baseline: str,
    order: Sequence[str],
    facts: Facts,
    draws: int,
) -> tuple[ArmRow, ...]:
    if not order:
        return ()
    found = costs(table, names, baseline, Draws(table.clusters(order), draws=draws), order)
    return tuple(
        ArmRow(
            name=cost.arm,
            kind=facts.kinds[cost.arm],
            model=facts.models.get(cost.arm, ""),
            mode=facts.modes.get(cost.arm, ""),
            policy=facts.policies.get(cost.arm, ""),
            outcomes=_outcomes(table.records(cost.arm)),
            cost=cost,
            curve=_curve(table.records(cost.arm)),
        )
        for cost in found
    )


def _outcomes(records: Sequence[Record]) -> dict[str, int]:
    counts = Counter(r.outcome for r in records)
    return {outcome: counts[outcome] for outcome in _OUTCOMES}


def _curve(records: Sequence[Record]) -> tuple[tuple[float, float], ...]:
    """The share of answers that are right and took no more than so many tokens."""
    spent = sorted((r.tokens.completion, r.right) for r in records)
    if not spent:
        return ()
    points, right, n = [(0.0, 0.0)], 0, len(spent)
    for place, (tokens, is_right) in enumerate(spent, 1):
        right += is_right
        if place == n or spent[place][0] != tokens:
            points.append((float(tokens), right / n))
    return tuple(_thinned(points))


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    step = max(1, len(points) // _POINTS)
    return [*points[:-1:step], points[-1]]


def _tasks(table: Table, names: Sequence[str]) -> tuple[TaskRow, ...]:
    tasks = list(dict.fromkeys(p.task for p in table.problems))
    rows = []
    for task in tasks if len(tasks) > 1 else ():
        part = table.of_task(task)
        order = part.common(*names)
        if order:
            accuracy = {name: part.accuracy(name, order) for name in names}
            rows.append(TaskRow(task=task, n=len(order), accuracy=accuracy))
    return tuple(rows)


def _pairs(table: Table, names: Sequence[str], baseline: str, facts: Facts) -> tuple[PairRow, ...]:
    """Everything against the baseline; votes against the arm whose tokens they had; and trained
    against prompted."""
    wanted = [(baseline, n) for n in names if n != baseline]
    wanted += [(n, like) for n in names if (like := facts.likes.get(n)) in names and like]
    for one in names:
        for other in names:
            if facts.kinds[one] == "prompted" and facts.kinds[other] == "trained":
                wanted.append((one, other))
    tasks = list(dict.fromkeys(p.task for p in table.problems))
    rows = _compared(table, wanted, "")
    for task in tasks if len(tasks) > 1 else ():
        rows += _compared(table.of_task(task), wanted, task)
    return tuple(rows)


def _compared(table: Table, wanted: Sequence[tuple[str, str]], task: str) -> list[PairRow]:
    found = []
    for first, second in wanted:
        order = table.common(first, second)
        if order:
            rights = table.rights(first, order), table.rights(second, order)
            found.append((first, second, paired(*rights, table.clusters(order))))
    adjusted = holm([d.p for *_, d in found])
    return [
        PairRow(first=a, second=b, task=task, found=d, adjusted=p)
        for (a, b, d), p in zip(found, adjusted, strict=True)
    ]


def _has_drafts(table: Table, name: str) -> bool:
    return any(len(r.phases) > 2 or judged(r) for r in table.records(name))


def _probes(table: Table, facts: Facts) -> list[str]:
    return [n for n in facts.kinds if facts.kinds[n] == "probe" and n in table.arms]


def _staged(
    table: Table, reflecting: Sequence[str], names: Sequence[str], facts: Facts
) -> tuple[Staged, ...]:
    """Of each arm that reflects by itself, against the best that does not."""
    single = [n for n in names if facts.kinds[n] in ("plain", "prompted", "trained")]
    others = [n for n in single if n not in reflecting]
    if not others:
        return ()
    best = max(others, key=lambda n: sum(r.right for r in table.records(n)))
    probes = {(facts.likes.get(n, ""), n.rpartition(", ")[2]): n for n in _probes(table, facts)}
    return tuple(
        staged(table, n, best, cut=probes.get((n, CUT), ""), forged=probes.get((n, FORGED), ""))
        for n in reflecting
        if n in single
    )


def _recovery(table: Table, names: Sequence[str], facts: Facts, draws: int) -> Recovery | None:
    by = {
        kind: [n for n in names if facts.kinds[n] == kind]
        for kind in ("plain", "prompted", "trained")
    }
    if not all(by.values()):
        return None
    plain, prompted, trained = by["plain"][0], by["prompted"][0], by["trained"][0]
    share = recovery(table, plain, prompted, trained, draws)
    return Recovery(plain=plain, prompted=prompted, trained=trained, share=share)


def _gains(table: Table, names: Sequence[str], facts: Facts, draws: int) -> tuple[Gain, ...]:
    """Of models that answer both plainly and with reflection, in the order of the arms."""
    models = []
    for model in dict.fromkeys(facts.models.get(n, "") for n in names):
        own = [n for n in names if facts.models.get(n) == model]
        plain = next((n for n in own if facts.kinds[n] == "plain"), "")
        other = next((n for n in own if facts.kinds[n] in ("trained", "prompted")), "")
        if plain and other:
            models.append((model, plain, other))
    return tuple(gains(table, models, draws))


def _smallest(pairs: Sequence[PairRow], n: int) -> float | None:
    """Of the first comparison. One answer each: with as many discordant problems as it has seen, at
    least one in fifty. Repeats and clusters: from its standard error, since there a problem counts
    as discordant for one answer of many."""
    if not pairs or not n:
        return None
    found = pairs[0].found
    if found.repeats > 1 or found.clusters < found.n:
        width = (found.high - found.low) / (2 * _LEVEL)
        return min(1.0, (_LEVEL + _POWER) * width) or None
    discordant = max(0.02, min(1.0, (found.gained + found.lost) / max(1, found.n)))
    return smallest_difference(n, discordant)


#: Which comparisons are said first, by the kinds of their arms.
_FIRST: Final = (("plain", "trained"), ("vote", "trained"), ("plain", "prompted"))


def _sentences(
    arms: Sequence[ArmRow],
    pairs: Sequence[PairRow],
    found: Sequence[Staged],
    back: Recovery | None,
) -> tuple[str, ...]:
    by = {arm.name: arm for arm in arms}
    own = [p for p in pairs if not p.task and {p.first, p.second} <= by.keys()]
    order = {kinds: place for place, kinds in enumerate(_FIRST)}
    own.sort(key=lambda p: order.get((by[p.first].kind, by[p.second].kind), len(order)))
    said = [sentence_of(p, by[p.first], by[p.second]) for p in own]
    if back is not None:
        said.append(recovery_sentence(back))
    return (*said, *map(staged_sentence, found))


def _warnings(
    table: Table,
    arms: Sequence[ArmRow],
    facts: Facts,
    order: Sequence[str],
    smallest: float | None,
) -> tuple[str, ...]:
    found = []
    if len(order) < len(facts.problems):
        found.append(
            f"Only {len(order)} of {len(facts.problems)} problems have an answer of every arm; "
            "tables of several arms are about those."
        )
    for arm in arms:
        for outcome, why in (
            ("failed", "got no answer because of an error"),
            ("ungraded", "could not be graded"),
            ("incomplete", "have no whole output"),
        ):
            if count := arm.outcomes[outcome]:
                total = sum(arm.outcomes.values())
                found.append(
                    f"“{arm.name}”: {count} of {total} answers {why}; they count as not right."
                )
        if not arm.cost.exact:
            found.append(f"“{arm.name}”: some token counts are estimates.")
    if smallest is not None:
        found.append(
            f"Differences below {100 * smallest:.1f} points are more likely to be missed than not "
            "to be: so many problems find that one with a probability of 80 %."
        )
    return tuple(found)


# --- single problems


def _items(table: Table, names: Sequence[str], most: int | None) -> tuple[Item, ...]:
    chosen = table.problems if most is None else table.problems[:most]
    return tuple(
        Item(
            id=p.id,
            task=p.task,
            prompt=_short(p.prompt)[0],
            gold=_short(_gold(p.gold))[0],
            answers=tuple(_answer(r) for n in names for r in table.of(n, p.id)),
        )
        for p in chosen
    )


def _gold(gold: Any) -> str:
    return gold if isinstance(gold, str) else repr(gold)


def _answer(record: Record) -> Answer:
    return Answer(
        arm=record.arm,
        repeat=record.repeat,
        outcome=record.outcome,
        value=_short(record.value)[0],
        note=_short(record.note or record.error)[0],
        tokens=record.tokens.completion,
        sections=tuple(_sections(record)),
    )


def _sections(record: Record) -> list[Section]:
    """Sections one after another, reflections taken out of the thinking that they stand in."""
    says = {p.part: p.says or "" for p in record.reflections if p.part is not None}
    pieces = []
    for place, part in enumerate(record.parts):
        inner = [p for p in record.parts if p.parent == place]
        if part.parent is not None and part.kind != "reflection":
            continue
        if not inner:
            pieces.append((part.start, part.kind, part.text, says.get(place, "")))
            continue
        for start, text in _around(record, part, inner):
            pieces.append((start, part.kind, text, ""))
    pieces.sort(key=lambda piece: piece[0])
    found = []
    for _, kind, text, said in pieces:
        if text.strip():
            short, cut = _short(text.strip("\n"))
            found.append(Section(kind=kind, text=short, says=said, cut=cut))
    return found


def _around(record: Record, part: Part, inner: Sequence[Part]) -> list[tuple[int, str]]:
    """The text of a section between those that stand in it, without its own markup."""
    starts = [part.start, *(p.end for p in inner)]
    ends = [*(p.start for p in inner), part.end]
    pieces = [(a, record.source[a:b]) for a, b in zip(starts, ends, strict=True)]
    for mark in marks_of(record.dialect, "thinking"):
        pieces = [(a, text.replace(mark, "")) for a, text in pieces]
    return pieces


def _short(text: str) -> tuple[str, int]:
    """The text as far as it is shown, and how many characters are left out."""
    if len(text) <= _LONGEST:
        return text, 0
    return text[:_LONGEST], len(text) - _LONGEST
