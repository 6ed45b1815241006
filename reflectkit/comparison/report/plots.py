"""The pictures of a report, each a drawing of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..meters.assurance import Assurance
from ..meters.flips import Flips
from ..stats.intervals import Figure
from .data import ArmRow, PairRow, Report
from .svg import Scale, axis_x, axis_y, colour, drawing, element, text, ticks
from .words import difference, p_value, percent, verdict

__all__ = ["PLOTS", "plots"]

_WIDE = 720
_NAME = 250  # of an arm, in a row


def plots(report: Report) -> dict[str, str]:
    """Name -> drawing, of those that there is something to show for."""
    found = {name: draw(report) for name, draw in PLOTS.items()}
    return {name: svg for name, svg in found.items() if svg}


def _fill(arm: ArmRow) -> str:
    return colour(arm.kind if arm.kind in ("plain", "prompted", "trained", "vote") else "other")


def _short(name: str, most: int = 40) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


# --- differences


def forest(report: Report) -> str:
    """Paired differences with their intervals, all tasks together and each one."""
    rows = [p for p in report.pairs if not p.task] + [p for p in report.pairs if p.task]
    if not rows:
        return ""
    left, right, top, step = 300, _WIDE - 170, 26, 24
    edges = [v for p in rows for v in (100 * p.found.low, 100 * p.found.high)] + [0.0]
    low, high = min(edges), max(edges)
    room = max(1.0, (high - low) * 0.05)
    scale = Scale((low - room, high + room), (left, right))
    bottom = top + step * (len(rows) + _breaks(rows))
    parts = [
        axis_x(scale, bottom, top - 8, ticks(*scale.values, 6), "points", "{:+g}"),
        element("line", x1=scale(0), x2=scale(0), y1=top - 8, y2=bottom, stroke=colour("ink")),
    ]
    y, last = top + step / 2, rows[0]
    for pair in rows:
        if pair.task and not last.task:
            y += step
        parts.append(_forest_row(pair, scale, y, left))
        y, last = y + step, pair
    return drawing(_WIDE, int(bottom + 44), "Differences between arms", _said_of(rows), parts)


def _breaks(rows: Sequence[PairRow]) -> int:
    return int(any(p.task for p in rows) and not rows[0].task)


def _said_of(rows: Sequence[PairRow]) -> str:
    return "; ".join(
        f"{p.second} less {p.first}: {difference(p.found)}" for p in rows if not p.task
    )


def _forest_row(pair: PairRow, scale: Scale, y: float, left: float) -> str:
    found, judged = pair.found, verdict(pair)
    paint = {"better": colour("good"), "worse": colour("bad")}.get(judged, colour("soft"))
    name = (
        f"{pair.second} – {pair.first}"
        if not pair.task
        else f"{pair.task}: {pair.second} – {pair.first}"
    )
    low, high, value = (scale(100 * v) for v in (found.low, found.high, found.value))
    return "".join(
        [
            text(left - 10, y + 4, _short(name, 46), text_anchor="end", font_size=11),
            element("line", x1=low, x2=high, y1=y, y2=y, stroke=paint, stroke_width=2),
            element("circle", cx=value, cy=y, r=4, fill=paint),
            text(
                _WIDE - 160,
                y + 4,
                f"{100 * found.value:+.1f}  {p_value(pair.adjusted)}",
                font_size=11,
                fill=colour("soft"),
            ),
        ]
    )


# --- accuracy and tokens


def pareto(report: Report) -> str:
    """Accuracy against generated tokens."""
    if not report.arms:
        return ""
    spent = [arm.cost.completion.value or 0.0 for arm in report.arms]
    x = Scale((0, 1.12 * max(*spent, 1.0)), (60, _WIDE - 30))
    y, marks = _shares([arm.cost.accuracy for arm in report.arms], (330, 40))
    parts = [
        axis_x(x, 330, 40, ticks(*x.values, 6), "generated tokens an answer"),
        axis_y(y, 60, _WIDE - 30, marks, "right, %"),
    ]
    placed: list[tuple[float, float]] = []
    for arm in report.arms:
        cost = arm.cost
        cx, cy = x(cost.completion.value or 0.0), y(100 * (cost.accuracy.value or 0.0))
        low, high = (y(100 * (v or 0.0)) for v in (cost.accuracy.low, cost.accuracy.high))
        parts.append(
            element("line", x1=cx, x2=cx, y1=low, y2=high, stroke=_fill(arm), stroke_width=2)
        )
        parts.append(element("circle", cx=cx, cy=cy, r=6, fill=_fill(arm)))
        parts.append(_label(arm.name, cx, cy, placed))
    said = "; ".join(f"{a.name}: {percent(a.cost.accuracy)} %" for a in report.arms)
    return drawing(_WIDE, 380, "Accuracy against tokens", said, parts)


def _label(name: str, x: float, y: float, placed: list[tuple[float, float]]) -> str:
    """Beside its point, out of the way of those that are there."""
    left = x > _WIDE * 0.62
    at = y - 8
    while any(abs(at - b) < 15 and abs(x - a) < 230 for a, b in placed):
        at += 15
    placed.append((x, at))
    end = "end" if left else "start"
    return text(x + (-10 if left else 10), at, _short(name, 34), text_anchor=end)


def _shares(figures: Sequence[Figure], places: tuple[float, float]) -> tuple[Scale, list[float]]:
    """A scale of percentages that holds all intervals, and its marks."""
    lows = [100 * (f.low if f.low is not None else f.value or 0.0) for f in figures]
    highs = [100 * (f.high if f.high is not None else f.value or 0.0) for f in figures]
    low, high = max(0.0, min(lows) - 4), min(100.0, max(highs) + 4)
    scale = Scale((low, high if high > low else low + 1), places)
    return scale, ticks(*scale.values)


def curve(report: Report) -> str:
    """The share of answers that are right and took no more than so many tokens."""
    lines = [arm for arm in report.arms if len(arm.curve) > 1]
    if not lines:
        return ""
    most = max(arm.curve[-1][0] for arm in lines)
    x, y = Scale((0, most * 1.02), (60, _WIDE - 30)), Scale((0, 100), (330, 40))
    parts = [
        axis_x(x, 330, 40, ticks(*x.values, 6), "budget: generated tokens an answer"),
        axis_y(y, 60, _WIDE - 30, ticks(0, 100), "right within the budget, %"),
    ]
    for place, arm in enumerate(lines):
        points = [*arm.curve, (most, arm.curve[-1][1])]
        path = "M" + " L".join(f"{x(t):.1f} {y(100 * share):.1f}" for t, share in points)
        parts.append(element("path", d=path, fill="none", stroke=_fill(arm), stroke_width=2))
        parts.append(_key(arm, place, len(lines)))
    return drawing(_WIDE, 380, "Right answers within a budget", "One line an arm.", parts)


def _key(arm: ArmRow, place: int, count: int) -> str:
    y = 322 - 17 * (count - place)
    return element("circle", cx=_WIDE - 240, cy=y - 4, r=5, fill=_fill(arm)) + text(
        _WIDE - 228, y, _short(arm.name, 34), font_size=11
    )


def overhead(report: Report) -> str:
    """Tokens as a multiple of the baseline's."""
    arms = [arm for arm in report.arms if arm.cost.overhead.value is not None]
    if len(arms) < 2:
        return ""
    highs = [a.cost.overhead.high or a.cost.overhead.value or 0.0 for a in arms]
    x = Scale((0, 1.1 * max(highs)), (_NAME, _WIDE - 80))
    bottom = 20 + 26 * len(arms)
    parts = [axis_x(x, bottom, 10, ticks(*x.values, 6), "times the tokens of the first arm")]
    for place, arm in enumerate(arms):
        y, found = 22 + 26 * place, arm.cost.overhead
        end = x(found.value or 0.0)
        parts += [
            text(_NAME - 10, y + 5, _short(arm.name, 36), text_anchor="end"),
            element("rect", x=float(_NAME), y=y - 7, width=end - _NAME, height=14, fill=_fill(arm)),
            text(end + 6, y + 5, f"{found.value:.2f}", fill=colour("soft")),
        ]
    return drawing(_WIDE, bottom + 44, "Tokens against the baseline", "Bars, one an arm.", parts)


# --- reflections


def flips(report: Report) -> str:
    """What became of right and wrong drafts."""
    rows = [(arm, found[0]) for arm, found in report.flips.items() if found]
    if not rows:
        return ""
    height = 74
    parts = [part for n, (arm, f) in enumerate(rows) for part in _flow(arm, f, n * height + 30)]
    said = "; ".join(f"{arm}: {f.fixed} fixed, {f.broken} broken of {_all(f)}" for arm, f in rows)
    return drawing(_WIDE, height * len(rows) + 30, "From draft to final answer", said, parts)


def _all(f: Flips) -> int:
    return f.kept + f.broken + f.fixed + f.missed


def _flow(arm: str, f: Flips, top: float) -> list[str]:
    """Four streams between two bars: the draft on the left, the final answer on the right."""
    left, right, height = _NAME + 20.0, _WIDE - 150.0, 46.0
    each = height / max(1, _all(f))
    before = {
        "kept": 0,
        "broken": f.kept,
        "fixed": f.kept + f.broken,
        "missed": f.kept + f.broken + f.fixed,
    }
    after = {
        "kept": 0,
        "fixed": f.kept,
        "broken": f.kept + f.fixed,
        "missed": f.kept + f.fixed + f.broken,
    }
    parts = [text(_NAME, top + height / 2 + 4, _short(arm, 36), text_anchor="end")]
    for name, paint, clear in (
        ("kept", "good", 0.25),
        ("missed", "bad", 0.25),
        ("fixed", "good", 0.85),
        ("broken", "bad", 0.85),
    ):
        size = getattr(f, name) * each
        if size:
            a, b = top + before[name] * each, top + after[name] * each
            mid = (left + right) / 2
            path = (
                f"M{left} {a:.2f} C{mid} {a:.2f} {mid} {b:.2f} {right} {b:.2f} V{b + size:.2f} "
                f"C{mid} {b + size:.2f} {mid} {a + size:.2f} {left} {a + size:.2f} Z"
            )
            parts.append(element("path", d=path, fill=colour(paint), fill_opacity=clear))
    for x, good in ((left - 6, f.kept + f.broken), (right, f.kept + f.fixed)):
        parts.append(element("rect", x=x, y=top, width=6, height=good * each, fill=colour("good")))
        rest = height - good * each
        parts.append(
            element("rect", x=x, y=top + good * each, width=6, height=rest, fill=colour("bad"))
        )
    parts.append(
        text(
            right + 14,
            top + height / 2 + 4,
            f"{f.fixed} fixed, {f.broken} broken",
            font_size=11,
            fill=colour("soft"),
        )
    )
    return parts


def reliability(report: Report) -> str:
    """How often answers are right, by how sure they are said to be."""
    return _panels(
        report,
        "Reliability: confidence against right answers",
        ("stated or implied confidence", "right, %"),
        _reliable,
    )


def _reliable(found: Assurance, x: Scale, y: Scale) -> str:
    parts = [
        element(
            "line",
            x1=x(0),
            y1=y(0),
            x2=x(1),
            y2=y(100),
            stroke=colour("soft"),
            stroke_dasharray="4 4",
        )
    ]
    for each in found.bins:
        cx, r = x(each.confidence), each.right
        low, high, value = (y(100 * (v or 0.0)) for v in (r.low, r.high, r.value))
        parts.append(
            element("line", x1=cx, x2=cx, y1=low, y2=high, stroke=colour("trained"), stroke_width=2)
        )
        parts.append(element("circle", cx=cx, cy=value, r=5, fill=colour("trained")))
    return "".join(parts)


def coverage(report: Report) -> str:
    """The share of wrong answers among those that are kept, the surest first."""
    return _panels(
        report,
        "Risk and coverage: keep only what the model is sure of",
        ("share of answers kept", "wrong among them, %"),
        _covered,
    )


def _covered(found: Assurance, x: Scale, y: Scale) -> str:
    points = [(x(share), y(100 * risk)) for share, risk in found.coverage]
    path = "M" + " L".join(f"{a:.1f} {b:.1f}" for a, b in points) if len(points) > 1 else None
    line = (
        element("path", d=path, fill="none", stroke=colour("trained"), stroke_width=2)
        if path
        else ""
    )
    return line + "".join(
        element("circle", cx=a, cy=b, r=4, fill=colour("trained")) for a, b in points
    )


def _panels(
    report: Report,
    title: str,
    labels: tuple[str, str],
    draw: Callable[[Assurance, Scale, Scale], str],
) -> str:
    """One panel for each arm that reflects, two in a row."""
    found = [(arm, a) for arm, a in report.assurance.items() if a.bins]
    if not found:
        return ""
    parts = []
    for place, (arm, each) in enumerate(found):
        left, top = 60 + 360 * (place % 2), 50 + 270 * (place // 2)
        x, y = Scale((0, 1), (left, left + 260)), Scale((0, 100), (top + 180, top))
        parts += [
            axis_x(x, top + 180, top, [0, 0.25, 0.5, 0.75, 1], labels[0]),
            axis_y(y, left, left + 260, [0, 25, 50, 75, 100], labels[1]),
            text(left + 260, top - 12, _short(arm, 26), text_anchor="end", font_weight="bold"),
            draw(each, x, y),
        ]
    height = 50 + 270 * ((len(found) + 1) // 2)
    return drawing(_WIDE, height, title, "One panel for each arm that reflects.", parts)


PLOTS: dict[str, Callable[[Report], str]] = {
    "differences": forest,
    "accuracy-and-tokens": pareto,
    "budget": curve,
    "tokens": overhead,
    "flips": flips,
    "reliability": reliability,
    "coverage": coverage,
}
