"""What the benchmark of policies measures: settings of the embedded models, and the arms.

The exact verifier knows the answer, as a test suite or a database would. It says ``by="rule"``:
outside a comparison an oracle is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from reflectkit import Draft, Verdict
from reflectkit.correction import (
    Correct,
    GuardedReflection,
    Policy,
    Redraw,
    Restart,
    Revise,
    SelfRevise,
    Vote,
    conclude,
    single,
)
from reflectkit.correction.judged import best_of_all, is_accepted
from reflectkit.correction.policy import Flow
from reflectkit.messages import Message, Request
from reflectkit.verify import Steps

SIZES = {"arithmetic-1-2": (1, 2, 2, 2), "arithmetic-3-4": (3, 4)}
TASKS = (*SIZES, "letters", "words", "objects")
FIRST = "one draft"
VOTES = ("vote of 3", "vote of 5")
HOT = 1.5


@dataclass(frozen=True)
class Setting:
    """Weights, how they are asked, and how hot they are sampled."""

    weights: str
    way: str
    temperature: float

    def __str__(self) -> str:
        return f"{self.weights}, {self.way}, T {self.temperature}"

    @property
    def mode(self) -> Literal["plain", "trained"]:
        """The client's mode: the trained one has the system text that each of the weights knows."""
        return "plain" if self.way == "at once" else "trained"


SETTINGS = (
    Setting("base", "at once", 0.7),
    Setting("reflect", "reflecting", 0.7),
    Setting("base", "thinking", 0.7),
    Setting("reflect", "reflecting", 1.5),
    Setting("base", "thinking", 1.5),
)
#: One draft leaves room here, and slips are random: in other settings drafts repeat each other.
ROOMY = SETTINGS[-1]


class Exact:
    """Knows the answer, and does not say it."""

    inline = True
    name = "exact"

    def __init__(self, answer: str) -> None:
        self._answer = answer

    def __call__(self, draft: Draft, /) -> Verdict:
        ok = draft.output.strip() == self._answer
        return Verdict(ok=ok, feedback="" if ok else f"{draft.output.strip()} is not right.")


class Told:
    """As ``Revise``, but in the words that the embedded models were trained on."""

    def flow(self, request: Request, /) -> Flow:
        """Ask, and say that it is wrong, up to three attempts."""
        done = [(yield request)]
        while not is_accepted(done[-1]) and len(done) < 3:
            output = done[-1].transcript.output
            told = f"Your answer {output} is wrong. Try again."
            turns = (Message("assistant", output or "(no answer)"), Message("user", told))
            done.append((yield replace(request, messages=(*request.messages, *turns))))
        best = best_of_all(done)
        return conclude(done, best, "accepted" if is_accepted(best) else "exhausted")


def arms(answer: str) -> dict[str, tuple[Policy, tuple[Any, ...]]]:
    """Every arm: a policy, and what judges its answers."""
    exact, steps = (Exact(answer),), (Steps(),)
    return {
        FIRST: (single(), ()),
        "redraw, exact": (Redraw(), exact),
        "revise, exact": (Revise(), exact),
        "restart, exact": (Restart(), exact),
        "told, exact": (Told(), exact),
        "redraw hotter, exact": (Redraw(temperature=HOT), exact),
        "default, exact": (Correct(), exact),
        "redraw, steps": (Redraw(), steps),
        "revise, steps": (Revise(), steps),
        "restart, steps": (Restart(), steps),
        "default, steps": (Correct(), steps),
        VOTES[0]: (Vote(n=3), ()),
        VOTES[1]: (Vote(n=5), ()),
        "guarded": (GuardedReflection(), ()),
        "guarded by 3": (GuardedReflection(agree=3), ()),
        "guarded, looks again": (GuardedReflection(draw=False), ()),
        "self-revise": (SelfRevise(), ()),
    }
