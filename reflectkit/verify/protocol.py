"""The response keeps the protocol: each departure from the grammar is a verdict, with its place."""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar, Final, get_args

from ..errors import ConfigurationError
from ..reply import Draft, Issue, IssueKind, Verdict

__all__ = ["WellFormed"]

#: What to tell the model, for each kind of departure.
ADVICE: Final[dict[IssueKind, str]] = {
    "missing_thinking": "There is no thinking section. Think inside <thinking> tags first.",
    "missing_output": "There is no answer. Put the final answer inside <output> tags.",
    "missing_open": "A section is closed that was never opened.",
    "unclosed_thinking": "The thinking section is not closed. Close it before the answer.",
    "unclosed_reflection": "A reflection is not closed.",
    "unclosed_output": "The answer is not closed.",
    "stray_close": "A closing tag closes nothing.",
    "text_outside": "There is text outside the sections. Put everything inside a section.",
    "nested_thinking": "There is a thinking section inside a thinking section.",
    "nested_reflection": "There is a reflection inside a reflection.",
    "nested_output": "There is an opening output tag inside the answer.",
    "misplaced_reflection": "A reflection stands outside the thinking section.",
    "out_of_order": "Thinking comes after the answer. Think first, then answer.",
    "multiple_thinking": "There is more than one thinking section.",
    "multiple_outputs": "There is more than one answer. Give one.",
    "truncated_tag": "The response ends in the middle of a tag.",
    "recovered": "The tags are missing; sections were found by their layout.",
    "malformed_part": "A part of the response could not be read.",
}


class WellFormed:
    """One failed verdict for each departure of the response from its dialect's grammar, or a pass.

    ``forgive``: kinds of issues that do not matter here, such as ``unclosed_output``. Advice names
    the tags of the reflection dialect; for another dialect it says what is wrong alone.
    """

    inline: ClassVar = True

    def __init__(self, *, forgive: Collection[IssueKind] = (), name: str = "well_formed") -> None:
        known: tuple[str, ...] = get_args(IssueKind)
        unknown = [str(kind) for kind in forgive if kind not in known]
        if isinstance(forgive, str) or unknown:
            raise ConfigurationError(
                f"No kind of issue is called {', '.join(sorted(map(repr, unknown)))}.",
                hint=f"Forgive a list of some of {', '.join(known)}.",
            )
        self.name = name
        self._forgiven = frozenset(forgive)

    def __repr__(self) -> str:
        return f"WellFormed(forgive={sorted(self._forgiven)})"

    def __call__(self, draft: Draft, /) -> list[Verdict]:
        issues = [i for i in draft.transcript.issues if i.kind not in self._forgiven]
        if not issues:
            return [Verdict(ok=True, name=self.name)]
        return [self._verdict(issue, draft) for issue in issues]

    def _verdict(self, issue: Issue, draft: Draft) -> Verdict:
        source = draft.transcript.source
        advice = ADVICE[issue.kind]
        if draft.transcript.dialect != "reflection":
            advice = advice.partition(". ")[0].rstrip(".") + "."
        line = source.count("\n", 0, issue.position) + 1
        return Verdict(
            ok=False,
            name=self.name,
            feedback=f"{advice} (line {line})",
            start=min(issue.position, len(source)),
            end=min(issue.position + 1, len(source)),
            value=issue,
        )
