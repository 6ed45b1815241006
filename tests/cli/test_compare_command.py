"""``reflectkit compare``, as it is typed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from commands import Command
from reflectkit.comparison import Report

SMALL = ("embedded:arithmetic-1-2", "--n", "4", "--temperature", "0", "--no-vote")


@pytest.fixture
def command() -> Command:
    return Command(120)


async def test_the_embedded_weights_by_default(command: Command, tmp_path: Path) -> None:
    store, out = tmp_path / "answers.jsonl", tmp_path / "report"
    done = await command("compare", "embedded:letters", "--n", "3", "--repeats", "2",
                         "--store", str(store), "--out", str(out), "-q")  # fmt: skip
    assert done.code == 0
    assert "“trained”" in done.out
    assert "| plain, vote at equal tokens" in done.out
    assert sorted(os.listdir(out)) == ["report.html", "report.json", "report.md"]
    report = Report.from_json((out / "report.json").read_text("utf-8"))
    assert [arm.kind for arm in report.arms] == ["plain", "prompted", "trained", "vote"]
    assert (report.problems, report.repeats) == (3, 2)
    assert "answers, at most" in done.err
    assert "wrote " in done.err

    again = await command("compare", "embedded:letters", "--n", "3", "--repeats", "2",
                          "--store", str(store), "--json", "-q")  # fmt: skip
    assert "6 of them there" in again.err
    assert Report.from_json(again.out) == report

    shown = await command("compare", "--report", str(out / "report.json"))
    assert shown.out == done.out


async def test_a_plan_asks_nothing(command: Command, tmp_path: Path) -> None:
    done = await command("compare", "embedded", "--n", "50", "--plan",
                         "--store", str(tmp_path / "none.jsonl"))  # fmt: skip
    assert done.code == 0
    assert "200 problems x 1, 4 arms" in done.out
    assert "points if the arms differ on 10 % of the problems" in done.out
    assert os.listdir(tmp_path) == []


async def test_arms_and_a_file_of_ones_own(command: Command, tmp_path: Path) -> None:
    rows = [{"q": f"What is {k} + {k}?", "a": 2 * k} for k in range(2, 6)]
    file = tmp_path / "own.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = await command(
        "compare", str(file), "--field", "prompt=q", "--field", "gold=a", "--grade", "numeric",
        "--arm", "base:model=nano-base,mode=trained,temperature=0",
        "--arm", "voting:model=nano-base,mode=plain,policy=vote,attempts=3,kind=other",
        "--json", "-q",
    )  # fmt: skip
    report = Report.from_json(done.out)
    assert [(arm.name, arm.policy) for arm in report.arms] == [("base", ""), ("voting", "Vote")]
    assert report.arms[0].cost.accuracy.value == 1.0


WRONG = [
    (("compare", "none.jsonl"), "none.jsonl"),
    (("compare", "embedded:sums"), "no task 'sums'"),
    (("compare", *SMALL, "--grade", "nemeric"), "no grader 'nemeric'"),
    (("compare", *SMALL, "--arm", "one:model=nano-base"), "nothing to compare"),
    (("compare", *SMALL, "--arm", "a:colour=red", "--arm", "b:mode=plain"), "NAME:KEY=VALUE"),
    (("compare", *SMALL, "--arm", "a:policy=hope", "--arm", "b:"), "no policy 'hope'"),
    (("compare", *SMALL, "--arm", "a:temperature=hot", "--arm", "b:"), "cannot be 'hot'"),
    (("compare", *SMALL, "--format", "gsm9k"), "no format 'gsm9k'"),
    (("compare", "--report", "none.json"), "none.json"),
]


@pytest.mark.parametrize(("arguments", "words"), WRONG)
async def test_what_is_wrong_is_said(
    command: Command, arguments: tuple[str, ...], words: str
) -> None:
    if "--format" in arguments:
        arguments = ("compare", "pyproject.toml", "--format", "gsm9k")
    done = await command(*arguments)
    assert done.code == 2
    assert words in done.err
    assert "Traceback" not in done.err


async def test_a_server_that_is_not_there(command: Command) -> None:
    done = await command(
        "compare", *SMALL, "--base-url", "http://127.0.0.1:9/v1", "--model", "m", "-q"
    )
    assert done.code in (1, 3, 4)
    assert "Traceback" not in done.err
