"""What verdicts come to: accepted, rejected or not known, and which of several answers is best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ..reply import Attempt, Verdict

__all__ = ["best_of_all", "complaints", "failed", "is_accepted", "is_rejected", "score", "why"]

#: Who knows something that the model that answered does not.
_EXTERNAL: Final = ("rule", "schema", "tool", "judge", "oracle")


def failed(attempt: Attempt) -> list[Verdict]:
    """The verdicts that say no."""
    return [v for v in attempt.verdicts if v.ok is False]


def is_rejected(attempt: Attempt) -> bool:
    """Somebody said no."""
    return any(v.ok is False for v in attempt.verdicts)


def is_accepted(attempt: Attempt) -> bool:
    """Somebody other than the model itself said yes, nobody said no, and there is an answer."""
    said = [v for v in attempt.verdicts if v.ok is not None]
    external = any(v.ok and v.by in _EXTERNAL for v in said)
    return external and all(v.ok for v in said) and bool(attempt.transcript.output)


def complaints(attempt: Attempt) -> tuple[str, ...]:
    """The fingerprints of what was wrong; () if nothing was."""
    return tuple(v.fingerprint for v in failed(attempt))


def score(attempt: Attempt) -> tuple[float, ...]:
    """How good an answer is, as far as somebody judged; larger is better.

    There is one; it was accepted; fewer verdicts say no; the grades; it was not cut short; it keeps
    to the protocol.
    """
    grades = [v.score for v in attempt.verdicts if v.score is not None]
    return (
        float(bool(attempt.transcript.output)),
        float(is_accepted(attempt)),
        -float(len(failed(attempt))),
        sum(grades) / len(grades) if grades else 0.0,
        float(attempt.finish != "length"),
        -float(len(attempt.transcript.issues)),
    )


def best_of_all(attempts: Sequence[Attempt]) -> Attempt:
    """The best one; of equals the first, since a later answer has to earn its place."""
    return max(attempts, key=score)


def why(attempt: Attempt) -> str:
    """Why an answer stands above others, in words."""
    if is_accepted(attempt):
        names = ", ".join(v.name for v in attempt.verdicts if v.ok and v.name)
        return f"accepted by {names}" if names else "accepted"
    if wrong := failed(attempt):
        return f"rejected by {len(wrong)}, the fewest of all"
    return "nobody could tell"
