"""From what was seen to what is wrong: pure functions, one for each question that people have."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from ..events import Kind
from ..models import Profile
from ..protocol import DIALECTS
from .findings import Finding
from .limits import context_of, limits, number
from .observations import Answer, Observations

__all__ = ["CHECKS", "check"]

Check = Callable[[Observations], Iterator[Finding]]

_BEGIN: Final = "<|begin_of_text|>"
_TURN_ENDS: Final = re.compile(
    r"<\|(?:eot_id|im_end|end_of_text|start_header_id|endoftext|end)\|>|</s>|<end_of_turn>"
)
_DATES: Final = re.compile(r"Cutting Knowledge Date|Today Date", re.IGNORECASE)
#: tokens that a prompt of one word has with the longest of ordinary templates
_ORDINARY: Final = 24
#: characters after the answer's end that are no slip
_MORE: Final = 40


def check(seen: Observations) -> tuple[Finding, ...]:
    """All findings, in the order of the table below. Empty when nothing is wrong."""
    found = [finding for look in CHECKS for finding in look(seen)]
    return tuple({f.id: replace(f, kind=seen.kind) for f in found}.values())


def _speaks(seen: Observations) -> bool:
    """A trained model of a dialect with sections of its own."""
    return seen.profile.trained and seen.profile.tags != "none"


def _marks(profile: Profile, text: str) -> bool:
    """Some marker of the dialect is in the text."""
    kinds = DIALECTS[profile.dialect].sections
    return any(
        marker in text for kind in kinds for pair in _pairs(profile, kind) for marker in pair
    )


def _pairs(profile: Profile, kind: Kind) -> Iterator[tuple[str, str]]:
    """How sections of a kind open and close, as they are spelled."""
    dialect = DIALECTS[profile.dialect]
    section = dialect.sections[kind]
    form = ("<{}>", "</{}>") if dialect.match == "xml" else ("{}", "{}")
    for opener, closer in zip(section.open, section.close, strict=False):
        yield form[0].format(opener), form[1].format(closer)


# --- the protocol --------------------------------------------------------------------------------


def protocol(seen: Observations) -> Iterator[Finding]:
    """Whether the answer is thinking and output, and if not, who took it apart."""
    talk = seen.talk
    if not talk.whole:
        return
    if not talk.text.strip() and not talk.reasoning.strip():
        yield Finding("answer-empty", f"finish {talk.finish}, and no text")
        return
    if not _speaks(seen):
        return
    if not talk.text.strip() and talk.reasoning.strip():
        yield Finding("answer-swallowed", f"content is empty, reasoning: {_short(talk.reasoning)}")
    elif talk.reasoning:
        yield Finding("split-by-server", f"{len(talk.reasoning)} characters of reasoning apart")
    elif _marks(seen.profile, talk.text):
        yield from _sections(seen)
    elif _stripped(seen):
        yield Finding("tags-stripped", _without_tags(seen))
    elif seen.profile.dialect == "reflection":
        yield Finding("no-protocol", f"no tag in: {_short(talk.text)}")
    else:
        yield Finding("thinking-absent", f"no mark of thinking in: {_short(talk.text)}")


def _sections(seen: Observations) -> Iterator[Finding]:
    talk = seen.talk
    transcript = talk.transcript(seen.profile)
    kinds = {issue.kind for issue in transcript.issues}
    if "missing_open" in kinds and not seen.profile.prefilled:
        yield Finding("opener-prefilled", f"the answer begins: {_short(talk.text)}")
    elif "missing_output" in kinds and talk.finish == "stop":
        yield Finding("output-missing", f"the answer: {_short(talk.text)}")
    bare = seen.bare
    if bare and bare.sound and bare.text.strip() and not _marks(seen.profile, bare.text):
        yield Finding("tags-need-a-field", "the same request without our fields has no tag")


def _stripped(seen: Observations) -> bool:
    """More tokens were written than the text has, or line breaks stand where tags stood."""
    usage, has = seen.talk.usage, text_tokens(seen)
    if has is not None and usage is not None and usage.exact:
        # the end of the turn is one of them
        return usage.completion - has >= 4
    return re.search(r"\n{3,}", seen.talk.text) is not None


def text_tokens(seen: Observations) -> int | None:
    """The tokens of the answer's text: by the tokenizer, or by what it adds to a prompt."""
    if seen.text_tokens is not None:
        return seen.text_tokens
    more = _counted(seen, "answer", "plain")
    return more if more and more > 0 else None


def _without_tags(seen: Observations) -> str:
    asked = seen.extra.get("skip_special_tokens") is False
    return _how_stripped(seen) + ", though skip_special_tokens: false was sent" * asked


def _how_stripped(seen: Observations) -> str:
    usage, has = seen.talk.usage, text_tokens(seen)
    if has is not None and usage:
        return f"{usage.completion} tokens were written, and the text has {has}"
    return f"line breaks where tags stood: {_short(repr(seen.talk.text))}"


# --- the tokenizer -------------------------------------------------------------------------------


def tokenizer(seen: Observations) -> Iterator[Finding]:
    """Whether each tag is one token, and the right one."""
    if seen.profile.tags != "special":
        return
    pieces = {tag: len(ids) for tag, ids in seen.tag_ids.items()}
    if pieces and max(pieces.values()) > 1:
        yield Finding("tags-spelled", ", ".join(f"{t} is {n} tokens" for t, n in pieces.items()))
    elif not pieces and (more := _counted(seen, "tags", "plain")) is not None and more > 9:
        yield Finding("tags-spelled", f"six tags are {more} tokens of a prompt")
    wanted = seen.profile.tag_ids
    single = {tag: ids[0] for tag, ids in seen.tag_ids.items() if len(ids) == 1 and tag in wanted}
    wrong = [f"{t} is {i}, not {wanted[t]}" for t, i in single.items() if i != wanted[t]]
    if wrong:
        yield Finding("tag-ids", ", ".join(wrong))
    size = number(seen.listed.get("meta"), "n_vocab")
    if size is not None and size < seen.profile.vocabulary:
        yield Finding("vocabulary", f"{size} tokens, and {seen.profile.vocabulary} are needed")


# --- the prompt ----------------------------------------------------------------------------------


def template(seen: Observations) -> Iterator[Finding]:
    """Whether the prompt is what training saw."""
    if seen.rendered is None:
        yield from _by_its_source(seen)
        yield from _by_counting(seen)
        return
    prompt = seen.rendered
    if seen.system and seen.system not in prompt:
        yield Finding("system-dropped", f"the prompt begins: {_short(prompt)}")
    if prompt.count(_BEGIN) > 1:
        yield Finding("begins-twice", f"the prompt begins: {_short(prompt)}")
    if seen.profile.layout and (dates := _dates(prompt)):
        yield Finding("template-dates", dates)
    elif seen.profile.layout:
        yield from _layout(seen, prompt)
    if _speaks(seen) and not seen.profile.prefilled and _ends_with_an_opener(seen.profile, prompt):
        yield Finding("opener-prefilled", f"the prompt ends: {prompt[-40:]!r}")


def _dates(text: str) -> str:
    found = _DATES.search(text)
    return f"in the prompt: {_short(text[found.start() :], 40)}" if found else ""


def _layout(seen: Observations, prompt: str) -> Iterator[Finding]:
    wanted = seen.profile.layout.format(system=seen.system, prompt=seen.prompt)
    got = prompt.removeprefix(_BEGIN).removeprefix(_BEGIN)
    dropped = seen.system not in prompt
    if got != wanted and not dropped and not _ends_with_an_opener(seen.profile, prompt):
        here, there = _around_difference(got, wanted)
        yield Finding("template-layout", f"{here!r}, not {there!r}")


def _around_difference(one: str, other: str, size: int = 20) -> tuple[str, str]:
    pairs = enumerate(zip(one, other, strict=False))
    at = next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))
    window = slice(max(at - size, 0), at + size)
    return one[window], other[window]


def _ends_with_an_opener(profile: Profile, prompt: str) -> bool:
    openers = [opener for opener, _ in _pairs(profile, "thinking")]
    return any(prompt.rstrip().endswith(opener) for opener in openers)


def _by_its_source(seen: Observations) -> Iterator[Finding]:
    """Ollama shows the template itself."""
    source = seen.shown.get("template")
    if not isinstance(source, str) or not source.strip():
        return
    if ".System" not in source and ".Messages" not in source:
        yield Finding("system-dropped", "the template has no place for a system text")
    if seen.profile.layout and (dates := _dates(source)):
        yield Finding("template-dates", dates)
    if _speaks(seen) and not seen.profile.prefilled and _ends_with_an_opener(seen.profile, source):
        yield Finding("opener-prefilled", f"the template ends: {source[-40:]!r}")


def _by_counting(seen: Observations) -> Iterator[Finding]:
    """Without a look at the prompt, its length tells."""
    if _counts_nothing(seen):
        return
    words = len((seen.system or "Be brief and clear in what you say.").split())
    more = _counted(seen, "system", "plain")
    # a template of its own system text may drop that one for ours
    if more is not None and more < words // 3 and seen.counts["plain"] < _ORDINARY:
        yield Finding("system-dropped", f"a system text of {words} words adds {more} tokens")
    if seen.profile.layout and seen.counts.get("plain", 0) > _ORDINARY:
        yield Finding("template-dates", f"a prompt of one word is {seen.counts['plain']} tokens")


def _counts_nothing(seen: Observations) -> bool:
    """Prompts of three lengths have one number of tokens."""
    return len(seen.counts) > 2 and len(set(seen.counts.values())) == 1


def _counted(seen: Observations, one: str, other: str) -> int | None:
    counts = seen.counts
    return counts[one] - counts[other] if one in counts and other in counts else None


# --- the end -------------------------------------------------------------------------------------


def end(seen: Observations) -> Iterator[Finding]:
    """Whether answers end where they should."""
    talk, capped = seen.talk, seen.capped
    if shown := _TURN_ENDS.search(talk.text):
        ours = shown[0] in seen.profile.stop
        yield Finding("end-token-cut" if ours else "end-token-shown", f"{shown[0]} in the text")
    if _went_on(seen):
        yield Finding("runs-on", f"after the answer: {_short(_after_the_answer(talk))}")
    elif cut := next((a for a in (talk, seen.long) if a and _is_capped(seen, a)), None):
        written = cut.usage.completion if cut.usage else len(cut.text) // 4
        yield Finding("output-cap", f"cut after {written} tokens, and no cap was sent")
    if capped and capped.sound and capped.usage and capped.usage.completion > seen.cap:
        yield Finding(
            "cap-ignored", f"{capped.usage.completion} tokens where {seen.cap} were asked for"
        )


def _is_capped(seen: Observations, answer: Answer) -> bool:
    """It was cut, and neither by us nor by the end of the context."""
    context, paid = context_of(seen), answer.usage
    full = bool(context and paid and paid.total >= context - 2)
    return answer.sound and answer.finish == "length" and not (full or seen.wire.caps)


def _went_on(seen: Observations) -> bool:
    return seen.talk.cut or (_speaks(seen) and len(_after_the_answer(seen.talk)) > _MORE)


def _after_the_answer(answer: Answer) -> str:
    tail = answer.text.partition("</output>")[2].strip()
    return tail or (answer.text[-60:] if answer.cut else "")


# --- what a server does with a request -----------------------------------------------------------


def usage(seen: Observations) -> Iterator[Finding]:
    """Whether what an answer cost is told, and can be believed."""
    talk = seen.talk
    if not talk.sound or talk.cut:
        return
    if talk.usage is None:
        whole = seen.capped
        there = ", though there is one in one piece" if whole and whole.usage else ""
        yield Finding("usage-missing", f"no usage in a stream that asked for it{there}")
        return
    if _counts_nothing(seen):
        same = next(iter(seen.counts.values()))
        yield Finding("usage-implausible", f"prompts of three lengths are all {same} tokens")
    written = len(talk.text + talk.reasoning)
    paid = talk.usage
    shown = paid.completion - (paid.thinking or 0)  # some keep their thinking to themselves
    if not paid.prompt or not paid.completion or shown > 4 * written + 16:
        yield Finding(
            "usage-implausible",
            f"{paid.prompt} + {paid.completion} tokens for an answer of {written} characters",
        )


def stream(seen: Observations) -> Iterator[Finding]:
    """Whether a stream was a stream."""
    talk = seen.talk
    if not talk.sound or talk.cut:
        return
    if not talk.reasoned:
        yield Finding("no-finish", f"no finish_reason after: {_short(talk.text[-60:])}")
    if not talk.streamed:
        yield Finding("not-streamed", "one JSON object in place of events")
    elif not talk.done:
        yield Finding("no-done", "the last event is not [DONE]")


def names(seen: Observations) -> Iterator[Finding]:
    """Whether the model that answers is the one that was asked."""
    said, asked = seen.talk.model.casefold(), seen.model.casefold()
    if said and said not in asked and asked not in said:
        yield Finding("model-substituted", f"asked {seen.model}, answered by {seen.talk.model}")
    if seen.wrong_model and seen.wrong_model.sound:
        yield Finding("any-model-name", "reflectkit-no-such-model was answered for")


def fields(seen: Observations) -> Iterator[Finding]:
    """What becomes of a request's less common fields."""
    stopped, several = seen.stopped, seen.several
    if stopped and stopped.sound and seen.stop in stopped.text:
        yield Finding("stop-left", f"the stop string {seen.stop!r} is in the answer")
    if several and (several.refused or (several.sound and several.choices < 2)):
        yield Finding("n-ignored", several.fault or f"{several.choices} answer to n: 2")
    if seen.refused:
        said = next(iter(seen.refused.values()))
        yield Finding("fields-refused", f"{', '.join(seen.refused)}: {_short(said, 120)}")
    elif seen.unknown_field and seen.unknown_field.status in (400, 422):
        yield Finding("fields-refused", seen.unknown_field.fault)
    if _differs(seen) and seen.again and "temperature" not in seen.refused:
        yield Finding("not-repeatable", f"{_short(seen.talk.text)} / {_short(seen.again.text)}")
    elif len({(a.text, a.reasoning) for a in seen.seeded if a.sound}) > 1:
        yield Finding("seed-ignored", " / ".join(_short(a.text) for a in seen.seeded))


def _differs(seen: Observations) -> bool:
    """The same question got another answer."""
    talk, again = seen.talk, seen.again
    if again is None or not again.sound:
        return False
    return (again.text, again.reasoning) != (talk.text, talk.reasoning)


def prefix(seen: Observations) -> Iterator[Finding]:
    """Whether a server of a kind that goes on from a prefix does."""
    came = seen.prefixed
    if came is None or not came.sound or _differs(seen):
        return
    if _speaks(seen) and not _marks(seen.profile, seen.prefix):
        return  # what a model makes of an answer without its tags says nothing
    text, whole = came.text.strip(), seen.talk.text
    goes_on = _alike(text, whole.removeprefix(seen.prefix).strip()) or _repeats(seen, came)
    if goes_on and seen.kind == "unknown":
        yield Finding("prefix-goes-on", f"after the first part of an answer: {_short(text)}")
    if not goes_on and _alike(text, whole.strip()) and seen.kind != "unknown":
        yield Finding("prefix-not-continued", f"it begins again: {_short(text)}")


def _repeats(seen: Observations, came: Answer) -> bool:
    """The text has the prefix as well, which was not generated again."""
    paid = came.usage.completion if came.usage else 0
    return came.text.startswith(seen.prefix) and seen.prefixed_tokens > paid + 1 > 1


def _alike(one: str, other: str, size: int = 8) -> bool:
    return bool(one) and one[:size] == other[:size]


#: Every check, in the order of the report.
CHECKS: Final[tuple[Check, ...]] = (
    protocol,
    tokenizer,
    template,
    limits,
    end,
    usage,
    stream,
    names,
    prefix,
    fields,
)


def _short(text: str, size: int = 60) -> str:
    line = " ".join(text.split())
    return line if len(line) <= size else f"{line[:size]}…"
