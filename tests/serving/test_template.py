"""The chat template gives the layout of the training data, byte for byte."""

from __future__ import annotations

from typing import Any

import pytest

from recipes import LAYOUT, SERVING, TURNS, written

sandbox = pytest.importorskip("jinja2.sandbox")  # the recipes group

BEGIN = "<|begin_of_text|>"
SOURCE = (SERVING / "reflection.jinja").read_text("utf-8")


def rendered(source: str, turns: list[dict[str, str]], **given: Any) -> str:
    """As ``transformers`` renders a chat template, with the same settings of the same sandbox."""
    room = sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    return str(room.from_string(source).render(messages=turns, bos_token=BEGIN, **given))


def test_the_training_layout_to_the_byte() -> None:
    turns = TURNS["system"]
    system, prompt, response = (
        turn["content"] for turn in [*turns, {"content": "<output>4</output>"}]
    )
    whole = [*turns, {"role": "assistant", "content": response}]
    filled = LAYOUT.format(system=system, prompt=prompt, response=response)
    assert rendered(SOURCE, whole) == BEGIN + filled
    assert rendered(SOURCE, turns, add_generation_prompt=True) == BEGIN + filled.removesuffix(
        f"{response}<|eot_id|>"
    )


@pytest.mark.parametrize("name", TURNS)
@pytest.mark.parametrize("asked", [True, False], ids=["asked", "closed"])
def test_every_shape_of_a_conversation(name: str, asked: bool) -> None:
    found = rendered(SOURCE, TURNS[name], add_generation_prompt=asked)
    assert found == BEGIN + written(TURNS[name], asked=asked)


@pytest.mark.parametrize("name", TURNS)
def test_it_can_be_read_as_sglang_reads_it(name: str) -> None:
    """That turns a backslash and an n of the file into a line break before the template is read."""
    source = SOURCE.strip("\n").replace("\\n", "\n")
    assert source != SOURCE
    found = rendered(source, TURNS[name], add_generation_prompt=True)
    assert found == BEGIN + written(TURNS[name], asked=True)


def test_the_begin_token_stands_once() -> None:
    assert rendered(SOURCE, TURNS["turns"], add_generation_prompt=True).count(BEGIN) == 1


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("'' if message['role'] == 'system' else '\\n\\n'", "'\\n\\n'"),
        ("message['content'] +", "message['content'] | trim +"),
        ("{{- bos_token }}", ""),
        ("+ '<|eot_id|>'", "+ '<|eot_id|>\\n'"),
    ],
    ids=["Meta's blank line", "trimmed", "no begin token", "a line between turns"],
)
def test_another_layout_is_noticed(good: str, bad: str) -> None:
    assert good in SOURCE
    changed = rendered(SOURCE.replace(good, bad), TURNS["spaces"], add_generation_prompt=True)
    assert changed != BEGIN + written(TURNS["spaces"], asked=True)
