"""Measure `tools.gguf` on held-out conversations, in llama.cpp, and print the whole table.

python cookbook/tuning/evaluate_tools.py              # 500 conversations a family
python cookbook/tuning/evaluate_tools.py --n 50       # a quick look
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import calling
from calling.cases import CALLS, CASES, Case, cases
from calling.format import CLOSE, OPEN
from calling.layout import pieces, written
from engine import Engine
from evaluate import WEIGHTS
from samples import START, header
from scoring import interval

CONTEXT, LONGEST = 2048, 450
TOKENIZER = calling.tokenizer()
HEADER = "family                      n  right tool  exactly right [95 %]     valid  tokens"


@dataclass(frozen=True)
class Row:
    """One line of the table. `tool`: the right tools are called, or none where none is due;
    `valid`: the answer, written without a grammar, is JSON in the form that was learned."""

    family: str
    n: int
    tool: int
    exact: int
    valid: int
    tokens: float

    def __str__(self) -> str:
        low, high = interval(self.exact, self.n)
        return (
            f"{self.family:24} {self.n:5}       {self.tool / self.n:.3f}  "
            f"{self.exact / self.n:.3f} [{low:.3f}, {high:.3f}]  {self.valid / self.n:.3f}  "
            f"{self.tokens:6.1f}"
        )


def calls_of(message: dict[str, Any]) -> list[tuple[str, Any]]:
    """Names and arguments of a message's calls."""
    made = [call["function"] for call in message.get("tool_calls") or ()]
    return [(f["name"], loaded(f["arguments"])) for f in made]


def loaded(text: str) -> Any:
    """JSON's value; None for what is none."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def exact(case: Case, message: dict[str, Any]) -> bool:
    """The calls are the wanted ones, values and order; or the text is, as JSON where it is JSON."""
    if case.wanted.calls:
        return calls_of(message) == [(c.name, c.arguments) for c in case.wanted.calls]
    if message.get("tool_calls"):
        return False
    said, wanted = message.get("content") or "", case.wanted.text
    value = loaded(wanted) if wanted.startswith("{") else None
    return said == wanted if value is None else bool(loaded(said) == value)


def tool_is_right(case: Case, message: dict[str, Any]) -> bool:
    """The names of the calls are right, or there is none where none is due."""
    return [n for n, _ in calls_of(message)] == [c.name for c in case.wanted.calls]


def well_formed(text: str) -> bool:
    """A raw answer is calls one after the other, or text; JSON where it starts like some."""
    if not text.startswith(OPEN):
        return OPEN not in text and (not text.startswith("{") or loaded(text) is not None)
    for part in parts_of(text):
        body = loaded(part.removeprefix(f"{OPEN}\n"))
        if not (isinstance(body, dict) and list(body) == ["name", "arguments"]):
            return False
    return True


def parts_of(text: str) -> list[str]:
    """The calls of a raw answer, each without its closing mark."""
    return text.removesuffix(CLOSE).split(f"{CLOSE}\n")


def prompt(case: Case) -> str:
    """The text up to the answer; llama.cpp adds the token that begins it."""
    text = "".join(p.text for p in pieces(case.tools, case.turns))
    return text.removeprefix(START) + header("assistant")


def read(text: str) -> dict[str, Any]:
    """A raw answer as a message; calls that are not well formed stay text."""
    if not (text.startswith(OPEN) and well_formed(text)):
        return {"content": text}
    bodies = (loaded(p.removeprefix(f"{OPEN}\n")) for p in parts_of(text))
    calls = [{"name": b["name"], "arguments": json.dumps(b["arguments"])} for b in bodies]
    return {"content": None, "tool_calls": [{"function": call} for call in calls]}


def measure(engine: Engine, name: str, n: int, misses: list[str] | None = None) -> Row:
    """One family, greedily and without a grammar."""
    right = [0, 0, 0]
    tokens = 0
    for case in cases(name, n):
        text, _ = engine.complete(prompt(case), limit=LONGEST)
        message = read(text)
        good = exact(case, message)
        right[0] += tool_is_right(case, message)
        right[1] += good
        right[2] += well_formed(text)
        tokens += len(TOKENIZER.encode(text)) + 1
        if misses is not None and not good:
            misses.append(f"[{name}] {case.turns[-1].text}\n  wanted {written(case.wanted)}\n"
                          f"  said   {text}")  # fmt: skip
    return Row(name, n, *right, tokens / n)


def total(rows: list[Row]) -> Row:
    """All families of calls."""
    n = sum(r.n for r in rows)
    sums = (sum(getattr(r, key) for r in rows) for key in ("tool", "exact", "valid"))
    return Row("all calls", n, *sums, sum(r.tokens * r.n for r in rows) / n)


def report(found: dict[str, Any]) -> list[str]:
    """Everything that was measured, as the lines of a page."""
    return [HEADER, *(str(Row(**row)) for row in found["rows"])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=500, help="conversations a family")
    parser.add_argument("--weights", type=Path, default=WEIGHTS / "tools.gguf")
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    parser.add_argument("--only", nargs="*", choices=list(CASES), help="these families only")
    parser.add_argument("--misses", action="store_true", help="show what went wrong")
    options = parser.parse_args()
    started, engine = time.monotonic(), Engine(options.weights, context=CONTEXT)
    print(HEADER)
    rows, misses = [], []
    for name in options.only or CASES:
        rows.append(measure(engine, name, options.n, misses))
        print(rows[-1], flush=True)
    if not options.only:
        rows.append(total([r for r in rows if r.family in CALLS]))
        print(rows[-1])
    if options.misses:
        print("\n".join(misses))
    print(f"{time.monotonic() - started:.0f} s")
    if options.json:
        found = {"n": options.n, "rows": [asdict(r) for r in rows]}
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
