"""A little SVG: elements, scales and axes, drawn in the page's own colours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from math import floor, log10

from .words import clear

__all__ = ["COLOURS", "Scale", "axis_x", "axis_y", "colour", "drawing", "element", "text", "ticks"]

#: Variables of the page's style, with the colours that a file of its own gets.
COLOURS = {
    "ink": "#1c2126",
    "soft": "#5c6670",
    "line": "#d9dee3",
    "card": "#ffffff",
    "plain": "#6b7784",
    "prompted": "#b86e00",
    "trained": "#1f6fd0",
    "vote": "#2a8a4d",
    "other": "#8a4fbf",
    "good": "#23804a",
    "bad": "#c3352d",
}


def colour(name: str) -> str:
    """A colour of the page, or, outside it, the light one."""
    return f"var(--{name}, {COLOURS.get(name, COLOURS['other'])})"


def plain(said: str) -> str:
    """Text for SVG."""
    return escape(clear(said))


def element(name: str, inner: str = "", /, **attributes: float | str | None) -> str:
    """An element; ``_`` in names stands for ``-``, a last ``_`` for nothing."""
    told = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{plain(_number(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{told}>{inner}</{name}>" if inner else f"<{name}{told}/>"


def _number(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def text(x: float, y: float, said: str, /, **attributes: float | str) -> str:
    """A line of text."""
    return element("text", plain(said), x=float(x), y=float(y), **attributes)


def drawing(width: int, height: int, title: str, description: str, parts: Iterable[str]) -> str:
    """A whole drawing, with a title and a description for those who do not see it."""
    inner = "".join([element("title", plain(title)), element("desc", plain(description)), *parts])
    return element(
        "svg",
        inner,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width} {height}",
        width=width,
        height=height,
        role="img",
        aria_label=title,
        font_family="system-ui, sans-serif",
        font_size=12,
        fill=colour("ink"),
    )


@dataclass(frozen=True, slots=True)
class Scale:
    """From values to places."""

    values: tuple[float, float]
    places: tuple[float, float]

    def __call__(self, value: float) -> float:
        (low, high), (start, end) = self.values, self.places
        share = (value - low) / (high - low) if high != low else 0.5
        return start + share * (end - start)


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round values between two."""
    if not high > low:
        return [low]
    raw = (high - low) / about
    size: float = 10.0 ** floor(log10(raw))
    step = next(size * m for m in (1, 2, 5, 10) if size * m >= raw)
    first = floor(low / step) + (low % step > 1e-9 * step)
    found, n = [], 0
    while (value := (first + n) * step) <= high + step * 1e-9:
        found.append(round(value, 10))
        n += 1
    return found


def axis_x(
    scale: Scale,
    at: float,
    top: float,
    marks: Sequence[float],
    label: str,
    form: Callable[[float], str] = "{:g}".format,
) -> str:
    """A horizontal axis with lines up to ``top``."""
    parts = []
    for value in marks:
        x = scale(value)
        parts.append(element("line", x1=x, x2=x, y1=at, y2=top, stroke=colour("line")))
        parts.append(text(x, at + 16, form(value), text_anchor="middle", fill=colour("soft")))
    middle = sum(scale.places) / 2
    parts.append(text(middle, at + 34, label, text_anchor="middle", fill=colour("soft")))
    return "".join(parts)


def axis_y(scale: Scale, at: float, right: float, marks: Sequence[float], label: str) -> str:
    """A vertical axis with lines to ``right``."""
    parts = []
    for value in marks:
        y = scale(value)
        parts.append(element("line", x1=at, x2=right, y1=y, y2=y, stroke=colour("line")))
        parts.append(text(at - 6, y + 4, f"{value:g}", text_anchor="end", fill=colour("soft")))
    top = min(scale.places)
    parts.append(text(at - 6, top - 12, label, text_anchor="start", fill=colour("soft"), dx=-24))
    return "".join(parts)
