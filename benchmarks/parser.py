"""What parsing costs, beside a bare loop, three libraries' tag handling and two patterns.

    make bench   # or, in an environment with benchmarks/requirements.txt:
    PYTHONPATH=. python benchmarks/parser.py

Peers that are not installed are left out. All contestants of a table take turns in one process;
times are CPU times. The first table streams one text in pieces of 16 characters and gives the cost
of a piece as a multiple of the bare loop's (median over the rounds, with the range). The second
gives the time for whole texts that are doubled again and again, with the growth per doubling.
"""

from __future__ import annotations

import gc
import os
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise

from reflectkit.protocol import Parser, parse

ROUNDS = 25
PIECE = 16
SENTENCES = "The sum is four, and then seven times four is twenty-eight, as far as I can see. "
PLAIN = SENTENCES * 800
ANGLED = "If a < b and b < c, then a < c; in HTML that is <b>a &lt; c</b>, as far as I see. " * 400
TAGGED = "".join(
    f"<think>{SENTENCES * 9}</think>\n\n{SENTENCES * 4}It is *28*; run `f(x)`.\n" for _ in range(60)
)
LAZY = re.compile(r"<think>(.*?)</think>", re.DOTALL)
ATTRIBUTES = re.compile(r"<think(\s+[^>]*)?>(.*?)</think\s*>", re.DOTALL | re.IGNORECASE)

Stream = Callable[[list[str]], object]
Whole = Callable[[str], object]


def pieces(text: str) -> list[str]:
    return [text[i : i + PIECE] for i in range(0, len(text), PIECE)]


def bare(stream: list[str]) -> int:
    parts: list[str] = []
    found = 0
    for piece in stream:
        parts.append(piece)
        if piece.find("<") >= 0:
            found += 1
    return found


def ours(stream: list[str]) -> object:
    parser = Parser("think")
    for piece in stream:
        parser.feed(piece)
    parser.finish()
    return parser


def ours_inside(stream: list[str]) -> object:
    parser = Parser("think", prefilled=True)
    for piece in stream:
        parser.feed(piece)
    parser.finish()
    return parser


def rescanning(pattern: re.Pattern[str]) -> Stream:
    """A pattern applied to all of the text whenever a piece with a mark arrives."""

    def run(stream: list[str]) -> object:
        text, found = "", None
        for piece in stream:
            text += piece
            if ">" in piece:
                found = pattern.findall(text)
        return found

    return run


def peer_streams() -> Iterator[tuple[str, Stream]]:
    try:
        from pydantic_ai._parts_manager import ModelResponsePartsManager
        from pydantic_ai.models import ModelRequestParameters
    except ImportError:
        print("pydantic-ai-slim is not installed: left out")
    else:

        def pydantic_ai(stream: list[str]) -> object:
            manager = ModelResponsePartsManager(model_request_parameters=ModelRequestParameters())
            tags = ("<think>", "</think>")
            for piece in stream:
                for _ in manager.handle_text_delta(
                    vendor_part_id="content", content=piece, thinking_tags=tags
                ):
                    pass
            return manager

        yield "pydantic-ai", pydantic_ai
    try:
        from langchain_core.output_parsers import XMLOutputParser
    except ImportError:
        print("langchain-core is not installed: left out")
    else:

        def langchain(stream: list[str]) -> object:
            parser = XMLOutputParser(parser="xml")
            return sum(1 for _ in parser.transform(iter(["<r>", *stream, "</r>"])))

        yield "LangChain XMLOutputParser", langchain


def peer_wholes() -> Iterator[tuple[str, Whole]]:
    try:
        from pydantic_ai._thinking_part import split_content_into_text_and_thinking
    except ImportError:
        pass
    else:
        tags = ("<think>", "</think>")
        yield "pydantic-ai", lambda text: split_content_into_text_and_thinking(text, tags)
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # it asks the network otherwise
    try:
        from litellm.litellm_core_utils.prompt_templates.common_utils import (
            _parse_content_for_reasoning,
        )
    except ImportError:
        print("litellm is not installed: left out")
    else:
        yield "LiteLLM", _parse_content_for_reasoning
    yield "lazy pattern", LAZY.findall
    yield "pattern with attributes", ATTRIBUTES.findall


def spent(run: Callable[[], object]) -> float:
    gc.collect()
    start = time.process_time()
    run()
    return time.process_time() - start


def compare(title: str, text: str, contestants: Sequence[tuple[str, Stream]], rounds: int) -> None:
    stream = pieces(text)
    times: dict[str, list[float]] = {name: [] for name, _ in contestants}
    for _ in range(rounds):
        for name, run in contestants:
            times[name].append(spent(partial(run, stream)))
    print(f"\n{title}: {len(text):,} characters in {len(stream):,} pieces, {rounds} rounds")
    print(f"  {'':28} {'ns a piece':>10}  {'x bare':>7}  range")
    for name, taken in times.items():
        ratios = sorted(a / b for a, b in zip(taken, times["bare loop"], strict=True))
        low, high = ratios[len(ratios) // 10], ratios[-1 - len(ratios) // 10]
        cost = statistics.median(taken) / len(stream) * 1e9
        print(f"  {name:28} {cost:10.0f}  {statistics.median(ratios):7.2f}  {low:.2f}-{high:.2f}")


ADVERSARIAL = {
    "plain text": "It is four. ",
    "unclosed openers": "<thinking>",
    "less-than signs": "<",
    "stray closers": "</thinking>",
    "alternating tags": "<thinking>a</thinking>",
    "nesting that never balances": "<thinking><thinking>a</thinking>",
    "deep reflections": "<reflection>x",
    "crossing tags": "<thinking><reflection></thinking></reflection>",
    "backticks": "`",
    "open and closed spans": "` ",
    "tags between odd backticks": "` <output> `` </output> ",
    "fences never closed": "\n````\n<output>\n~~~\n</output>",
    "tags in a line of runs": "",
    "long attributes": "<thinking " + "a" * 260,
}


def adversarial(name: str, size: int) -> str:
    unit = ADVERSARIAL[name]
    if unit:
        return (unit * (size // len(unit) + 1))[:size]
    runs = int((2 * size) ** 0.5)
    return "".join("`" * n + "<output>" for n in range(1, runs))[:size]


def repeated(unit: str, size: int) -> str:
    return (unit * size)[:size]


def grow(name: str, run: Whole, make: Callable[[int], str], sizes: list[int], repeats: int) -> None:
    taken = []
    for size in sizes:
        text = make(size)
        taken.append(min(spent(partial(run, text)) for _ in range(repeats)))
    growth = [b / a if a else 0.0 for a, b in pairwise(taken)]
    whole = (taken[-1] / taken[0]) ** (1 / (len(taken) - 1)) if taken[0] else 0.0
    row = "  ".join(f"{seconds * 1e3:8.1f}" for seconds in taken)
    steps = " ".join(f"{g:.2f}" for g in growth)
    print(f"  {name:28} {row}   {whole:5.2f}   ({steps})")


def heading(title: str, sizes: list[int]) -> None:
    print(f"\n{title}; growth per doubling (each step)")
    print(f"  {'':28} " + "  ".join(f"{size // 1000:6}KB" for size in sizes) + "   growth")


def main() -> None:
    print(f"Python {sys.version.split()[0]}; CPU time")
    streams, wholes = list(peer_streams()), list(peer_wholes())
    gc.freeze()  # the collector need not walk the peers' modules in everybody's turn
    fast = [
        ("bare loop", bare),
        ("reflectkit, answer", ours),
        ("reflectkit, thinking", ours_inside),
    ]
    compare("Plain text", PLAIN, fast, ROUNDS * 2)
    compare("Text with marks that begin no tag", ANGLED, fast, ROUNDS)
    patterns = [
        ("lazy pattern, rescanning", rescanning(LAZY)),
        ("pattern with attributes", rescanning(ATTRIBUTES)),
    ]
    tagged = [("bare loop", bare), ("reflectkit", ours), *streams, *patterns]
    compare("Tagged text", TAGGED, tagged, 5)

    sizes = [125_000, 250_000, 500_000, 1_000_000]
    heading("reflectkit, whole text, milliseconds", sizes)
    for name in ADVERSARIAL:
        grow(name, parse, partial(adversarial, name), sizes, 5)
    small = [8_000, 16_000, 32_000]
    for title, unit in (("unclosed openers", "<think>"), ("many blocks", "<think>a</think>b")):
        heading(f"{title}, milliseconds", small)
        for name, run in [("reflectkit", lambda text: parse(text, "think")), *wholes]:
            grow(name, run, partial(repeated, unit), small, 3)


if __name__ == "__main__":
    main()
