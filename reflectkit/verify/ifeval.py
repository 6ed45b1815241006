"""The verifiable instructions of IFEval, as verifiers: rules in code, without downloads.

The 25 kinds of Zhou et al., "Instruction-Following Evaluation for Large Language Models" (2023).
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from ..errors import ConfigurationError
from ..reply import Verdict
from ._ifeval_checks import CHECKS, Check, Found
from ._places import in_source

if TYPE_CHECKING:
    from ..reply import Draft

__all__ = ["INSTRUCTIONS", "IFEval", "checks_for"]

#: The identifiers of the 25 kinds.
INSTRUCTIONS: Final = tuple(CHECKS)


class IFEval:
    """One instruction: ``IFEval("length_constraints:number_sentences", relation="less than",
    num_sentences=3)``. The arguments are those of the data set; None counts as not given.

    ``loose``: it is enough if the answer passes without asterisks, without its first line, its
    last, or both, as the paper's loose accuracy has it. An empty answer never passes. ``ok`` is
    None where the language of a text cannot be told.

    Raises ``ConfigurationError`` for an unknown instruction, and for arguments that it does not
    have or that are missing or of the wrong kind.
    """

    inline = True

    def __init__(self, instruction_id: str, /, *, loose: bool = False, **kwargs: Any) -> None:
        self.instruction_id = instruction_id
        self.loose = loose
        self.kwargs = {name: value for name, value in kwargs.items() if value is not None}
        self._check = _known(instruction_id)
        _fits(instruction_id, self.kwargs)

    @property
    def name(self) -> str:
        """The instruction's identifier."""
        return self.instruction_id

    def __repr__(self) -> str:
        told = "".join(f", {name}={value!r}" for name, value in self.kwargs.items())
        return f"IFEval({self.instruction_id!r}{told}{', loose=True' * self.loose})"

    def __call__(self, draft: Draft) -> Verdict:
        """Judge the answer; the place is in the transcript's source."""
        found = self.check(draft.output)
        start, end = in_source(draft, found.at)
        return Verdict(ok=found.ok, feedback=found.feedback, name=self.name, start=start, end=end)

    def check(self, text: str) -> Found:
        """The same for a plain text; ``at`` is a place in it."""
        if not text.strip():
            return Found(False, "The answer is empty.")
        found = self._check(text, **self.kwargs)
        if self.loose and found.ok is not True and self._passes_loosely(text):
            return Found(True)
        return found

    def _passes_loosely(self, text: str) -> bool:
        variants = (variant for variant in loosened(text) if variant.strip())
        return any(self._check(variant, **self.kwargs).ok for variant in variants)


def checks_for(row: Mapping[str, Any], *, loose: bool = False) -> list[IFEval]:
    """The verifiers of one row of the data set: its ``instruction_id_list`` with its ``kwargs``.

    Raises ``ConfigurationError`` for a row without them, or with too few of them.
    """
    try:
        pairs = list(zip(row["instruction_id_list"], row["kwargs"], strict=True))
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(
            "This is no row of IFEval.",
            hint="It needs instruction_id_list and kwargs, with one entry per instruction each.",
        ) from error
    return [IFEval(kind, loose=loose, **(kwargs or {})) for kind, kwargs in pairs]


def loosened(text: str) -> Iterator[str]:
    """The other seven readings of an answer that loose accuracy allows."""
    lines = text.split("\n")
    cuts = [text, *("\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1]))]
    yield from cuts[1:]
    yield from (cut.replace("*", "") for cut in cuts)


def _known(instruction_id: str) -> Check:
    if instruction_id in CHECKS:
        return CHECKS[instruction_id]
    near = get_close_matches(str(instruction_id), CHECKS, 1)
    raise ConfigurationError(
        f"IFEval has no instruction {instruction_id!r}.",
        hint=f"Did you mean {near[0]!r}?" if near else "INSTRUCTIONS lists the 25 that it has.",
    )


#: What an argument must be, by its name; the names of the data set say enough to tell.
_RELATIONS: Final = ("at least", "less than")


def _fits(instruction_id: str, kwargs: dict[str, Any]) -> None:
    names = list(inspect.signature(CHECKS[instruction_id]).parameters)[1:]
    if set(names) != set(kwargs):
        raise ConfigurationError(
            f"{instruction_id} takes {', '.join(names) or 'no arguments'}; "
            f"it was given {', '.join(sorted(kwargs)) or 'none'}.",
            hint="Pass the arguments by their names in the data set.",
        )
    for name, value in kwargs.items():
        if fault := _fault(name, value):
            raise ConfigurationError(f"{name} of {instruction_id} must be {fault}, not {value!r}.")


def _fault(name: str, value: Any) -> str:
    """What ``value`` should be, if it is not."""
    if name.endswith("relation"):
        return "" if value in _RELATIONS else " or ".join(map(repr, _RELATIONS))
    if name.endswith("frequency") or name.startswith(("num_", "nth_")):
        whole = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        return "" if whole else "a whole number from 0 up"
    if name in ("keywords", "forbidden_words"):
        texts = isinstance(value, list | tuple) and all(isinstance(v, str) and v for v in value)
        return "" if texts and value else "a list of words"
    return "" if isinstance(value, str) and value else "a text"
