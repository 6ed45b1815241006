"""Structured output beside instructor: 100 types, twelve kinds of broken JSON, one scripted server.

    PYTHONPATH=. python benchmarks/structured.py               # needs benchmarks/requirements.txt
    PYTHONPATH=. python benchmarks/structured.py --only ours

The first answer of the server is broken in one of twelve ways, every further one is right. Both
libraries get the same types, the same answers and three attempts. Counted are calls, tokens (of
everything that is sent and received, four bytes to a token) and outcomes: the right object, another
object, or an error. Eight ways of breaking leave one meaning, so that nothing need be asked again;
four do not, and there an object from the first answer would be made up.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter

from reflectkit import Client
from reflectkit.budget.tokens import estimate
from reflectkit.errors import ReflectKitError
from reflectkit.testing import LoopbackServer, Received, Served, chat

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests" / "verify"))

from json_shapes import SAFE, SHAPES, UNSAFE, pretty

ATTEMPTS = 3
QUESTION = "Describe the thing."
ORDER = ("right", "error", "wrong")  # from best to worst: an error is better than a wrong object
Ask = Callable[[str, Any], Awaitable[Any]]


@dataclass(frozen=True)
class Case:
    """One type with a value of it, and one way to break that value's JSON."""

    name: str
    type_: Any
    value: Any
    damage: str

    @property
    def broken(self) -> str:
        """The first answer."""
        return {**SAFE, **UNSAFE}[self.damage](self.value)

    @property
    def expected(self) -> Any:
        return TypeAdapter(self.type_).validate_json(json.dumps(self.value))

    @property
    def is_model(self) -> bool:
        return isinstance(self.type_, type) and issubclass(self.type_, BaseModel)


@dataclass
class Spent:
    """What one case has cost, seen from the server."""

    calls: int = 0
    tokens: int = 0


@dataclass(frozen=True)
class Outcome:
    """What came of one case."""

    outcome: str
    calls: int
    tokens: int


def cases() -> list[Case]:
    """All types, broken in all ways."""
    ways = [*SAFE, *UNSAFE]
    return [
        Case(f"case-{i}-{j}", type_, value, damage)
        for i, (type_, value) in enumerate(SHAPES)
        for j, damage in enumerate(ways)
    ]


class Script:
    """The server's side: a broken answer, then right ones; each case by its model's name."""

    def __init__(self, all_cases: Iterable[Case]) -> None:
        self._cases = {case.name: case for case in all_cases}
        self.spent = {name: Spent() for name in self._cases}

    def __call__(self, received: Received) -> Served:
        body = received.json
        case, spent = self._cases[body["model"]], self.spent[body["model"]]
        answer = pretty(case.value) if spent.calls else case.broken
        spent.calls += 1
        spent.tokens += estimate(json.dumps(body["messages"], ensure_ascii=False))
        spent.tokens += estimate(answer)
        return chat(answer) if body.get("stream") else completion(answer)


def completion(text: str) -> Served:
    """An answer that does not stream."""
    said = {"role": "assistant", "content": text}
    body = {
        "id": "1",
        "object": "chat.completion",
        "created": 0,
        "model": "loopback",
        "choices": [{"index": 0, "message": said, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 7, "total_tokens": 14},
    }
    return Served((json.dumps(body).encode(),), headers={"Content-Type": "application/json"})


def ours(url: str) -> tuple[Ask, tuple[type[Exception], ...]]:
    """Asks through reflectkit."""
    client = Client(url, model="case", mode="plain")

    async def ask(name: str, type_: Any) -> Any:
        reply = await client.ask(QUESTION, model=name, output_type=type_, attempts=ATTEMPTS)
        reply.raise_for_verdict()
        return reply.value

    return ask, (ReflectKitError,)


def instructor_in(mode: str) -> Callable[[str], tuple[Ask, tuple[type[Exception], ...]]]:
    """Asks through instructor in one of its modes."""

    def make(url: str) -> tuple[Ask, tuple[type[Exception], ...]]:
        import instructor
        from openai import AsyncOpenAI
        from tenacity import AsyncRetrying, stop_after_attempt

        raw = AsyncOpenAI(base_url=url, api_key="none", max_retries=0)
        client = instructor.from_openai(raw, mode=instructor.Mode[mode])

        async def ask(name: str, type_: Any) -> Any:
            return await client.chat.completions.create(
                model=name,
                messages=[{"role": "user", "content": QUESTION}],
                response_model=type_,
                max_retries=AsyncRetrying(stop=stop_after_attempt(ATTEMPTS)),
            )

        return ask, (Exception,)  # what it cannot do with a type is not one kind of error

    return make


LIBRARIES: Mapping[str, Callable[[str], tuple[Ask, tuple[type[Exception], ...]]]] = {
    "reflectkit": ours,
    "instructor, JSON": instructor_in("JSON"),
    "instructor, MD_JSON": instructor_in("MD_JSON"),
}


async def measure(name: str, todo: list[Case]) -> dict[str, Outcome]:
    """All cases through one library, by the case's name."""
    script, found = Script(todo), {}
    async with LoopbackServer(script) as server:
        ask, errors = LIBRARIES[name](server.url)
        for number, case in enumerate(todo, 1):
            try:
                value = await ask(case.name, case.type_)
                outcome = "right" if same(case, value) else "wrong"
            except errors:
                outcome = "error"
            spent = script.spent[case.name]
            found[case.name] = Outcome(outcome, spent.calls, spent.tokens)
            if number % 300 == 0:
                print(f"{name}: {number}/{len(todo)}", file=sys.stderr)
    return found


def same(case: Case, value: Any) -> bool:
    """Whether it is the expected object. Instructor returns a subclass of the model, and wraps what
    is no model, so what counts is what they hold."""
    held = plain(value)
    return bool(held == plain(case.expected) or held == {"content": plain(case.expected)})


def plain(value: Any) -> Any:
    """A value without its model's class."""
    return value.model_dump() if isinstance(value, BaseModel) else value


def worse(mine: Outcome, other: Outcome) -> bool:
    """Whether mine comes out worse, or as well for more calls or tokens."""
    if mine.outcome != other.outcome:
        return ORDER.index(mine.outcome) > ORDER.index(other.outcome)
    return mine.calls > other.calls or mine.tokens > other.tokens


def lines(todo: list[Case], found: Mapping[str, dict[str, Outcome]]) -> list[str]:
    """A table: a row a way of breaking, a block of columns a library."""
    head = f"{'damage':16}" + "".join(f"  {name:^38}" for name in found)
    under = (
        f"{'':16}"
        + f"  {'right':>6} {'wrong':>6} {'error':>6} {'calls':>7} {'tokens':>9}" * len(found)
    )
    rows = [head, under]
    for damage in (*SAFE, *UNSAFE, "all"):
        names = [c.name for c in todo if damage in ("all", c.damage)]
        row = f"{damage:16}"
        for outcomes in found.values():
            chosen = [outcomes[name] for name in names]
            right, wrong, error = (
                sum(o.outcome == kind for o in chosen) for kind in ("right", "wrong", "error")
            )
            calls, tokens = (sum(getattr(o, k) for o in chosen) for k in ("calls", "tokens"))
            row += f"  {right:6} {wrong:6} {error:6} {calls:7} {tokens:9}"
        rows.append(row)
    return rows


async def main() -> int:
    """Print the tables; 1 if ours comes out worse anywhere."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", choices=("ours",))
    parser.add_argument("--every", type=int, default=1, help="every so-manieth case alone")
    options = parser.parse_args()
    logging.getLogger("instructor").setLevel(
        logging.CRITICAL
    )  # it logs every case that it gives up
    todo = cases()[:: options.every]
    names = ["reflectkit"] if options.only else list(LIBRARIES)
    found = {name: await measure(name, todo) for name in names}
    for label, wanted in (("pydantic models", True), ("other types", False)):
        chosen = [c for c in todo if c.is_model is wanted]
        print(f"\n{label}: {len(chosen)} cases", *lines(chosen, found), sep="\n")
    behind = [
        (case, name)
        for case in todo
        for name in names[1:]
        if worse(found["reflectkit"][case.name], found[name][case.name])
    ]
    print(f"\nreflectkit is worse in {len(behind)} of {len(todo) * (len(names) - 1)} comparisons")
    for case, name in behind[:40]:
        mine, other = found["reflectkit"][case.name], found[name][case.name]
        print(
            f"  {case.damage}, {getattr(case.type_, '__name__', case.type_)}: {mine} {name} {other}"
        )
    return int(bool(behind))


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
