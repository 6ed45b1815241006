"""The pictures of a report, each a drawing of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from ..meters.assurance import Assurance
from ..meters.flips import Flips
from ..stats.intervals import Figure
from .data import ArmRow, PairRow, Report
from .svg import Scale, axis_x, axis_y, colour, drawing, element, text, ticks
from .words import amount, difference, p_value, percent, verdict

__all__ = ["PLOTS", "plots", "said_of"]

_WIDE = 720
_NAME = 250  # of an arm, in a row
_PHASES = 4  # of an arm, in the picture of flips
_SMALL: dict[str, float | str] = {"font_size": 11, "fill": colour("soft")}

#: Of each picture: its title, and how to read it.
_SAID = {
    "differences": (
        "Differences between arms",
        "Points by which the first named arm is right more often than the second, on the same "
        "problems. Full marks: the interval excludes 0 and the adjusted p is below .05. Hollow "
        "ones cannot be told from no difference, which is not the same as none.",
    ),
    "accuracy-and-tokens": (
        "Accuracy against tokens",
        "Up is right more often, left is cheaper. The dashed line joins the arms that no other "
        "one beats in both, by these figures alone; their intervals may overlap.",
    ),
    "budget": (
        "Right answers within a budget",
        "Share of all answers that are right and took no more than so many tokens. An answer that "
        "would be cut there counts as not right: this is no measurement of shorter answers.",
    ),
    "tokens": ("Tokens against the baseline", "Generated tokens on the same problems."),
    "flips": (
        "From draft to final answer",
        "Left: drafts, right ones above wrong ones. Full streams change sides: green ones are "
        "fixed, red ones broken. Later reflections are of the answers that have so many.",
    ),
    "reliability": (
        "Confidence against right answers",
        "On the dashed line, confidence is what it should be; below it, it is too high. Without a "
        "stated number, ok counts as 1 and a fault that was left as 0.",
    ),
    "coverage": (
        "Risk and coverage",
        "Keep only the answers that are said to be surest: how many of them are wrong? A line "
        "that does not rise to the right means that confidence sorts nothing.",
    ),
}


def said_of(name: str) -> tuple[str, str]:
    """A picture's title, and how it is read."""
    return _SAID[name]


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
    rows = _forest_rows(report.pairs)
    if not rows:
        return ""
    left, right, top, step = 272, _WIDE - 150, 34, 22
    edges = [v for p in report.pairs for v in (100 * p.found.low, 100 * p.found.high)] + [0.0]
    room = max(1.0, (max(edges) - min(edges)) * 0.05)
    scale = Scale((min(edges) - room, max(edges) + room), (left, right))
    bottom = top + step * len(rows) + 4
    zero = scale(0)
    parts = [
        axis_x(scale, bottom, top - 8, ticks(*scale.values, 6), "points", _signed),
        element("line", x1=zero, x2=zero, y1=top - 8, y2=bottom, stroke=colour("ink")),
        text(zero, top - 14, "equal", text_anchor="middle", fill=colour("soft"), font_size=11),
    ]
    for place, row in enumerate(rows):
        y = top + step * (place + 0.5)
        if isinstance(row, str):
            parts.append(text(10, y + 4, _short(row, 60), font_weight="bold", font_size=11))
        else:
            parts.append(_forest_row(row, scale, y, left))
    said = "; ".join(
        f"{p.second} less {p.first}: {difference(p.found)}" for p in report.pairs if not p.task
    )
    return drawing(_WIDE, int(bottom + 44), said_of("differences")[0], said, parts)


def _signed(value: float) -> str:
    return f"{value:+g}" if value else "0"


def _forest_rows(pairs: Sequence[PairRow]) -> list[PairRow | str]:
    """The pairs, under a heading where there are tasks."""
    tasks = list(dict.fromkeys(["", *(p.task for p in pairs)]))
    found: list[PairRow | str] = []
    for task in tasks:
        own = [p for p in pairs if p.task == task]
        if own and len(tasks) > 1:
            found.append(task or "all tasks together")
        found += own
    return found


def _forest_row(pair: PairRow, scale: Scale, y: float, left: float) -> str:
    found, judged = pair.found, verdict(pair)
    told = judged != "not distinguishable"
    paint = colour({"better": "good", "worse": "bad"}.get(judged, "soft"))
    name = f"{_short(pair.second, 21)} – {_short(pair.first, 21)}"
    low, high, value = (scale(100 * v) for v in (found.low, found.high, found.value))
    said = f"{100 * found.value:+.1f}", p_value(pair.adjusted)
    return "".join(
        [
            text(left - 10, y + 4, name, text_anchor="end", font_size=11),
            element("line", x1=low, x2=high, y1=y, y2=y, stroke=paint, stroke_width=2),
            element(
                "circle",
                cx=value,
                cy=y,
                r=4,
                fill=paint if told else colour("card"),
                stroke=paint,
                stroke_width=1.5,
            ),
            text(_WIDE - 100, y + 4, said[0], text_anchor="end", **_SMALL),
            text(_WIDE - 10, y + 4, said[1], text_anchor="end", **_SMALL),
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
    front = [(x(t), y(100 * share)) for t, share in _front(report.arms)]
    if len(front) > 1:
        parts.append(_line(front, colour("soft"), stroke_dasharray="4 4"))
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
    return drawing(_WIDE, 380, said_of("accuracy-and-tokens")[0], said, parts)


def _front(arms: Sequence[ArmRow]) -> list[tuple[float, float]]:
    """(tokens, accuracy) of the arms that none beats in both, the cheapest first."""
    points = sorted(
        (arm.cost.completion.value or 0.0, -(arm.cost.accuracy.value or 0.0)) for arm in arms
    )
    found: list[tuple[float, float]] = []
    for tokens, worse in points:
        if not found or -worse > found[-1][1]:
            found.append((tokens, -worse))
    return found


def _line(points: Sequence[tuple[float, float]], paint: str, **attributes: float | str) -> str:
    path = "M" + " L".join(f"{a:.1f} {b:.1f}" for a, b in points)
    return element("path", d=path, fill="none", stroke=paint, **attributes)


def _label(name: str, x: float, y: float, placed: list[tuple[float, float]]) -> str:
    """Beside its point, out of the way of those that are there."""
    left = x > _WIDE * 0.62
    at = y - 8
    while any(abs(at - b) < 15 and abs(x - a) < 230 for a, b in placed):
        at += 15
    placed.append((x, at))
    end = "end" if left else "start"
    halo: dict[str, float | str] = {"stroke": colour("card"), "stroke_width": 4}
    halo |= {"paint_order": "stroke", "stroke_linejoin": "round"}
    return text(x + (-10 if left else 10), at, _short(name, 34), text_anchor=end, **halo)


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
        places = [(x(tokens), y(100 * share)) for tokens, share in points]
        parts.append(_line(_steps(places), _fill(arm), stroke_width=2))
        parts.append(_key(arm, place, len(lines)))
    return drawing(_WIDE, 380, said_of("budget")[0], "One line an arm.", parts)


def _steps(places: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Nothing is gained between two points: a line between them would promise it."""
    before = pairwise(places)
    return [places[0], *(p for (_, old), new in before for p in ((new[0], old), new))]


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
    x = Scale((0, 1.02 * max(highs)), (_NAME, _WIDE - 160))
    bottom = 20 + 26 * len(arms)
    parts = [axis_x(x, bottom, 10, ticks(*x.values, 6), "times the tokens of the baseline")]
    for place, arm in enumerate(arms):
        parts.append(_bar(arm, x, 22 + 26 * place))
    said = "; ".join(f"{a.name}: {amount(a.cost.overhead)}" for a in arms)
    return drawing(_WIDE, bottom + 44, said_of("tokens")[0], said, parts)


def _bar(arm: ArmRow, x: Scale, y: float) -> str:
    found = arm.cost.overhead
    end = x(found.value or 0.0)
    parts = [
        text(_NAME - 10, y + 5, _short(arm.name, 36), text_anchor="end"),
        element("rect", x=float(_NAME), y=y - 7, width=end - _NAME, height=14, fill=_fill(arm)),
        text(_WIDE - 10, y + 5, amount(found), text_anchor="end", fill=colour("soft")),
    ]
    if found.low is not None and found.high is not None:
        low, high = x(found.low), x(found.high)
        parts.append(element("line", x1=low, x2=high, y1=y, y2=y, stroke=colour("ink")))
    return "".join(parts)


# --- reflections


def flips(report: Report) -> str:
    """What became of right and wrong drafts: in the end, and after each reflection."""
    parts, top = [], 18.0
    for arm, found in report.flips.items():
        if not any(map(_all, found)):
            continue
        parts.append(text(10, top + 6, _short(arm, 70), font_weight="bold"))
        top += 18
        for f in [f for f in found if _all(f)][:_PHASES]:
            parts += _flow(f, top)
            top += 48
        top += 14
    if not parts:
        return ""
    said = "; ".join(
        f"{arm}, {f.name}: {f.fixed} fixed, {f.broken} broken of {_all(f)}"
        for arm, found in report.flips.items()
        for f in found
    )
    return drawing(_WIDE, int(top), said_of("flips")[0], said, parts)


def _all(f: Flips) -> int:
    return f.kept + f.broken + f.fixed + f.missed


#: Streams in the order in which they lie on the left, and on the right.
_BEFORE = ("kept", "broken", "fixed", "missed")
_AFTER = ("kept", "fixed", "broken", "missed")
#: How a stream is painted, the still ones first.
_STREAMS = (
    ("kept", "good", 0.22),
    ("missed", "bad", 0.22),
    ("fixed", "good", 0.9),
    ("broken", "bad", 0.9),
)


def _flow(f: Flips, top: float) -> list[str]:
    """Four streams between two bars: the draft on the left, what came of it on the right."""
    left, right, height = 170.0, 410.0, 36.0
    each = height / _all(f)
    sizes = {name: getattr(f, name) * each for name in _BEFORE}
    parts = [
        text(left - 16, top + 15, f.name, text_anchor="end", font_size=11),
        text(left - 16, top + 30, f"{_all(f)} answers", text_anchor="end", **_SMALL),
        text(right + 16, top + 15, f"{f.fixed} fixed: {percent(f.fix)} % of wrong", **_SMALL),
        text(right + 16, top + 30, f"{f.broken} broken: {percent(f.break_)} % of right", **_SMALL),
    ]
    for name, paint, clear in _STREAMS:
        if sizes[name]:
            a, b = (top + _start(name, order, sizes) for order in (_BEFORE, _AFTER))
            path = _stream((left, a), (right, b), sizes[name])
            parts.append(element("path", d=path, fill=colour(paint), fill_opacity=clear))
    for x, good in (
        (left - 6, sizes["kept"] + sizes["broken"]),
        (right, sizes["kept"] + sizes["fixed"]),
    ):
        for paint, y, size in (("good", top, good), ("bad", top + good, height - good)):
            bar = {"x": x, "y": y, "width": 6, "height": max(0.0, size)}
            parts.append(element("rect", **bar, fill=colour(paint)))
    return parts


def _start(name: str, order: Sequence[str], sizes: dict[str, float]) -> float:
    return sum(sizes[other] for other in order[: order.index(name)])


def _stream(start: tuple[float, float], end: tuple[float, float], size: float) -> str:
    (left, a), (right, b) = start, end
    mid = (left + right) / 2
    return (
        f"M{left:g} {a:.2f} C{mid:g} {a:.2f} {mid:g} {b:.2f} {right:g} {b:.2f} V{b + size:.2f} "
        f"C{mid:g} {b + size:.2f} {mid:g} {a + size:.2f} {left:g} {a + size:.2f} Z"
    )


def reliability(report: Report) -> str:
    """How often answers are right, by how sure they are said to be."""
    return _panels(
        report,
        said_of("reliability")[0],
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
        said_of("coverage")[0],
        ("share of answers kept", "wrong among them, %"),
        _covered,
    )


def _covered(found: Assurance, x: Scale, y: Scale) -> str:
    points = [(x(share), y(100 * risk)) for share, risk in found.coverage]
    line = _line(points, colour("trained"), stroke_width=2) if len(points) > 1 else ""
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
        alone = 180 if len(found) == 1 else 0
        left, top = 60 + alone + 360 * (place % 2), 50 + 250 * (place // 2)
        x, y = Scale((0, 1), (left, left + 260)), Scale((0, 100), (top + 180, top))
        parts += [
            axis_x(x, top + 180, top, [0, 0.25, 0.5, 0.75, 1], labels[0]),
            axis_y(y, left, left + 260, [0, 25, 50, 75, 100], labels[1]),
            text(left + 260, top - 12, _short(arm, 26), text_anchor="end", font_weight="bold"),
            draw(each, x, y),
        ]
    height = 50 + 250 * ((len(found) + 1) // 2) - 16
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
