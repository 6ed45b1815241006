"""A report as one page of HTML that asks nothing of any other place."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import asdict
from html import escape
from importlib.resources import files
from typing import Final

from .data import Report
from .plots import plots
from .tables import as_markdown

__all__ = ["as_html"]

#: Which pictures stand together, and under which heading of the tables.
_SHOWN: Final = {
    "Arms": ("accuracy-and-tokens", "budget", "tokens"),
    "Differences, in points": ("differences",),
    "From draft to final answer": ("flips",),
    "What reflections say, and whether it is so": ("reliability", "coverage"),
}
_PROBLEMS: Final = """
<section id="problems">
<h2>Single problems</h2>
<div class="tools" role="search">
<input id="search" type="search" placeholder="search questions" aria-label="search questions">
<select id="task" aria-label="task"></select>
<select id="pattern" aria-label="outcomes"></select>
</div>
<div id="list"></div>
<div class="pages"><button id="back" type="button">back</button>
<button id="on" type="button">on</button><span id="count" aria-live="polite"></span></div>
</section>
"""


def as_html(report: Report) -> str:
    """The page. What models wrote stands in it as data, and is shown as text alone."""
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
            f"<title>{escape(report.title)}</title><style>{style}</style></head><body><main>",
            _body(report),
            _PROBLEMS if report.items else "",
            "</main>",
            f'<script type="application/json" id="data">{_data(report)}</script>'
            if report.items
            else "",
            f"<script>{script}</script>" if report.items else "",
            "</body></html>",
        ]
    )


def _file(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _data(report: Report) -> str:
    """JSON that cannot end the element that it stands in. Halves of characters are marked: a page
    cannot hold them."""
    items = [asdict(item) for item in report.items]
    text = json.dumps(items, separators=(",", ":"), ensure_ascii=False)
    text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text.replace("<", "\\u003c").replace("&", "\\u0026")


def _body(report: Report) -> str:
    """The parts of the Markdown, with the pictures that belong to them."""
    drawn = plots(report)
    about = (
        f"{report.problems} problems × {report.repeats} · seed {report.seed} · run {report.run_id}"
    )
    found = "".join(f"<li>{escape(s)}</li>" for s in report.sentences)
    parts = [
        f"<h1>{escape(report.title)}</h1>",
        f'<p class="about">{escape(about)}</p>',
        f'<ul class="found">{found}</ul>',
    ]
    for part in as_markdown(report).split("\n## ")[1:]:
        title, _, text = part.partition("\n\n")
        parts.append(f"<h2>{escape(title)}</h2>")
        pictures = [drawn[name] for name in _SHOWN.get(title, ()) if name in drawn]
        parts += [f"<figure>{picture}</figure>" for picture in pictures]
        parts.append(_of_markdown(text))
    return "\n".join(parts)


def _of_markdown(text: str) -> str:
    """Tables, lists and paragraphs: nothing else is written there."""
    blocks = []
    for block in text.strip().split("\n\n"):
        lines = block.split("\n")
        if lines[0].startswith("|"):
            blocks.append(_table(lines))
        elif lines[0].startswith("- "):
            items = "".join(f"<li>{escape(line[2:])}</li>" for line in lines)
            blocks.append(f'<ul class="warnings">{items}</ul>')
        else:
            blocks.append(f'<p class="about">{escape(block)}</p>')
    return "\n".join(blocks)


def _table(lines: list[str]) -> str:
    head, _, *rows = (_cells(line) for line in lines)
    top = "".join(f'<th scope="col">{escape(c)}</th>' for c in head)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    inner = f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody>"
    return f'<div class="scroll"><table>{inner}</table></div>'


def _cell(text: str) -> str:
    words = ' class="words"' if text[:1].isalpha() else ""
    return f"<td{words}>{escape(text)}</td>"


def _cells(line: str) -> list[str]:
    marked = line.strip().strip("|").replace("\\|", "\0")
    return [cell.strip().replace("\0", "|") for cell in marked.split("|")]
