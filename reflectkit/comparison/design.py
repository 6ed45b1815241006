"""What a comparison will ask: problems by arms by repeats, with fingerprints and seeds."""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from ..errors import ConfigurationError
from .arms import Arm, ArmKind, equal_tokens
from .options import Terms
from .probing import probes_of
from .records import Problem, unique

if TYPE_CHECKING:
    from ..client import Preview

__all__ = ["Design", "designed", "fingerprint", "seed_of"]

_ADDRESS: Final = re.compile(r" at 0x[0-9a-fA-F]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """A comparison before anything is asked.

    ``arms``: yours, and those that were added. ``previews``: how each would ask. ``of``: each arm's
    fingerprint. ``run_id``: the same for the same problems, arms, repeats and seed.
    """

    problems: tuple[Problem, ...]
    arms: tuple[Arm, ...]
    repeats: int
    seed: int
    kinds: Mapping[str, ArmKind]
    previews: Mapping[str, Preview] = field(repr=False)
    of: Mapping[str, str] = field(repr=False)

    @property
    def answers(self) -> int:
        """How many answers it takes."""
        return len(self.problems) * len(self.arms) * self.repeats

    @property
    def run_id(self) -> str:
        """Twelve hexadecimal digits."""
        problems = [_of_problem(p) for p in self.problems]
        return fingerprint([problems, sorted(self.of.items()), self.repeats, self.seed])[:12]

    def units(self) -> list[tuple[Problem, int]]:
        """Every problem and repeat, in an order that is shuffled by the seed: what has been done
        at any time is then a fair sample of the whole."""
        units = [(p, r) for r in range(self.repeats) for p in self.problems]
        random.Random(f"order {self.seed}").shuffle(units)
        return units

    def of_answer(self, problem: Problem, arm: Arm) -> str:
        """The fingerprint of what is asked of an arm."""
        parts = [_of_problem(problem), self.of[arm.name], self.seed]
        if arm.like:
            parts.append(self.of[arm.like])
        return fingerprint(parts)[:16]


async def designed(problems: Sequence[Problem], arms: Sequence[Arm], terms: Terms) -> Design:
    """Check everything that can be checked beforehand. Raises ``ConfigurationError``."""
    _check(problems)
    previews: dict[str, Preview] = {}
    kinds: dict[str, ArmKind] = {}
    for arm in arms:
        shown = await arm.client.preview(problems[0].prompt, **arm.options)
        previews[arm.name] = shown
        kinds[arm.name] = arm.kind or shown.mode
    _check_likes(arms)
    extra = equal_tokens(arms, kinds) if terms.equal_tokens else None
    if extra is not None:
        plain = next(arm for arm in arms if kinds[arm.name] == "plain")
        previews[extra.name], kinds[extra.name] = previews[plain.name], "vote"
        arms = (*arms, extra)
    for arm in tuple(arms) if terms.probe else ():
        if kinds[arm.name] in ("trained", "prompted"):
            for one in probes_of(arm):
                previews[one.name], kinds[one.name] = previews[arm.name], "probe"
                arms = (*arms, one)
    return Design(
        problems=tuple(problems),
        arms=tuple(arms),
        repeats=terms.repeats,
        seed=terms.seed,
        kinds=kinds,
        previews=previews,
        of={arm.name: _of_arm(arm, previews[arm.name], kinds[arm.name]) for arm in arms},
    )


def _check(problems: Sequence[Problem]) -> None:
    if not problems:
        raise ConfigurationError("There are no problems.", hint="Load some: problems.load(...).")
    for problem in problems:
        if not isinstance(problem, Problem):
            raise ConfigurationError(
                f"A {type(problem).__name__} is no problem.",
                hint="Make Problem(id=, prompt=, gold=), or load them: problems.load(rows).",
            )
    unique(problems)


def _check_likes(arms: Sequence[Arm]) -> None:
    names = {arm.name for arm in arms}
    for arm in arms:
        if arm.like and arm.like not in names:
            raise ConfigurationError(
                f"Arm {arm.name!r} is like {arm.like!r}, and there is no such arm.",
                hint=f"One of {', '.join(sorted(names))}.",
            )


def seed_of(problem: Problem, repeat: int, seed: int) -> int:
    """The seed of an answer: the same for all arms, so that what they share they share."""
    return int(fingerprint([seed, problem.id, repeat])[:7], 16)


def fingerprint(value: Any) -> str:
    """Hexadecimal digits that are the same for equal JSON values."""
    text = json.dumps(value, sort_keys=True, default=_said, ensure_ascii=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _said(value: object) -> str:
    """What something says of itself, without where it lies in memory."""
    return _ADDRESS.sub("", repr(value))


def _of_problem(problem: Problem) -> list[Any]:
    return [problem.id, problem.prompt, list(problem.choices)]


def _of_arm(arm: Arm, preview: Preview, kind: ArmKind) -> str:
    """Everything that shapes an answer, but for the question and the seed."""
    system = [m.text for m in preview.request.messages if m.role == "system"]
    request = asdict(replace(preview.request, messages=(), seed=None))
    options = {k: _said(v) for k, v in arm.options.items() if k != "scopes"}
    said = [preview.model, preview.mode, preview.dialect, kind, arm.like, _said(arm.probe)]
    judged = [_said(v) for v in preview.verifiers]
    return fingerprint([said, system, request, options, _said(preview.policy), judged])
