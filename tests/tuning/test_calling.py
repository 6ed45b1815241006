"""What the model that calls tools is taught: its conversations, its vocabulary and its template."""

from __future__ import annotations

import json
import random
from typing import Any

import calling
import pytest
from calling import chats, typed, words
from calling.cases import CASES, Case, cases
from calling.format import CLOSE, OPEN
from calling.layout import pieces
from calling.questions import Call
from calling.tools import Parameter, Tool
from samples import header
from shapes import SHAPES
from tokenizer import Tokenizer

from reflectkit import Client
from reflectkit.comparison.heldout.problems import held_out
from reflectkit.testing import ScriptedBackend


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return calling.tokenizer()


def conversations(count: int) -> list[chats.Chat]:
    rng = random.Random(1)
    return [
        typed.conversation(rng) if i % 6 == 0 else chats.conversation(rng) for i in range(count)
    ]


def text_of(case: Case) -> str:
    """The prompt of a case as training writes it."""
    return "".join(p.text for p in pieces(case.tools, case.turns)) + header("assistant")


# --- the format ----------------------------------------------------------------------------------


def test_the_vocabulary_is_bytes_and_marks(tokenizer: Tokenizer) -> None:
    assert len(tokenizer) == 256 + 6 + 2
    assert len(tokenizer.encode("你好 Rome")) == len("你好 Rome".encode())
    assert len(tokenizer.encode(f"{OPEN}{CLOSE}<|eot_id|>")) == 3


@pytest.mark.parametrize("text", ["", "Grüße 你好 🙂\r\n\t x", f"a{OPEN}b", "<tool_calls>"])
def test_every_text_survives_the_tokenizer(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize("case", SHAPES)
@pytest.mark.parametrize("parsed", [False, True])
def test_jinja_writes_what_was_learned(case: Case, parsed: bool) -> None:
    """As transformers and vLLM do it: arguments parsed, and JSON with letters as they are."""
    jinja2 = pytest.importorskip("jinja2")  # the test group
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    messages = [turn.wire() for turn in case.turns]
    for call in (c for m in messages if parsed for c in m.get("tool_calls", ())):
        call["function"]["arguments"] = json.loads(call["function"]["arguments"])
    written = environment.from_string(calling.template()).render(
        messages=messages, tools=[t.wire() for t in case.tools] or None,
        bos_token="<|begin_of_text|>", add_generation_prompt=True,
    )  # fmt: skip
    assert written == text_of(case)


# --- the conversations ---------------------------------------------------------------------------


def test_what_is_held_out_is_never_drawn() -> None:
    for chat in conversations(400):
        assert not any(held_out(t.name) for t in chat.tools)
    for name in CASES:
        for case in cases(name, 20):
            assert all(held_out(t.name) for t in case.tools)
            assert not any(held in f"{case}" for held in words.HELD)


def test_samples_hold_nothing_of_other_peoples_tests(tokenizer: Tokenizer) -> None:
    rng = random.Random(3)
    for _ in range(400):
        ids = calling.chat(tokenizer, rng, calling.Mix()).ids
        assert not any(held in tokenizer.decode(ids) for held in words.HELD)
        assert len(ids) < calling.Mix().longest


def test_every_call_fits_its_tool() -> None:
    seen = 0
    for chat in conversations(600):
        tools = {t.name: t for t in chat.tools}
        for call in (c for turn in chat.turns for c in turn.calls):
            known = {p.name: p for p in tools[call.name].parameters}
            needed = {p.name for p in known.values() if p.required}
            assert needed <= set(call.arguments) <= set(known)
            assert list(call.arguments) == [name for name in known if name in call.arguments]
            assert all(fits(known[n], value) for n, value in call.arguments.items())
            seen += 1
    assert seen > 500


def fits(p: Parameter, value: Any) -> bool:
    kinds: dict[str, Any] = {"string": str, "integer": int, "number": (int, float),
                             "boolean": bool, "array": list, "enum": str}  # fmt: skip
    return isinstance(value, kinds[p.kind]) and (p.kind != "enum" or value in p.choices)


def test_values_come_from_the_question_or_from_a_result() -> None:
    """Copying is all that is asked for: no string of a call is new."""
    checked = 0
    for chat in conversations(600):
        for i, turn in enumerate(chat.turns):
            before = "".join(t.text for t in chat.turns[:i])
            listed = [c for t in chat.tools for p in t.parameters for c in p.choices]
            for value in (v for call in turn.calls for v in call.arguments.values()):
                if isinstance(value, str) and value not in listed and '"' not in value:
                    assert value in before
                    checked += 1
    assert checked > 300


def test_nothing_but_the_assistant_is_learned(tokenizer: Tokenizer) -> None:
    rng = random.Random(5)
    for _ in range(200):
        sample = calling.chat(tokenizer, rng, calling.Mix())
        learned = [at for at, weight in enumerate(sample.weights) if weight]
        begins = [at for at in learned if not sample.weights[at - 1]]
        assert begins
        for at in begins:
            before = tokenizer.decode(sample.ids[:at])
            assert before.rpartition("<|start_header_id|>")[2].startswith("assistant")
        assert tokenizer.ids["<|start_header_id|>"] not in {sample.ids[at] for at in learned}


def test_a_forced_call_is_not_learned_as_a_wish() -> None:
    """Only what follows it: otherwise the model would call where it should not."""
    tool = Tool("find_x", "find", "x", "", (Parameter("q", "string"),))
    for text in ("", "I have no tool for that."):
        chat = chats.Chat(random.Random(1), [tool])
        chats.must(chat, Call("find_x", {"q": "a"}), text)
        parts = pieces(chat.tools, chat.turns)
        silent = "".join(p.text for p in parts if p.weight == 0)
        assert silent.endswith(text or f'{OPEN}\n{{"name": "find_x"')
        assert all(p.weight == chats.HINT for p in parts if p.text == "\n")


async def test_typed_questions_are_worded_as_reflectkit_does() -> None:
    """The prompt for JSON is the library's own, not a copy."""
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    backend = ScriptedBackend('{"a": "x"}')
    async with Client(backend, mode="plain") as client:
        await client.ask("Make it x.", output_type=schema)
    chat = chats.Chat(random.Random(1), [])
    typed.ask(chat, "Make it x.", schema)
    assert chat.turns[-1].text == backend.requests[0].messages[-1].text
