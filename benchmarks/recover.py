"""How often recovery by layout is right, and how often it finds thinking where there is none.

    python benchmarks/recover.py DATA [FOLDER ...]

DATA holds ``aiw_reflection70b/responses.jsonl`` (real outputs without tags). Each FOLDER is read
for ordinary text (.py, .md, .txt, .rst, .jsonl): none of it may be taken for an answer with
thinking. The standard library is always read.
"""

from __future__ import annotations

import json
import sys
import sysconfig
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from reflectkit.protocol import recover

SUFFIXES = {".py", ".md", ".txt", ".rst", ".jsonl"}
MARKER = "### Answer"
SHARES = (0.2, 0.4, 0.6, 0.8)


def outputs(data: Path) -> list[str]:
    lines = (data / "aiw_reflection70b" / "responses.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line)["model_response"] for line in lines]


def right_border(text: str) -> bool:
    return recover(text).output == text[text.rindex(MARKER) :].strip()


def served_as_answer(text: str) -> bool:
    return bool(recover(text).output)


def cuts(texts: Iterable[str]) -> list[str]:
    """The same outputs, cut inside the thinking."""
    return [t[: int(t.rindex(MARKER) * share)] for t in texts for share in SHARES]


def ordinary(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*")):
        if path.suffix in SUFFIXES and path.is_file():
            text = path.read_text("utf-8", errors="replace")
            yield from _strings(text) if path.suffix == ".jsonl" else [text]


def _strings(lines: str) -> Iterator[str]:
    todo = [json.loads(line) for line in lines.splitlines() if line.strip()]
    while todo:
        value = todo.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict | list):
            todo += value.values() if isinstance(value, dict) else value


def taken(text: str) -> bool:
    return any(issue.kind == "recovered" for issue in recover(text).issues)


def line(label: str, texts: Iterable[str], test: Callable[[str], bool]) -> None:
    seen: Counter[bool] = Counter()
    sure: Counter[float] = Counter()
    for text in texts:
        seen[test(text)] += 1
        sure[recover(text).confidence] += 1
    spread = ", ".join(f"{c:.2f}: {n}" for c, n in sorted(sure.items(), reverse=True))
    print(f"{label:46} {seen[True]:6} of {seen.total():6}   confidence {spread}")


def main(arguments: list[str]) -> int:
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    texts = outputs(Path(arguments[0]))
    line("right border", texts, right_border)
    line("right border, white space at the ends trimmed", (t.strip() for t in texts), right_border)
    line("cut in the thinking, served as the answer", cuts(texts), served_as_answer)
    trimmed = (t.strip() for t in cuts(texts))
    line("the same, trimmed", trimmed, served_as_answer)
    for folder in (sysconfig.get_paths()["stdlib"], *arguments[1:]):
        line(f"thinking found in {Path(folder).name}", ordinary(Path(folder)), taken)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
