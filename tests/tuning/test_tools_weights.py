"""The shipped `tools.gguf` calls as it should; a sample of what `evaluate_tools.py` measures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

pytest.importorskip("xllamacpp")  # reflectkit[local]

from calling.cases import Case, cases
from calling.layout import Turn
from engine import Engine
from evaluate_tools import CONTEXT, exact, measure, prompt, report, tool_is_right, well_formed
from shapes import SHAPES

from reflectkit.backends._llama import Engine as InProcess
from reflectkit.backends._llama import Settings

WEIGHTS = Path(str(files("reflectkit.models"))) / "weights"
TUNING = Path(__file__).parents[2] / "cookbook" / "tuning"
#: how many of 25 have to be exactly right: what was measured, less three
BARS = {
    "one tool, one string": 17,
    "the same, other scripts": 20,
    "one tool": 12,
    "no tool fits": 15,
    "answer with results": 18,
    "no more calls": 18,
}


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(WEIGHTS / "tools.gguf", context=CONTEXT)


@pytest.fixture(scope="module")
def inner() -> Iterator[InProcess]:
    engine = InProcess(Settings(path=WEIGHTS / "tools.gguf", name="tools", context=CONTEXT))
    yield engine
    engine.close()


def test_the_file_is_small() -> None:
    assert (WEIGHTS / "tools.gguf").stat().st_size < 3_500_000


@pytest.mark.parametrize("case", SHAPES)
def test_llama_cpp_writes_what_was_learned(inner: InProcess, case: Case) -> None:
    body = {"messages": [t.wire() for t in case.turns], "tools": [t.wire() for t in case.tools]}
    written = inner._door.post("/apply-template", body)["prompt"]
    assert written == prompt(case)


@pytest.mark.parametrize("family", BARS)
def test_heldout_conversations_are_mostly_answered_right(engine: Engine, family: str) -> None:
    row = measure(engine, family, 25)
    assert row.exact >= BARS[family], row
    assert row.valid >= 23, row


def test_the_meter_can_say_no() -> None:
    """Another value, another tool, a call too many or too few, broken JSON: none of it is right."""
    (case,) = [c for c in cases("one tool", 20) if c.wanted.calls[0].arguments][:1]
    call = case.wanted.calls[0]
    good = case.wanted.wire()
    assert exact(case, good)
    assert tool_is_right(case, good)
    other = json.dumps(dict.fromkeys(call.arguments, "other"))
    for name, arguments in ((call.name, other), (f"{call.name}x", call.text), (call.name, "{")):
        bad = {"tool_calls": [{"function": {"name": name, "arguments": arguments}}]}
        assert not exact(case, bad)
    assert not exact(case, {"content": "no"})
    assert not exact(case, {**good, "tool_calls": good["tool_calls"] * 2})
    assert not exact(Case((), (), Turn("assistant", '{"a": 1}')), {"content": '{"a": 2}'})
    assert not tool_is_right(Case((), (), Turn("assistant", "Hi.")), good)


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ('<tool_call>\n{"name": "a", "arguments": {}}\n</tool_call>', True),
        ('<tool_call>\n{"name": "a", "arguments": {}}\n</tool_call>\n'
         '<tool_call>\n{"name": "b", "arguments": {}}\n</tool_call>', True),
        ('<tool_call>\n{"name": "a"}\n</tool_call>', False),
        ('<tool_call>\n{"name": "a", "arguments": {}\n</tool_call>', False),
        ('Well <tool_call>\n{"name": "a", "arguments": {}}\n</tool_call>', False),
        ('{"a": 1}', True), ('{"a": 1', False), ("Hello.", True),
    ],
)  # fmt: skip
def test_what_is_well_formed(text: str, good: bool) -> None:
    assert well_formed(text) == good


@pytest.mark.checkout
def test_the_card_states_what_was_measured() -> None:
    found = json.loads((TUNING / "figures-tools.json").read_text())
    card = (WEIGHTS / "MODEL_CARD.md").read_text().splitlines()
    assert [line for line in report(found) if line not in card] == []
    assert found["n"] == 500
