"""``reflectkit parse``, as a process: sections, issues with places, exit codes."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path

import pytest

from commands import Command


@pytest.fixture
def command() -> Command:
    return Command()


ANSWER = """\
<thinking>
2 + 2 is 5.
<reflection>No, 4.</reflection>
4 * 7 is 28.</thinking>
<output>28</output>
"""
UNCLOSED = "<thinking>first line\nsecond"


async def test_sections_are_told_apart(command: Command) -> None:
    result = await command("parse", stdin=ANSWER)
    assert (result.code, result.err) == (0, "")
    assert result.out == (
        "[thinking]\n2 + 2 is 5.\n\n[reflection]\nNo, 4.\n\n"
        "[thinking]\n4 * 7 is 28.\n\n[output]\n28\n"
    )


async def test_issues_have_a_line_and_a_column(command: Command) -> None:
    result = await command("parse", stdin=UNCLOSED)
    assert result.code == 0
    issues = result.out.split("[issues]\n")[1]
    assert re.search(r"^1:1 unclosed_thinking\b|^2:7 unclosed_thinking\b", issues, re.MULTILINE)
    assert re.search(r"^\d+:\d+ missing_output\b", issues, re.MULTILINE)


@pytest.mark.parametrize(("text", "code"), [(ANSWER, 0), (UNCLOSED, 1)])
async def test_strict_says_by_its_code_whether_there_are_issues(
    command: Command, text: str, code: int
) -> None:
    assert (await command("parse", "--strict", stdin=text)).code == code


async def test_json_has_everything(command: Command) -> None:
    result = await command("parse", "--json", stdin=ANSWER)
    value = json.loads(result.out)
    assert value["output"] == "28"
    assert value["reflections"] == ["No, 4."]
    assert value["well_formed"] is True
    assert [s["kind"] for s in value["sections"] if s["kind"] != "outside"] == [
        "thinking",
        "reflection",
        "output",
    ]


async def test_issues_in_json_have_places(command: Command) -> None:
    value = json.loads((await command("parse", "--json", stdin=UNCLOSED)).out)
    assert {"line", "column", "kind", "position"} <= value["issues"][0].keys()


async def test_events_lose_nothing(command: Command) -> None:
    result = await command("parse", "--events", stdin=ANSWER)
    events = [json.loads(line) for line in result.out.splitlines()]
    assert "".join(event["source"] for event in events) == ANSWER
    assert events[0]["event"] == "section_started"


async def test_files_dialects_and_prefilled_openers(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "answer.txt"
    path.write_text("4 * 7 is 28.</think>28")
    result = await command("parse", str(path), "--dialect", "think", "--prefilled", "--strict")
    assert result.code == 0
    assert result.out == "[thinking]\n4 * 7 is 28.\n\n[output]\n28\n"


@pytest.mark.parametrize(
    ("arguments", "stdin", "said"),
    [
        (["/does/not/exist"], None, "No such file"),
        (["--dialect", "klingon"], "x", "klingon"),
        ([], "caf\udce9", "not UTF-8"),
    ],
)
async def test_bad_input_is_a_line_with_the_way_out(
    command: Command, arguments: list[str], stdin: str | None, said: str
) -> None:
    result = await command("parse", *arguments, stdin=stdin)
    assert result.code == 2
    assert said in result.err
    assert result.out == ""
    assert len(result.err.splitlines()) <= 2


async def test_an_empty_text_is_an_answer_without_sections(command: Command) -> None:
    result = await command("parse", "--json", stdin="")
    assert result.code == 0
    assert json.loads(result.out)["output"] == ""


TAGLESS = """\
First, let's work it out step by step:

1. Alice has 3 brothers.
2. Each brother has Alice and her 2 sisters.


Let's double-check this logic:
- All siblings share the same sisters.
This reasoning appears to be correct.


3. So each brother has 3 sisters.




### Answer: 3
"""


async def test_sections_without_tags_are_recovered_when_asked(command: Command) -> None:
    plain = json.loads((await command("parse", "--json", stdin=TAGLESS)).out)
    found = json.loads((await command("parse", "--json", "--recover", stdin=TAGLESS)).out)
    assert plain["thinking"] is None
    assert found["output"] == "### Answer: 3"
    assert "recovered" in {issue["kind"] for issue in found["issues"]}
    assert 0 < found["confidence"] <= 1


async def test_recovered_sections_are_shown_without_losing_a_word(command: Command) -> None:
    result = await command("parse", "--recover", stdin=TAGLESS)
    shown = re.sub(r"(?m)^\[(thinking|reflection|output)\]$", "", result.out.split("[issues]")[0])
    assert shown.split() == TAGLESS.split()
    assert result.out.count("[output]") == 1


async def test_tagged_text_is_not_recovered(command: Command) -> None:
    with_flag = await command("parse", "--json", "--recover", stdin=ANSWER)
    assert with_flag == await command("parse", "--json", stdin=ANSWER)


async def test_closed_standard_input_is_said() -> None:
    process = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", 'exec "$@" <&-', "sh", sys.executable, "-m", "reflectkit", "parse",
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 2
    assert b"Standard input is closed" in err
