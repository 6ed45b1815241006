"""What a public dataclass promises: frozen, slotted, and readable where it is called."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pytest

#: The rooms whose values users hold in their hands.
ROOMS = (
    "errors",
    "messages",
    "events",
    "reply",
    "protocol",
    "models",
    "backends.base",
    "correction",
    "verify",
)

#: Read in order as a sentence, so they keep more than two positional fields. Only to be shortened.
LONG_POSITIONAL = {
    "Corrected",
    "Dialect",
    "Issue",
    "Section",
    "SectionDelta",
    "SectionEnded",
    "SectionStarted",
    "ToolCall",
    "Transcript",
    "AttemptEnded",
}

#: Made once for each piece of text, where freezing would cost more than everything else. Treated as
#: values all the same. Only to be shortened.
UNFROZEN_FOR_SPEED = {"SectionDelta"}

#: Keeps what it was compiled to beside its fields. Only to be shortened.
CACHES = {"Dialect"}


def public_dataclasses(module: ModuleType) -> Iterator[type[Any]]:
    for name in getattr(module, "__all__", ()):
        value = getattr(module, name)
        if inspect.isclass(value) and dataclasses.is_dataclass(value):
            yield value


FOUND = sorted(
    {c for r in ROOMS for c in public_dataclasses(importlib.import_module(f"reflectkit.{r}"))},
    key=lambda c: c.__qualname__,
)


def complaints(cls: Any) -> list[str]:
    positional = [f.name for f in dataclasses.fields(cls) if f.init and not f.kw_only]
    checks = {
        "is not frozen": cls.__dataclass_params__.frozen or cls.__name__ in UNFROZEN_FOR_SPEED,
        "has no slots": "__slots__" in vars(cls) or cls.__name__ in CACHES,
        "takes more than two fields by position": (
            len(positional) <= 2 or cls.__name__ in LONG_POSITIONAL
        ),
        "has no docstring": bool(cls.__doc__) and not cls.__doc__.startswith(f"{cls.__name__}("),
    }
    return [text for text, fine in checks.items() if not fine]


@pytest.mark.parametrize("cls", FOUND, ids=lambda c: c.__qualname__)
def test_public_dataclasses_keep_the_contract(cls: Any) -> None:
    assert complaints(cls) == []


def test_the_ground_floor_is_among_those_checked() -> None:
    assert {"Request", "Chunk", "Reply", "SectionDelta"} <= {c.__name__ for c in FOUND}


def test_the_lists_of_exceptions_only_shrink() -> None:
    assert len(LONG_POSITIONAL) <= 10
    assert len(UNFROZEN_FOR_SPEED) <= 1
    assert len(CACHES) <= 1


@dataclass
class _Loose:
    a: int
    b: int
    c: int


@dataclass(frozen=True, slots=True)
class _Tidy:
    """Two by position, the rest by name."""

    a: int
    b: int
    c: int = field(default=0, kw_only=True)


def test_a_loose_dataclass_is_found() -> None:
    assert len(complaints(_Loose)) == 4
    assert complaints(_Tidy) == []
