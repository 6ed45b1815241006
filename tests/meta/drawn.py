"""The parts of the pages that are drawn from the code: ``make drawn`` writes them, a test compares.

A part stands between ``<!-- drawn: name -->`` and ``<!-- end -->``.
"""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Mapping
from pathlib import Path

import reflectkit
import rooms
from reflectkit.backends._kinds import KINDS, MESSAGES, OLLAMA, UNKNOWN, Knobs
from reflectkit.backends.transformers import memory
from reflectkit.cli._exits import EXITS
from reflectkit.probe import CATALOGUE

DOCS = Path(__file__).parents[2] / "docs"
PART = re.compile(r"(?P<head><!-- drawn: (?P<name>\w+) -->\n).*?(?P<tail><!-- end -->)", re.DOTALL)


def floors() -> str:
    return f"```text\n{rooms.drawing(Path(reflectkit.__file__).parent)}\n```"


def exits() -> str:
    rows = [f"| {row.code} | {row.meaning} |" for row in EXITS]
    return "\n".join(["| code | meaning |", "|---:|---|", *rows])


def names() -> str:
    """Every public name with its home and the first paragraph that it says of itself."""
    public = sorted(name for name in reflectkit.__all__ if not name.startswith("_"))
    rows = [_row(name) for name in public]
    return "\n".join(["| name | from | |", "|---|---|---|", *rows])


def _row(name: str) -> str:
    value = getattr(reflectkit, name)
    members = typing.get_args(value)
    text = f"Any of {', '.join(f'`{m.__name__}`' for m in members)}." if members else _said(value)
    home = getattr(members[0] if members else value, "__module__", "reflectkit")
    return f"| `{name}` | `{home}` | {text} |"


def _said(value: object) -> str:
    paragraph = (inspect.getdoc(value) or "").split("\n\n")[0]
    return " ".join(paragraph.split()).replace("``", "`").replace("|", "\\|")


def kinds() -> str:
    """Every kind of server, with what it takes."""
    rows = [
        _line(kind.name, kind.continues, kind.tokenizer is not None, kind.running, kind.knobs)
        for kind in (*KINDS.values(), UNKNOWN)
    ]
    rows.append(_line("Anthropic's API", "no", True, {"": 1}, MESSAGES))
    rows.append(_line("Ollama's own API", "no", False, {}, OLLAMA))
    head = (
        "| kind | goes on from a prefix | counts tokens | usage in every chunk | reasoning budget |"
    )
    return "\n".join([head, "|---|---|---|---|---|", *rows])


def _line(name: str, way: str, counts: bool, running: Mapping[str, object], knobs: Knobs) -> str:
    fields = [f"{part}: `{'.'.join(path)}`" for part, path in knobs.paths.items() if path]
    cells = (name, way, _yes(counts), _yes(running), ", ".join(fields) or "no field for it")
    return f"| {' | '.join(cells)} |"


def _yes(value: object) -> str:
    return "yes" if value else "no"


#: cards by their memory in GiB, as far as programs see it
CARDS = {"48 GB": 48, "80 GB": 79, "141 GB": 139, "2 x 80 GB": 158, "4 x 80 GB": 316}
REFLECTION_70B = {
    "hidden_size": 8192,
    "intermediate_size": 28672,
    "num_hidden_layers": 80,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "vocab_size": 128262,
}


def room() -> str:
    """What Reflection 70B takes, and the smallest cards that hold it with a tenth to spare."""
    rows = ["| numbers | weights | with 8,192 tokens | with 8 x 8,192 tokens | smallest cards |"]
    rows.append("|---|---:|---:|---:|---|")
    for dtype in ("float32", "bfloat16", "float8", "4bit"):
        one, eight = (memory(REFLECTION_70B, dtype=dtype, batch=n) for n in (1, 8))
        sizes = [n / 2**30 for n in (one.weights, one.total, eight.total)]
        fits = [next(c for c, size in CARDS.items() if n * 1.1 <= size) for n in sizes[1:]]
        figures = " | ".join(f"{n:.1f}" for n in sizes)
        rows.append(f"| {dtype} | {figures} | {'; '.join(fits)} |")
    return "\n".join(rows)


def findings() -> str:
    """Every finding of the doctor."""
    rows = [f"| `{i}` | {k.severity} | {k.meaning} | {k.remedy()} |" for i, k in CATALOGUE.items()]
    return "\n".join(["| finding | | what it means | how to mend it |", "|---|---|---|---|", *rows])


PARTS: Mapping[str, Callable[[], str]] = {
    "floors": floors,
    "exits": exits,
    "names": names,
    "kinds": kinds,
    "memory": room,
    "findings": findings,
}


def drawn(page: str) -> str:
    """The page with every part drawn anew."""
    return PART.sub(lambda m: f"{m['head']}\n{PARTS[m['name']]()}\n\n{m['tail']}", page)


if __name__ == "__main__":
    for path in sorted(DOCS.rglob("*.md")):
        before = path.read_text("utf-8")
        if (after := drawn(before)) != before:
            path.write_text(after, "utf-8")
            print(f"drew {path.relative_to(DOCS.parent)}")
