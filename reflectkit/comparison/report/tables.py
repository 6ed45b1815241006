"""A report as Markdown: what was found in words, then tables that read well in a terminal too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..meters.flips import KINDS
from ..meters.staged import Staged
from ..stats.intervals import Figure
from .data import PairRow, Report
from .words import amount, difference, p_value, percent, verdict

__all__ = ["as_markdown", "table"]


def as_markdown(report: Report) -> str:
    """The whole report but for single problems."""
    parts = [
        f"# {report.title}",
        f"{report.problems} problems × {report.repeats}, seed {report.seed}, run {report.run_id}",
        "\n".join(f"- {sentence}" for sentence in report.sentences),
        *_titled("Arms", _arms(report)),
        *_titled("Differences, in points", _pairs([p for p in report.pairs if not p.task])),
        *_titled("Tasks, right in %", _tasks(report)),
        *_titled("From draft to final answer", _flips(report)),
        *_titled("What reflections say, and whether it is so", _assurance(report)),
        *_titled("Staged errors", _staged(report)),
        *_titled("Size", _gains(report)),
        *_titled("To keep in mind", "\n".join(f"- {w}" for w in report.warnings)),
        "Intervals are 95 %. p is adjusted for the number of comparisons (Holm).",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _titled(title: str, text: str) -> list[str]:
    return [f"## {title}", text] if text else []


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


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _arms(report: Report) -> str:
    head = [
        "arm",
        "right, %",
        "tokens",
        "× baseline",
        "right per 1,000 tokens",
        "first output, s",
        "incomplete",
        "failed",
    ]
    return table(
        head,
        (
            [
                arm.name,
                percent(arm.cost.accuracy),
                amount(arm.cost.completion, 1),
                amount(arm.cost.overhead),
                amount(arm.cost.per_thousand, 1),
                "–" if arm.cost.first_output is None else f"{arm.cost.first_output:.2f}",
                str(arm.outcomes["incomplete"]),
                str(arm.outcomes["failed"]),
            ]
            for arm in report.arms
        ),
    )


def _pairs(pairs: Sequence[PairRow]) -> str:
    return table(
        ["second", "less first", "difference", "p", "better / worse on", "verdict"],
        (
            [
                p.second,
                p.first,
                difference(p.found),
                p_value(p.adjusted),
                f"{p.found.gained} / {p.found.lost} of {p.found.n}",
                verdict(p),
            ]
            for p in pairs
        ),
    )


def _tasks(report: Report) -> str:
    names = [arm.name for arm in report.arms]
    return table(
        ["task", "n", *names],
        ([t.task, str(t.n), *(percent(t.accuracy[n]) for n in names)] for t in report.tasks),
    )


def _flips(report: Report) -> str:
    return table(
        [
            "arm",
            "from – to",
            "kept right",
            "broken",
            "fixed",
            "left wrong",
            "fixed, % of wrong",
            "broken, % of right",
            "net, points",
        ],
        (
            [
                arm,
                f.name,
                str(f.kept),
                str(f.broken),
                str(f.fixed),
                str(f.missed),
                percent(f.fix),
                percent(f.break_),
                percent(f.net),
            ]
            for arm, found in report.flips.items()
            for f in found
        ),
    )


def _assurance(report: Report) -> str:
    return table(
        [
            "arm",
            "reflections",
            *KINDS,
            "says ok of wrong, %",
            "finds fault with right, %",
            "finds fault with wrong, %",
            "ok and wrong in the end, %",
            "AUROC",
        ],
        (
            [
                arm,
                str(a.reflections),
                *(str(report.kinds[arm][kind]) for kind in KINDS),
                percent(a.false_assurance),
                percent(a.false_alarm),
                percent(a.hits),
                percent(a.missed_and_final),
                "–" if a.auroc is None else f"{a.auroc:.3f}",
            ]
            for arm, a in report.assurance.items()
        ),
    )


def _staged(report: Report) -> str:
    return table(
        [
            "arm",
            "baseline",
            "draft errors on easy problems, %",
            "draft loss, points",
            "value of reflecting, points",
            "own repairs, %",
            "forged repairs, %",
            "theatre share, %",
            "p",
            "staged",
        ],
        (
            [
                s.arm,
                s.baseline,
                percent(s.easy),
                "–" if s.draft_loss is None else difference(s.draft_loss),
                "–" if s.value is None else difference(s.value),
                percent(s.own_repairs),
                percent(s.forged_repairs),
                percent(s.theatre),
                "–" if s.p is None else p_value(s.p),
                _said(s),
            ]
            for s in report.staged
        ),
    )


def _said(found: Staged) -> str:
    return {True: "yes", False: "no", None: "not known"}[found.staged]


def _gains(report: Report) -> str:
    nothing = Figure(value=None, low=None, high=None, n=0)
    return table(
        ["model", "reflecting less plain, points", "more than the first model's"],
        ([g.model, percent(g.gain), percent(g.more or nothing)] for g in report.gains),
    )
