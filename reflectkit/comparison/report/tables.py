"""The tables of a report, and the report as Markdown: words first, then tables that read well in a
terminal too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ..meters.flips import KINDS
from ..meters.staged import Staged
from ..stats.intervals import Figure
from .data import ArmRow, PairRow, Report
from .words import amount, clear, difference, number, p_value, percent, points, verdict

__all__ = ["Part", "about", "as_markdown", "footnote", "parts", "table"]

Rows = Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A table under its heading. ``heading``: "" for one more table of the part before.
    ``words``: how many of the first columns hold words, no numbers. ``caption``: what it is."""

    heading: str
    caption: str
    head: tuple[str, ...]
    rows: Rows
    words: int = 1


def parts(report: Report) -> Iterator[Part]:
    """All tables that have a row, in order."""
    whole, single = (
        [p for p in report.pairs if bool(p.task) is of_task] for of_task in (False, True)
    )
    found = (
        _arms(report.arms),
        _costs(report.arms),
        _pairs("Differences, in points", "All tasks together.", whole),
        _tasks(report),
        _pairs("", "Differences in points, task by task.", single),
        _flips(report),
        _kinds(report),
        _assurance(report),
        _staged(report),
        _repairs(report),
        _gains(report),
    )
    return (part for part in found if part.rows)


def about(report: Report) -> str:
    """What was run."""
    return f"{report.problems} problems × {report.repeats}, seed {report.seed}, run {report.run_id}"


def footnote() -> str:
    """What holds for all tables."""
    return (
        "Intervals are 95 %. p is adjusted for the number of comparisons (Holm), all tasks "
        "together and each task by itself."
    )


def as_markdown(report: Report) -> str:
    """The whole report but for single problems."""
    told = [
        f"# {_line(report.title)}",
        about(report),
        "\n".join(f"- {_line(sentence)}" for sentence in report.sentences),
    ]
    for part in parts(report):
        if part.heading:
            told.append(f"## {part.heading}")
        told += [part.caption, table(part.head, part.rows)]
    if report.warnings:
        told += ["## To keep in mind", "\n".join(f"- {_line(w)}" for w in report.warnings)]
    return "\n\n".join(text for text in [*told, footnote()] if text) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, its columns as wide as their widest cell; "" without rows."""
    cells = [[_cell(c) for c in row] for row in [head, *rows]]
    if len(cells) < 2:
        return ""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)) + " |" for r in cells
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (w + 2) for w in widths) + "|", *lines[1:]])


def _line(text: str) -> str:
    """On one line, and no markup of HTML: names of arms and tasks are anybody's."""
    return " ".join(clear(text).replace("&", "&amp;").replace("<", "&lt;").split())


def _cell(text: str) -> str:
    return _line(text).replace("|", "\\|")


# --- the tables


def _arms(arms: Sequence[ArmRow]) -> Part:
    rows = [
        (
            arm.name,
            percent(arm.cost.accuracy),
            amount(arm.cost.completion, 1),
            amount(arm.cost.overhead),
            amount(arm.cost.per_thousand, 1),
            number(arm.cost.first_output),
            str(arm.outcomes["incomplete"]),
            str(arm.outcomes["failed"]),
        )
        for arm in arms
    ]
    head = ("arm", "right, %", "tokens", "× baseline", "right per 1,000 tokens")
    return Part(
        heading="Arms",
        caption="An answer; tokens are generated ones, thinking included.",
        head=(*head, "first output, s", "incomplete", "failed"),
        rows=rows,
    )


def _costs(arms: Sequence[ArmRow]) -> Part:
    rows = [
        (
            arm.name,
            arm.model or "–",
            ", ".join(word for word in (arm.mode, arm.policy) if word) or "–",
            number(arm.cost.prompt, 1),
            number(arm.cost.thinking, 1),
            number(arm.cost.reflections, 1),
            number(arm.cost.calls),
            number(arm.cost.seconds),
            number(arm.cost.money or None, 6),
        )
        for arm in arms
    ]
    head = ("arm", "model", "mode, policy", "prompt tokens", "thinking tokens")
    return Part(
        heading="",
        caption="What an answer takes: means, and the median of seconds.",
        head=(*head, "in reflections", "calls", "seconds", "price"),
        rows=rows,
        words=3,
    )


def _pairs(heading: str, caption: str, pairs: Sequence[PairRow]) -> Part:
    tasks = any(p.task for p in pairs)
    rows = [
        (
            *([p.task] if tasks else []),
            p.second,
            p.first,
            verdict(p),
            difference(p.found),
            p_value(p.adjusted),
            f"{p.found.gained} / {p.found.lost} of {p.found.n}",
        )
        for p in pairs
    ]
    head = ("second", "less first", "verdict", "difference", "p", "better / worse on")
    return Part(
        heading=heading,
        caption=caption,
        head=("task", *head) if tasks else head,
        rows=rows,
        words=3 + tasks,
    )


def _tasks(report: Report) -> Part:
    names = [arm.name for arm in report.arms]
    nothing = Figure(value=None, low=None, high=None, n=0)
    return Part(
        heading="Tasks, right in %",
        caption="n counts problems.",
        head=("task", "n", *names),
        rows=[
            (t.task, str(t.n), *(percent(t.accuracy.get(n, nothing)) for n in names))
            for t in report.tasks
            if names
        ],
    )


def _flips(report: Report) -> Part:
    rows = [
        (
            arm,
            f.name,
            str(f.kept),
            str(f.broken),
            str(f.fixed),
            str(f.missed),
            percent(f.fix),
            percent(f.break_),
            points(f.net),
        )
        for arm, found in report.flips.items()
        for f in found
    ]
    head = ("arm", "from – to", "kept right", "broken", "fixed", "left wrong")
    return Part(
        heading="From draft to final answer",
        caption="Answers. Later reflections are of the answers that have so many.",
        head=(*head, "fixed, % of wrong", "broken, % of right", "net, points"),
        rows=rows,
        words=2,
    )


def _kinds(report: Report) -> Part:
    rows = [
        (arm, str(a.reflections), *(str(report.kinds.get(arm, {}).get(k, 0)) for k in KINDS))
        for arm, a in report.assurance.items()
    ]
    return Part(
        heading="What reflections say, and whether it is so",
        caption="Reflections, by what they did.",
        head=("arm", "reflections", *KINDS),
        rows=rows,
    )


def _assurance(report: Report) -> Part:
    rows = [
        (
            arm,
            percent(a.false_assurance),
            percent(a.false_alarm),
            percent(a.hits),
            percent(a.missed_and_final),
            number(a.auroc, 3),
            number(a.brier, 3),
            number(a.calibration, 3),
            str(a.stated),
        )
        for arm, a in report.assurance.items()
    ]
    head = (
        "arm",
        "says ok of wrong, %",
        "finds fault with right, %",
        "finds fault with wrong, %",
        "ok and wrong in the end, %",
    )
    return Part(
        heading="",
        caption="What reflections say, as a judgement of the answer before them.",
        head=(*head, "AUROC", "Brier", "ECE", "confidence stated"),
        rows=rows,
    )


def _staged(report: Report) -> Part:
    rows = [
        (
            s.arm,
            s.baseline,
            {True: "yes", False: "no", None: "not known"}[s.staged],
            percent(s.easy),
            _difference(s, "draft_loss"),
            "–" if s.p is None else p_value(s.p),
        )
        for s in report.staged
    ]
    head = ("arm", "baseline", "staged", "draft errors on easy problems, %")
    return Part(
        heading="Staged errors",
        caption="Easy problems are those that the baseline always solves.",
        head=(*head, "draft loss, points", "p, one-sided"),
        rows=rows,
        words=3,
    )


def _repairs(report: Report) -> Part:
    rows = [
        (
            s.arm,
            _difference(s, "value"),
            percent(s.own_repairs),
            percent(s.forged_repairs),
            percent(s.theatre),
        )
        for s in report.staged
    ]
    head = ("arm", "value of reflecting, points", "own mistakes repaired, %")
    return Part(
        heading="",
        caption="Beside the verdict; these decide nothing.",
        head=(*head, "forged ones repaired, %", "theatre share, %"),
        rows=rows,
    )


def _difference(found: Staged, name: str) -> str:
    value = getattr(found, name)
    return "–" if value is None else difference(value)


def _gains(report: Report) -> Part:
    nothing = Figure(value=None, low=None, high=None, n=0)
    return Part(
        heading="Size",
        caption="How much reflecting brings to each model.",
        head=("model", "reflecting less plain, points", "more than the first model's"),
        rows=[(g.model, points(g.gain), points(g.more or nothing)) for g in report.gains],
    )
