"""A report as one page of HTML that asks nothing of any other place."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator
from html import escape
from importlib.resources import files
from typing import Final

from .data import Report
from .items import LARGEST, as_data
from .plots import plots, said_of
from .tables import Part, about, footnote, parts
from .words import clear

__all__ = ["as_html"]

#: Which pictures stand under which heading of the tables.
_SHOWN: Final = {
    "Arms": ("accuracy-and-tokens", "budget", "tokens"),
    "Differences, in points": ("differences",),
    "From draft to final answer": ("flips",),
    "What reflections say, and whether it is so": ("reliability", "coverage"),
}
#: What no line may break in: units, p and n, intervals.
_TOGETHER: Final = (
    re.compile(r" %| × "),
    re.compile(r"\b[pn] (?:=|&lt;) [\d.]"),
    re.compile(r"\S+ \[[^][]{1,24}\]"),
)
_PROBLEMS: Final = """
<section id="problems" aria-labelledby="single">
<h2 id="single">Single problems</h2>
{note}
<noscript><p class="about">They are drawn by a script, and scripts are off.</p></noscript>
<div class="tools" role="search">
<input id="search" type="search" placeholder="search questions" aria-label="search questions">
<select id="task" aria-label="task"></select>
<select id="pattern" aria-label="outcomes"></select>
</div>
<p id="count" class="about" aria-live="polite"></p>
<div id="list"></div>
<div class="pages"><button id="back" type="button">Previous</button>
<button id="on" type="button">Next</button></div>
</section>
"""


def as_html(report: Report, *, largest: int = LARGEST) -> str:
    """The page. What models wrote stands in it as data, and is shown as text alone.

    ``largest``: bytes that single problems may take; beyond them texts are shortened, then problems
    left out, and the page says so.
    """
    style, script = _file("page.css"), _file("page.js")
    policy = (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src '{_hash(style)}'; script-src '{_hash(script)}'"
    )
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            f"<title>{_said(report.title)}</title><style>{style}</style></head><body><main>",
            *_body(report),
            *_single(report, script, largest),
            "</body></html>",
        ]
    )


def _file(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _said(text: str) -> str:
    """Text in HTML."""
    return escape(clear(text))


def _unbroken(text: str) -> str:
    """Numbers stay with their units, and intervals on one line."""
    for pattern in _TOGETHER:
        text = pattern.sub(lambda found: found[0].replace(" ", "\xa0"), text)
    return text


def _body(report: Report) -> Iterator[str]:
    drawn, heading = plots(report), ""
    found = list(parts(report))
    yield f"<h1>{_said(report.title)}</h1>"
    yield f'<p class="about">{_said(about(report))}</p>'
    yield _listed("found", report.sentences)
    yield _contents([p.heading for p in found if p.heading], report)
    for part in found:
        if part.heading:
            heading = part.heading
            yield f'<h2 id="{_address(heading)}">{_said(heading)}</h2>'
            yield from (
                _figure(name, drawn[name]) for name in _SHOWN.get(heading, ()) if name in drawn
            )
        yield _table(part, heading)
    if report.warnings:
        yield '<h2 id="to-keep-in-mind">To keep in mind</h2>'
        yield _listed("warnings", report.warnings)
    yield f'<p class="about">{_said(footnote())}</p>'


def _address(heading: str) -> str:
    return re.sub("[^a-z]+", "-", heading.lower()).strip("-")


def _contents(headings: Iterable[str], report: Report) -> str:
    more = ["To keep in mind"] if report.warnings else []
    links = [(_address(h), h) for h in [*headings, *more]]
    links += [("problems", "Single problems")] if report.items else []
    inner = "".join(f'<li><a href="#{where}">{_said(h)}</a></li>' for where, h in links)
    return f'<nav aria-label="Contents"><ul>{inner}</ul></nav>'


def _listed(name: str, texts: Iterable[str]) -> str:
    inner = "".join(f"<li>{_unbroken(_said(text))}</li>" for text in texts)
    return f'<ul class="{name}">{inner}</ul>' if inner else ""


def _figure(name: str, svg: str) -> str:
    title, reading = said_of(name)
    caption = f"<figcaption><b>{_said(title)}.</b> {_said(reading)}</figcaption>"
    box = f'<div class="drawn" tabindex="0" role="group" aria-label="{_said(title)}">'
    return f"<figure>{caption}{box}{svg}</div></figure>"


def _table(part: Part, heading: str) -> str:
    """In a box that scrolls by itself, by keys too."""
    head = "".join(
        f'<th scope="col"{_words(n, part)}>{_said(c)}</th>' for n, c in enumerate(part.head)
    )
    body = "".join(f"<tr>{''.join(_row(row, part))}</tr>" for row in part.rows)
    inner = f"<caption>{_said(part.caption)}</caption><thead><tr>{head}</tr></thead>"
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{_said(heading)}">'
        f"<table>{inner}<tbody>{body}</tbody></table></div>"
    )


def _row(row: Iterable[str], part: Part) -> Iterator[str]:
    for n, cell in enumerate(row):
        name, scope = ("td", "") if n else ("th", ' scope="row"')
        yield f"<{name}{scope}{_words(n, part)}>{_said(cell)}</{name}>"


def _words(place: int, part: Part) -> str:
    return ' class="words"' if place < part.words else ""


def _single(report: Report, script: str, largest: int) -> Iterator[str]:
    """The drill-down, if there is anything to see."""
    if not report.items:
        yield "</main>"
        return
    data, note = as_data(report.items, largest)
    yield _PROBLEMS.format(note=f'<p class="about">{_said(note)}</p>' if note else "")
    yield "</main>"
    yield f'<script type="application/json" id="data">{data}</script>'
    yield f"<script>{script}</script>"
