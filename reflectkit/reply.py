"""What the caller gets: sections, transcript, verdict, attempt, reply. Values, no behaviour."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from .errors import VerificationFailed
from .events import Kind
from .messages import FinishReason, Message, Request, ToolCall, Usage, Wrap

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ANSWERED",
    "Attempt",
    "Draft",
    "Ending",
    "EnforcedBy",
    "Grant",
    "Issue",
    "IssueKind",
    "Mode",
    "Record",
    "Refusal",
    "Reply",
    "Section",
    "Status",
    "Summary",
    "Transcript",
    "Verdict",
    "VerdictBy",
    "Views",
]

IssueKind = Literal[
    "missing_thinking",
    "missing_output",
    "missing_open",
    "unclosed_thinking",
    "unclosed_reflection",
    "unclosed_output",
    "stray_close",
    "text_outside",
    "nested_thinking",
    "nested_reflection",
    "nested_output",
    "misplaced_reflection",
    "out_of_order",
    "multiple_thinking",
    "multiple_outputs",
    "truncated_tag",
    "recovered",
    "malformed_part",
]
Mode = Literal["trained", "prompted", "plain"]
#: How the answer came to its end: by itself, at the token cap, by the caller, or by a fault; where
#: its thinking was not left alone, how the answer was come by (see ``Wrap``).
Ending = Literal[
    "complete",
    "length",
    "stopped",
    "cancelled",
    "error",
    "extended",
    "closed",
    "asked",
    "salvaged",
    "unanswered",
]
#: Endings that leave a whole answer.
ANSWERED: frozenset[Ending] = frozenset({"complete", "extended", "closed", "asked", "salvaged"})
#: Who made a limit hold: the server by itself, this side, nobody. "": it was not reached.
EnforcedBy = Literal["", "server", "client", "nobody"]
#: Who judged: a rule in code, a schema, a tool that was run, a judging model, the answering model
#: itself, or somebody who knows the right answer (for comparisons alone).
VerdictBy = Literal["rule", "schema", "tool", "judge", "self", "oracle"]
Status = Literal[
    "accepted", "kept_first", "voted", "exhausted", "budget", "deadline", "cancelled", "unverified"
]


@dataclass(frozen=True, slots=True)
class Section:
    """One section. ``text`` is byte-exact, without the markup of recognised tags.

    ``start`` and ``end`` are positions in the source, markup included; ``parent`` is the index (in
    ``Transcript.sections``) of the section it stands in.
    """

    kind: Kind
    text: str
    start: int = 0
    end: int = 0
    closed: bool = True
    parent: int | None = None


@dataclass(frozen=True, slots=True)
class Issue:
    """One departure from the grammar, and the position in the source where it shows."""

    kind: IssueKind
    position: int
    detail: str = ""


def _join(texts: list[str]) -> str:
    return "\n\n".join(t for t in (text.strip() for text in texts) if t)


@dataclass(frozen=True, slots=True)
class Transcript:
    """All sections of one response, in order of opening, with the issues found.

    ``source`` is the complete text as it came; ``confidence`` is below 1 only when the sections
    were recovered from a text without tags. The views are stripped; sections are not.
    """

    sections: tuple[Section, ...] = ()
    issues: tuple[Issue, ...] = ()
    source: str = field(default="", repr=False)
    dialect: str = "reflection"
    prefilled: bool = False
    confidence: float = 1.0
    payload: Mapping[str, Any] | None = field(default=None, repr=False, compare=False)
    tool_calls: tuple[ToolCall, ...] = ()

    def of(self, kind: Kind) -> list[Section]:
        """The sections of one kind, in order of opening."""
        return [s for s in self.sections if s.kind == kind]

    @property
    def thinking(self) -> str | None:
        """All reasoning, reflections in place; None when no reasoning section occurred."""
        tops = self._reasoning()
        return _join([s.text for s in tops]) if tops or self.prefilled else None

    @property
    def thinking_source(self) -> str:
        """The source of all reasoning, its markup included: what thinking tokens are counted on."""
        return "".join(self.source[s.start : s.end] for s in self._reasoning())

    @property
    def reflections(self) -> list[str]:
        """The text of each outermost reflection, in order of opening."""
        inner = [s for s in self.of("reflection") if not self._inside(s, "reflection")]
        return [s.text.strip() for s in inner]

    @property
    def output(self) -> str:
        """The answer: output sections if one was opened, otherwise all text outside sections."""
        return _join([s.text for s in self.of("output") or self.of("outside")])

    @property
    def outside(self) -> str:
        """Text outside all sections, when an output section exists."""
        return _join([s.text for s in self.of("outside")]) if self.of("output") else ""

    @property
    def well_formed(self) -> bool:
        """No issue was found."""
        return not self.issues

    def _inside(self, section: Section, kind: Kind) -> bool:
        while section.parent is not None:
            section = self.sections[section.parent]
            if section.kind == kind:
                return True
        return False

    def _reasoning(self) -> list[Section]:
        return [s for s in self.sections if _is_reasoning(s) and not self._inside_reasoning(s)]

    def _inside_reasoning(self, section: Section) -> bool:
        return self._inside(section, "thinking") or self._inside(section, "reflection")


def _is_reasoning(section: Section) -> bool:
    return section.kind in ("thinking", "reflection")


class Views:
    """The views of a transcript, for whatever has one."""

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def transcript(self) -> Transcript:
            """All sections."""

    @property
    def output(self) -> str:
        """The answer, without any thinking."""
        return self.transcript.output

    @property
    def thinking(self) -> str | None:
        """The reasoning, reflections in place; None when there was none (or it is hidden)."""
        return self.transcript.thinking

    @property
    def reflections(self) -> list[str]:
        """The reflections, in order."""
        return self.transcript.reflections


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft(Views):
    """One response as verifiers get to see it: what was asked, and what came."""

    request: Request = field(repr=False)
    transcript: Transcript
    finish: FinishReason = "stop"
    model: str = ""

    @property
    def question(self) -> str:
        """The text of the last user turn."""
        turns = [m.text for m in self.request.messages if m.role == "user"]
        return turns[-1] if turns else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A verifier's judgement: ``ok`` is None when it could not tell.

    ``feedback``: what is wrong, in words that a model can act on. ``by``: who judged. ``start`` and
    ``end``: where it shows, as positions in the transcript's source (None: nowhere in particular).
    ``score``: how good it is, from 0 to 1, where the verifier grades. ``value``: what it read from
    the answer, such as a number or a parsed object.
    """

    ok: bool | None
    feedback: str = ""
    by: VerdictBy = "rule"
    name: str = ""
    start: int | None = None
    end: int | None = None
    score: float | None = None
    value: Any = field(default=None, compare=False)

    @property
    def fingerprint(self) -> str:
        """The same for the same complaint of the same verifier, whatever its blanks and digits."""
        words = re.sub(r"\d+", "#", " ".join(self.feedback.lower().split()))
        return f"{self.name}: {words}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What came of one limit in one attempt, in tokens (``reflections``: their number).

    ``limit``: "thinking", "output", "completion" ... ``requested``: what was asked for (None: it
    follows from other limits). ``granted``: what was left of it. ``spent``: what was used.
    ``by``: whose limit that is. ``told``: the server was told of it, in a field of its own.
    """

    limit: str
    requested: int | None = None
    granted: int | None = None
    spent: int = 0
    enforced_by: EnforcedBy = ""
    by: str = ""
    told: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One turn of the correction loop: what was asked, what came, what it cost.

    ``dialect``: how it was read, a name or a ``Dialect``. ``requests``: how many it took; a cut
    answer takes more than one. ``cut``: the limit that cut it ("" if none did). ``grants``: its
    limits, and who made them hold. ``logprobs``: of its tokens, in the server's shape, where they
    were asked for; a consumer who does not see the thinking does not see them either.
    """

    number: int
    request: Request = field(repr=False)
    transcript: Transcript
    usage: Usage = field(default_factory=Usage)
    finish: FinishReason = "stop"
    verdicts: tuple[Verdict, ...] = ()
    model: str = ""
    seconds: float = 0.0
    wrap: Wrap = ""
    requests: int = 1
    cut: str = ""
    grants: tuple[Grant, ...] = ()
    dialect: Any = field(default="reflection", repr=False, compare=False)
    logprobs: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)

    @property
    def bound_by(self) -> str:
        """The limit that ended it and whose that is, such as "thinking (client)"; "" if none."""
        if self.cut:
            return next((g.by for g in self.grants if g.limit == self.cut), self.cut)
        return next((g.by for g in self.grants if g.enforced_by), "")

    @property
    def draft(self) -> Draft:
        """What verifiers judge."""
        return Draft(
            request=self.request, transcript=self.transcript, finish=self.finish, model=self.model
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An attempt that a limit did not allow: its number, the limit, and whose that is."""

    number: int
    limit: str
    scope: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a policy was told, as it was told it: enough to decide again (``correction.trace``).

    ``request``: what it began with. ``asked``: what it asked for, by the attempts' numbers, before
    limits changed it; without those that were asked of another client. ``attempts``: as they came.
    """

    request: Request
    asked: Mapping[int, Request]
    attempts: tuple[Attempt, ...]
    refused: tuple[Refusal, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """How much reasoning there was, without a word of it.

    ``sections``: thinking sections. ``characters``: of the thinking, reflections included.
    ``tokens``: the same in tokens, where somebody counted; ``exact`` is False for an estimate.
    """

    sections: int = 0
    reflections: int = 0
    characters: int = 0
    tokens: int | None = None
    exact: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply(Views):
    """What ``Client.ask`` returns. ``summary`` is None when thinking is hidden, and ``record`` is
    unless all of it is shown."""

    transcript: Transcript
    attempts: tuple[Attempt, ...] = ()
    usage: Usage = field(default_factory=Usage)
    mode: Mode = "plain"
    model: str = ""
    ending: Ending = "complete"
    status: Status = "unverified"
    stopped_by: str = ""
    #: the number of the attempt whose answer it is, and why that one
    chosen: int = 0
    because: str = ""
    summary: Summary | None = None
    #: whose replay payload it is; see ``Message.provider``
    provider: str = ""
    record: Record | None = field(default=None, repr=False, compare=False)

    @property
    def sections(self) -> tuple[Section, ...]:
        return self.transcript.sections

    @property
    def issues(self) -> tuple[Issue, ...]:
        """Departures from the protocol; empty for a well-formed answer."""
        return self.transcript.issues

    @property
    def attempt(self) -> Attempt:
        """The attempt whose answer it is."""
        found = [a for a in self.attempts if a.number == self.chosen]
        return (found or list(self.attempts))[-1]

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """The verdicts on the answer."""
        return self.attempt.verdicts if self.attempts else ()

    @property
    def grants(self) -> tuple[Grant, ...]:
        """The limits of the answer, and who made them hold."""
        return self.attempt.grants if self.attempts else ()

    @property
    def bound_by(self) -> str:
        """The limit that ended the answer, and whose it is; see ``Attempt.bound_by``."""
        return self.attempt.bound_by if self.attempts else ""

    @property
    def value(self) -> Any:
        """What a verifier read from the answer: the object of ``output_type`` or another schema,
        else a number or the like. None if none did, or if that verifier said no."""
        read = [v for v in self.verdicts if v.by == "schema"] or self.verdicts
        found = [v.value for v in read if v.ok is not False and v.value is not None]
        return found[0] if found else None

    @property
    def message(self) -> Message:
        """The assistant turn to put into a later request: output, tool calls, replay payload."""
        return Message(
            "assistant",
            self.output,
            tool_calls=self.transcript.tool_calls,
            payload=self.transcript.payload,
            provider=self.provider,
        )

    def raise_for_verdict(self) -> Reply:
        """Return the reply itself, or raise ``VerificationFailed`` if a verdict said no."""
        failed = [v for v in self.verdicts if v.ok is False]
        if failed:
            reasons = "; ".join((v.feedback or v.name or "failed").rstrip(".") for v in failed)
            raise VerificationFailed(f"The answer was not accepted: {reasons}.", reply=self)
        return self
