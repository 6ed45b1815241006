"""Exit codes: one row for every error there is, and for every way an answer can end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reflectkit import errors
from reflectkit.cli._exits import EXITS, code_of, verdict_on
from reflectkit.reply import Attempt, Ending, Reply, Section, Transcript, Verdict

CODES = {
    "BackendError": 4,
    "BackendStatus": 4,
    "BackendTimeout": 3,
    "BackendUnreachable": 3,
    "BackendWireError": 5,
    "BudgetExceeded": 1,
    "ConfigurationError": 2,
    "LedgerError": 3,
    "MissingCapability": 2,
    "ProtocolError": 1,
    "ReflectKitError": 70,
    "VerificationFailed": 1,
}


def test_every_error_has_a_code() -> None:
    assert set(CODES) == set(errors.__all__)


@pytest.mark.parametrize("name", errors.__all__)
def test_codes_of_errors(name: str) -> None:
    cls = getattr(errors, name)
    assert code_of(cls.__new__(cls)) == CODES[name]


@pytest.mark.parametrize(
    ("error", "code"),
    [(KeyboardInterrupt(), 130), (BrokenPipeError(), 141), (ValueError(), 70), (OSError(), 74)],
)
def test_codes_of_other_ends(error: BaseException, code: int) -> None:
    assert code_of(error) == code


def test_codes_are_unique() -> None:
    assert len({row.code for row in EXITS}) == len(EXITS)


ANSWER = Reply(transcript=Transcript(sections=(Section("output", "28"),)))


@pytest.mark.parametrize(
    ("ending", "code"),
    [("complete", 0), ("length", 1), ("stopped", 1), ("cancelled", 130), ("error", 1)],
)
def test_codes_of_endings(ending: Ending, code: int) -> None:
    assert verdict_on(replace(ANSWER, ending=ending)) == code


def test_an_empty_answer_is_incomplete() -> None:
    assert verdict_on(Reply(transcript=Transcript())) == 1


@pytest.mark.parametrize(("ok", "code"), [(True, 0), (None, 1), (False, 1)])
def test_codes_of_verdicts(ok: bool | None, code: int) -> None:
    attempt = Attempt(
        number=1,
        request=None,  # type: ignore[arg-type]  # not looked at here
        transcript=ANSWER.transcript,
        verdicts=(Verdict(ok=ok),),
    )
    assert verdict_on(replace(ANSWER, attempts=(attempt,))) == code
