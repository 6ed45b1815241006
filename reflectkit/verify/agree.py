"""Whether answers agree, compared as values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ..errors import ConfigurationError
from ..reply import Draft, Verdict
from ..values.keys import Group, tally, value_key, values_equal

__all__ = ["Agrees", "Group", "tally", "value_key", "values_equal"]


class Agrees:
    """The answer agrees with at least ``share`` of other, independent answers to the question.

    ``others``: their outputs. The verdict's score is the share that agrees. Agreement is no proof:
    the verdict is the answering model's own (``by="self"``). Without others it is unknown.
    """

    inline: ClassVar = True

    def __init__(self, others: Sequence[str], *, share: float = 0.5, name: str = "agrees") -> None:
        if isinstance(others, str) or not 0 < share <= 1:
            raise ConfigurationError(
                "Agreement needs a list of answers, and a share above 0 and up to 1.",
                hint="Pass the outputs of the other drafts.",
            )
        self.name = name
        self._share = share
        self._keys = [value_key(other) for other in others]

    def __repr__(self) -> str:
        return f"Agrees(<{len(self._keys)} answers>, share={self._share})"

    def __call__(self, draft: Draft, /) -> Verdict:
        key = value_key(draft.output)
        if key is None or not self._keys:
            why = "There is no answer to compare." if key is None else "There are no other answers."
            return Verdict(ok=None, feedback=why, by="self", name=self.name)
        same = sum(1 for other in self._keys if other == key)
        score = same / len(self._keys)
        said = f"{same} of {len(self._keys)} independent answers agree with this one."
        ok = score >= self._share
        return Verdict(
            ok=ok, feedback="" if ok else said, by="self", name=self.name, score=score, value=key
        )
