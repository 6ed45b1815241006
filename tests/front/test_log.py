"""Logging: off costs nothing, on tells sizes, and neither secrets nor texts are told."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest
import structlog

from reflectkit import BackendWireError, Client, Draft, Usage, Verdict
from reflectkit.correction import Revise
from reflectkit.testing import ScriptedBackend

GOOD = "<thinking>SECRET</thinking><output>28</output>"


@pytest.fixture(autouse=True)
def _levels() -> Iterator[None]:
    loggers = [logging.getLogger(n) for n in ("reflectkit", "reflectkit.texts")]
    before = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, before, strict=True):
        logger.setLevel(level)


async def test_three_events_with_sizes(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "reflectkit")
    backend = ScriptedBackend(GOOD, usage=Usage(prompt=3, completion=9, thinking=4))
    await Client(backend, model="m").ask("PRIVATE question")
    assert [r.getMessage().split()[0] for r in caplog.records] == [
        "event='request'",
        "event='attempt'",
        "event='ending'",
    ]
    for field in ("model='m'", "mode='prompted'", "thinking_tokens=4", "finish='stop'", "seconds="):
        assert field in caplog.text
    assert "PRIVATE" not in caplog.text
    assert "SECRET" not in caplog.text


async def test_texts_are_opt_in_and_veiled(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "reflectkit")
    logging.getLogger("reflectkit.texts").setLevel(logging.DEBUG)
    client = Client(ScriptedBackend(GOOD, GOOD))
    await client.ask("question", show="hidden")
    assert "question" in caplog.text
    assert "<output>28" in caplog.text
    assert "SECRET" not in caplog.text
    await client.ask("question")
    assert "SECRET" in caplog.text


async def test_a_fault_is_an_ending(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "reflectkit")
    with pytest.raises(BackendWireError):
        await Client(ScriptedBackend(["a", BackendWireError("bad PRIVATE")])).ask("q")
    assert "ending='error'" in caplog.text
    assert "BackendWireError" in caplog.text
    assert "PRIVATE" not in caplog.text


async def test_it_follows_the_application_s_structlog() -> None:
    logging.getLogger("reflectkit").setLevel(logging.INFO)
    with structlog.testing.capture_logs() as told:
        structlog.configure(processors=structlog.get_config()["processors"])
        await Client(ScriptedBackend(GOOD)).ask("q")
    structlog.reset_defaults()
    assert [entry["event"] for entry in told] == ["request", "attempt", "ending"]


def is_28(draft: Draft) -> Verdict:
    thought = draft.thinking or ""
    return Verdict(ok=draft.output == "28", feedback=f"You thought {thought}", start=0, end=15)


async def test_verdicts_and_how_the_loop_ended(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "reflectkit")
    bad = GOOD.replace("28", "27")
    await Client(ScriptedBackend(bad, GOOD), verify=is_28).ask("q")
    told = [r.getMessage() for r in caplog.records]
    kinds = [line.split()[0].split("'")[1] for line in told]
    assert kinds == [*["request", "attempt", "verdicts"] * 2, "ending"]
    assert "failed=['is_28']" in told[2]
    assert "passed=['is_28']" in told[5]
    assert "status='accepted' chosen=2 stopped_by=''" in told[-1]
    assert "SECRET" not in caplog.text


async def test_feedback_in_texts_quotes_no_hidden_thinking(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "reflectkit")
    logging.getLogger("reflectkit.texts").setLevel(logging.DEBUG)
    bad = GOOD.replace("28", "27")
    client = Client(ScriptedBackend(bad, GOOD, bad, GOOD), verify=is_28, policy=Revise())
    await client.ask("question", show="hidden")
    assert "question" in caplog.text
    assert "SECRET" not in caplog.text
    await client.ask("question")
    assert "You thought SECRET" in caplog.text


async def test_silent_by_default(caplog: pytest.LogCaptureFixture) -> None:
    await Client(ScriptedBackend(GOOD)).ask("q")
    assert caplog.records == []


PROBE = """
import asyncio, sys
from reflectkit import Client
from reflectkit.testing import ScriptedBackend
asyncio.run(Client(ScriptedBackend("x"), mode="plain").ask("q"))
print("structlog" in sys.modules)
"""


def test_structlog_is_not_loaded_when_nobody_listens() -> None:
    run = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, check=True, text=True)
    assert run.stdout == "False\n"
    assert run.stderr == ""
