"""Errors as values: they survive pickling and copying with everything they carry."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from reflectkit import (
    BackendStatus,
    BudgetExceeded,
    ConfigurationError,
    Issue,
    MissingCapability,
    ProtocolError,
    ReflectKitError,
    Reply,
    Transcript,
    Usage,
    VerificationFailed,
)


def status() -> BackendStatus:
    error = BackendStatus("no", hint="try", status=429, retryable=True, retry_after=2.0)
    error.partial = Transcript(source="so far")
    error.usage = Usage(prompt=3)
    error.add_note("a note")
    return error


ERRORS: list[ReflectKitError] = [
    ReflectKitError("m", hint="h"),
    ConfigurationError("m"),
    MissingCapability("m", capability="seed", hint="h"),
    status(),
    ProtocolError("m", issues=(Issue("recovered", 0),)),
    BudgetExceeded("m", limit="thinking", spent=3.0, scope="run"),
    VerificationFailed("m", reply=Reply(transcript=Transcript())),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize(
    "again", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy, copy.deepcopy]
)
def test_an_error_comes_back_whole(error: ReflectKitError, again: Callable[[Any], Any]) -> None:
    """Between processes (multiprocessing, task queues) an error travels as a pickle."""
    twin = again(error)
    assert type(twin) is type(error)
    assert (str(twin), twin.args, vars(twin)) == (str(error), error.args, vars(error))
