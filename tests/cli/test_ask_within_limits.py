"""``reflectkit ask --budget`` and ``--scope``, as a process, on the embedded model."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from commands import Command
from reflectkit.ledgers import SQLiteLedger
from reflectkit.testing.loopback import LoopbackServer, chat, refusal

QUESTION = "What is (7 * 6 + 5) * 2?"
LONG = chat("<thinking>6 * 7 = 42. ", *["I go on. "] * 90, usage="none")


@pytest.fixture
def command() -> Command:
    return Command()


@pytest.fixture
def address(tmp_path: Path) -> str:
    return f"sqlite:{tmp_path / 'l.db'}"


async def kept(command: Command, address: str) -> dict[str, Any]:
    told = await command("budget", "show", "--ledger", address, "--json")
    (row,) = json.loads(told.out)["limits"]
    return {name: row[name] for name in ("spent", "reserved")}


async def test_a_limit_that_the_server_kept_is_told_of(command: Command) -> None:
    result = await command("ask", "--budget", "thinking=16, output=40", QUESTION)
    assert result.code == 0
    assert "[output]\n" in result.out
    assert result.err == (
        "reflectkit: The answer met a limit, thinking (call), 16 of 16: the server kept to it.\n"
    )


async def test_how_a_cut_answer_was_come_by(command: Command) -> None:
    async with LoopbackServer(LONG, chat("42"), LONG, chat("")) as server:
        url = ["--base-url", server.url, "--model", "m", "--mode", "trained"]
        asked = await command("ask", *url, "--budget", "thinking=40,grace=4", "6 * 7?")
        stated = await command("ask", *url, "--budget", "thinking=40,grace=4", "6 * 7?")
    assert (asked.code, stated.code) == (0, 0)
    assert "thinking (call)" in asked.err
    assert "asked for in a turn of its own" in asked.err
    assert "the last result that the thinking stated" in stated.err


async def test_no_answer_within_the_limits_is_incomplete(command: Command) -> None:
    thought = chat("<thinking>", *["I wonder about it. "] * 90, usage="none")
    async with LoopbackServer(thought, refusal(400, "no")) as server:
        url = ["--base-url", server.url, "--model", "m", "--mode", "trained"]
        result = await command("ask", *url, "--budget", "thinking=30", "6 * 7?")
    assert result.code == 1
    assert "incomplete (unanswered)" in result.err
    assert "thinking (call)" in result.err
    assert "there is no answer" in result.err


async def test_json_says_what_was_granted(command: Command) -> None:
    result = await command("ask", "--json", "--budget", "reflections=1,total=1000", QUESTION)
    value = json.loads(result.out)
    (attempt,) = value["attempts"]
    assert result.err == ""
    assert value["bound_by"] == attempt["bound_by"] == "reflections (call)"
    assert (attempt["cut"], attempt["wrap"], attempt["requests"]) == ("reflections", "closed", 2)
    (grant,) = [g for g in value["grants"] if g["limit"] == "reflections"]
    assert (grant["requested"], grant["granted"], grant["enforced_by"]) == (1, 1, "client")
    assert value["grants"] == attempt["grants"]


async def test_the_last_word_on_a_limit_counts(command: Command) -> None:
    words = ["--budget", "total=20,output=9", "--budget", "total=1000", "--budget", "hint=off"]
    value = json.loads((await command("ask", "--json", *words, QUESTION)).out)
    granted = {g["limit"]: g["requested"] for g in value["grants"]}
    assert granted["output"] == 9


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("thnking=3", "there is no such limit; there are thinking, thinking_floor"),
        ("thinking", "write thinking=64"),
        ("thinking=", "write thinking=64"),
        ("", "write thinking=64"),
        ("thinking=3;output=4", "write thinking=64"),
        ("thinking=many", "thinking: it must be a valid integer"),
        ("thinking=1.5", "thinking: it must be a valid integer"),
        ("thinking=-1", "thinking: it must be greater"),
        ("hint=perhaps", "hint: it must be a valid boolean"),
        ("seconds=0", "seconds: it must be greater than 0"),
        ("money=much", "money: it must be a valid decimal"),
        ("thinking=90,total=9", "thinking=90 is more than total=9"),
    ],
)
async def test_budgets_that_cannot_be(command: Command, words: str, said: str) -> None:
    result = await command("ask", "--budget", words, QUESTION)
    assert (result.code, result.out) == (2, "")
    assert said in result.err
    assert "Traceback" not in result.err


async def test_every_limit_can_be_written(command: Command) -> None:
    every = (
        "thinking=64,thinking_floor=0,reflection=32,reflections=3,grace=4,output=200,"
        "output_floor=16,prompt=400,total=2000,calls=3,seconds=60.5,money=0.05,hint=on"
    )
    from reflectkit import Budget

    assert {pair.partition("=")[0] for pair in every.split(",")} == set(Budget.model_fields)
    result = await command("ask", "--budget", every, QUESTION)
    assert result.code == 0, result.err


async def test_what_cannot_be_paid_is_not_sent(command: Command) -> None:
    async with LoopbackServer(chat("42")) as server:
        url = ["--base-url", server.url, "--model", "m"]
        result = await command("ask", *url, "--json", "--budget", "total=2", QUESTION)
        assert not [r for r in server.requests if r.path.endswith("completions")]
    assert result.code == 1
    error = json.loads(result.out)["error"]
    assert (error["type"], error["limit"], error["scope"]) == ("BudgetExceeded", "total", "call")


async def test_a_question_is_charged_to_stored_limits(command: Command, address: str) -> None:
    for scope in ("tenant:acme", "global:all"):
        await command("budget", "set", scope, "--tokens", "400", "--ledger", address)
    scopes = ["--scope", "tenant:acme", "--scope", "global:all"]
    few = ["--budget", "output=40,thinking=120"]
    done = await command("ask", "--json", *scopes, *few, QUESTION, REFLECTKIT_LEDGER=address)
    assert done.code == 0, done.err
    total = json.loads(done.out)["usage"]["total"]
    told = json.loads((await command("budget", "show", "--ledger", address, "--json")).out)
    assert [(r["spent"], r["reserved"]) for r in told["limits"]] == [(total, 0)] * 2
    for _ in range(3):
        done = await command("ask", *scopes, *few, QUESTION, REFLECTKIT_LEDGER=address)
    assert (done.code, done.out) == (1, "")
    assert "tokens left, and the call may need" in done.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--scope", "tenant:acme"], "Which ledger?"),
        (["--scope", "tenant:acme", "--ledger", "{}"], "keeps no limit of tenant:acme"),
        (["--scope", "acme", "--ledger", "{}"], "no name of a scope"),
        (["--scope", "tenant:acme", "--ledger", "mysql://x"], "no ledger's address"),
        (["--scope", "tenant:acme", "--ledger", "redis://:secret@h"], "put it into"),
        (["--ledger", "{}"], "--ledger belongs to --scope"),
    ],
)
async def test_scopes_that_cannot_be_charged(
    command: Command, arguments: list[str], said: str, address: str
) -> None:
    result = await command("ask", *(a.format(address) for a in arguments), QUESTION)
    assert (result.code, result.out) == (2, "")
    assert said in result.err
    assert "secret" not in result.err


async def test_ctrl_c_gives_back_what_was_reserved(command: Command, address: str) -> None:
    await command("budget", "set", "tenant:acme", "--tokens", "9000", "--ledger", address)
    half = chat("<thinking>", "2 + 2 is", " 4.").broken(3, "stall")
    ledger = SQLiteLedger(address.removeprefix("sqlite:"))
    async with LoopbackServer(half) as server:
        url = ["--base-url", server.url, "--model", "m", "--mode", "trained"]
        scope = ["--scope", "tenant:acme", "--ledger", address]
        async with command.start("ask", *url, *scope, QUESTION) as process:
            assert process.stdout is not None
            await asyncio.wait_for(process.stdout.readuntil(b"2 is"), 30)
            (before,) = await ledger.balances()
            process.send_signal(signal.SIGINT)
            await asyncio.wait_for(process.communicate(), 20)
    await ledger.aclose()
    assert process.returncode == 130
    assert before.reserved > 1000
    now = await kept(command, address)
    assert now["reserved"] == 0
    assert 5 < now["spent"] < 100
