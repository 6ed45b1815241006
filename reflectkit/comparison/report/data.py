"""What a report says, as values: everything that is shown, and nothing that is computed later."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

from ...errors import ConfigurationError
from ..meters.assurance import Assurance
from ..meters.flips import Flips
from ..meters.recovery import Gain
from ..meters.staged import Staged
from ..meters.tokens import Cost
from ..stats.intervals import Figure
from ..stats.paired import Difference

__all__ = ["Answer", "ArmRow", "Item", "PairRow", "Recovery", "Report", "Section", "TaskRow"]

_VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmRow:
    """One arm. ``outcomes``: how many answers of each. ``curve``: points (tokens, share of problems
    that are right with no more of them)."""

    name: str
    kind: str
    model: str
    mode: str
    policy: str
    outcomes: dict[str, int]
    cost: Cost
    curve: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRow:
    """The accuracy of each arm on one task."""

    task: str
    n: int
    accuracy: dict[str, Figure]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRow:
    """Two arms; ``task`` is "" for all of them together. ``adjusted``: p by Holm's method, over all
    comparisons of the same scope."""

    first: str
    second: str
    task: str
    found: Difference
    adjusted: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """How much of what training brings a prompt brings as well."""

    plain: str
    prompted: str
    trained: str
    share: Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A section of an answer as it is shown. ``kind``: thinking, reflection, output, outside."""

    kind: str
    text: str
    says: str = ""
    cut: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer in the drill-down."""

    arm: str
    repeat: int
    outcome: str
    value: str
    note: str
    tokens: int
    sections: tuple[Section, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One problem in the drill-down, with what every arm made of it."""

    id: str
    task: str
    prompt: str
    gold: str
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A whole comparison. ``smallest``: the smallest difference that so many problems show, as a
    share, with as many discordant ones as were seen. ``sentences``: what was found, in words.
    ``warnings``: what to keep in mind. ``items``: single problems."""

    title: str
    run_id: str
    problems: int
    repeats: int
    seed: int
    arms: tuple[ArmRow, ...]
    tasks: tuple[TaskRow, ...]
    pairs: tuple[PairRow, ...]
    flips: dict[str, tuple[Flips, ...]]
    kinds: dict[str, dict[str, int]]
    assurance: dict[str, Assurance]
    staged: tuple[Staged, ...] = ()
    recovery: Recovery | None = None
    gains: tuple[Gain, ...] = ()
    smallest: float | None = None
    sentences: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    items: tuple[Item, ...] = field(default=(), repr=False)

    def to_json(self) -> str:
        """All of it, so that it can be shown again: see ``from_json``."""
        return json.dumps({"reflectkit-report": _VERSION, **asdict(self)}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Report:
        """A report from its JSON. Raises ``ConfigurationError`` for anything else."""
        try:
            value = json.loads(text)
            if value.pop("reflectkit-report") != _VERSION:
                raise ConfigurationError("This report is of another version of reflectkit.")
            report: Report = _built(cls, value)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ConfigurationError("This is no report of a comparison.") from error
        return report


def _built(kind: Any, value: Any) -> Any:
    """A value of ``kind`` from what JSON makes of it."""
    if value is None:
        return None
    if isinstance(kind, type) and is_dataclass(kind):
        hints = _hints(kind)
        known = {f.name for f in fields(kind)} & value.keys()
        return kind(**{name: _built(hints[name], value[name]) for name in known})
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return _built(next(a for a in inner if a is not type(None)), value)
    if origin is tuple:
        kinds = inner[:1] * len(value) if inner[-1] is Ellipsis else inner
        return tuple(_built(k, v) for k, v in zip(kinds, value, strict=True))
    if origin in (dict, Mapping):
        return {k: _built(inner[1], v) for k, v in value.items()}
    return value


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)
