"""``reflectkit ask --verify``, ``--attempts`` and ``--policy``, as a process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from commands import Command
from reflectkit.cli._correcting import correction
from reflectkit.cli._options import POLICIES, build
from reflectkit.correction import bound_of
from reflectkit.errors import ConfigurationError
from reflectkit.messages import Message, Request
from reflectkit.testing.loopback import LoopbackServer, Served, chat

WRONG = chat("<thinking>\n4 * 7 = 27", "</thinking>\n", "<output>27</output>")
RIGHT = chat("<thinking>\n4 * 7 = 28", "</thinking>\n", "<output>28</output>")


@pytest.fixture
def command() -> Command:
    return Command()


def asking(server: LoopbackServer, *more: str) -> list[str]:
    where = ["--base-url", server.url, "--model", "loopback", "--mode", "trained"]
    return ["ask", *where, *more, "7*4?"]


async def ask(command: Command, *more: str, served: tuple[Served, ...] = (WRONG, RIGHT)) -> Any:
    async with LoopbackServer(*served) as server:
        return await command(*asking(server, *more))


async def test_attempts_are_shown_as_they_happen(command: Command) -> None:
    result = await ask(command, "--verify", "steps")
    assert result.code == 0
    said = "4 * 7 is 28, not 27 (line 2: 4 * 7 = 27)."
    assert result.out == (
        "[attempt 1]\n\n[thinking]\n4 * 7 = 27\n\n[output]\n27\n\n"
        f"[steps: no, line 2, column 1] {said}\n\n"
        "[the answer of attempt 1 is withdrawn]\n\n"
        "[attempt 2]\n\n[thinking]\n4 * 7 = 28\n\n[output]\n28\n\n[steps: yes]\n"
    )
    assert result.err == "reflectkit: attempt 2 of 2: accepted by steps (accepted)\n"


async def test_verdicts_have_colours(command: Command) -> None:
    async with LoopbackServer(WRONG, RIGHT) as server:
        result = await command(*asking(server, "--verify", "steps"), FORCE_COLOR="1")
    assert "\x1b[31m[steps: no, line 2, column 1]" in result.out
    assert "\x1b[32m[steps: yes]\x1b[0m" in result.out


async def test_hidden_shows_the_accepted_answer_alone(command: Command) -> None:
    result = await ask(command, "--verify", "steps", "--show", "hidden")
    assert (result.code, result.out) == (0, "28\n")
    assert "27" not in result.err


async def test_a_summary_quotes_no_thinking(command: Command) -> None:
    result = await ask(command, "--verify", "steps", "--show", "summary")
    assert "[steps: no]" in result.out
    assert "4 * 7" not in result.out + result.err


async def test_no_answer_is_accepted(command: Command) -> None:
    more = ["--verify", "steps", "--attempts", "2"]
    result = await ask(command, *more, served=(WRONG, WRONG))
    assert result.code == 1
    assert result.out.endswith("[the answer is that of attempt 1]\n\n[output]\n27\n")
    first, second = result.err.splitlines()
    assert first == (
        "reflectkit: The answer was not accepted: 4 * 7 is 28, not 27 (line 2: 4 * 7 = 27)."
    )
    assert second.endswith("(exhausted, stopped by attempts(2))")


async def test_a_check_that_cannot_tell_is_no_pass(command: Command, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def broken(draft):\n    return 1 / 0\n")
    result = await inside(command, tmp_path, "--verify", "python:mine:broken")
    assert result.code == 1
    assert "Nobody could tell" in result.err
    assert "ZeroDivisionError" in result.err


async def inside(command: Command, folder: Path, *more: str) -> Any:
    """Ask in a folder: modules and schemas are looked for there."""
    async with LoopbackServer(RIGHT) as server:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            return await command(*asking(server, *more), PYTHONPATH=str(ROOT))


ROOT = Path(__file__).parents[2]


async def test_a_function_of_ones_own(command: Command, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("class A:\n    def short(draft):\n        return True\n")
    result = await inside(command, tmp_path, "--verify", "python:mine:A.short")
    assert (result.code, "[short: yes]" in result.out) == (0, True)


async def test_an_answer_is_asked_for_again_without_verifiers(command: Command) -> None:
    result = await ask(command, "--attempts", "3", served=(WRONG, RIGHT, RIGHT))
    assert result.code == 0
    assert result.out.endswith("[the answer is that of attempt 2]\n\n[output]\n28\n")
    assert "withdrawn" not in result.out
    assert "2 independent answers agree" in result.err


async def test_json_has_verdicts_and_why(command: Command) -> None:
    value = json.loads((await ask(command, "--verify", "steps", "--json")).out)
    assert (value["status"], value["chosen"]) == ("accepted", 2)
    assert value["because"] == "accepted by steps"
    first, second = value["attempts"]
    assert (first["accepted"], second["accepted"]) == (False, True)
    (verdict,) = first["verdicts"]
    assert (verdict["ok"], verdict["line"], verdict["column"]) == (False, 2, 1)
    assert verdict["value"]["text"] == "4 * 7 = 27"


async def test_json_lines_have_the_events_of_the_loop(command: Command) -> None:
    result = await ask(command, "--verify", "steps", "--json", "--stream")
    values = [json.loads(line) for line in result.out.splitlines()]
    loop = [v for v in values if v["event"] in ("judged", "rejected", "retracted", "accepted")]
    assert [(v["event"], v["number"]) for v in loop] == [
        ("judged", 1),
        ("rejected", 1),
        ("retracted", 1),
        ("judged", 2),
        ("accepted", 2),
    ]
    assert loop[0]["verdicts"][0]["name"] == "steps"
    assert values[-1]["event"] == "reply"


async def test_json_hides_what_verdicts_quote(command: Command) -> None:
    for more in ([], ["--stream"]):
        options = ["--verify", "steps", "--policy", "revise", "--json", "--show", "hidden"]
        result = await ask(command, *options, *more)
        assert result.code == 0
        assert "4 * 7" not in result.out + result.err


async def test_a_schema_from_a_file(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "answer.json"
    path.write_text('{"type": "object", "required": ["total"]}')
    good = chat('<thinking>hm</thinking><output>{"total": 28}</output>')
    more = ["--verify", f"json:{path}", "--json"]
    value = json.loads((await ask(command, *more, served=(RIGHT, good))).out)
    assert (value["chosen"], value["value"]) == (2, {"total": 28})


# --- the specs, as data


def settings(*arguments: str) -> dict[str, Any]:
    return correction(build().parse_args(["ask", *arguments, "q"]))


GOOD = {
    "steps": "Steps",
    "number": "number",
    "json": "Schema",
    "regex:a:b": "Matches",
    "ifeval:punctuation:no_comma": "IFEval",
    'ifeval:length_constraints:number_words:{"relation": "at least", "num_words": 3}': "num_words",
    "protocol": "WellFormed",
    "python:math:sqrt": "sqrt",
}


@pytest.mark.parametrize(("spec", "means"), GOOD.items(), ids=GOOD)
def test_what_can_be_written(spec: str, means: str) -> None:
    (verifier,) = settings("--verify", spec)["verify"]
    assert means in f"{verifier!r} {getattr(verifier, 'name', '')}"


BROKEN = [
    "stpes",
    "steps:all",
    "regex",
    "regex:",
    "regex:(",
    "number:28",
    "json:/does/not/exist",
    "ifeval:no:such",
    "ifeval:punctuation:no_comma:{oops}",
    "python:math",
    "python:math:",
    "python:math:nothing",
    "python:math:pi",
    "python:no_such_module:f",
]


@pytest.mark.parametrize("spec", BROKEN)
def test_what_cannot_be_written_is_named(spec: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        settings("--verify", spec)
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("attempts", [2, 5])
def test_policies_keep_to_the_attempts(name: str, attempts: int) -> None:
    request = Request(messages=(Message("user", "q"),), max_tokens=9)
    found = settings("--policy", name, "--attempts", str(attempts))
    assert type(found["policy"]).__name__ == POLICIES[name]
    assert bound_of(found["policy"], request).attempts == attempts
    assert type(settings("--policy", name)["policy"]).__name__ == POLICIES[name]


def test_one_attempt_needs_no_policy() -> None:
    with pytest.raises(ConfigurationError, match="--attempts 1"):
        settings("--policy", "vote", "--attempts", "1")
    assert settings("--attempts", "1") == {"attempts": 1}
    assert settings() == {}
