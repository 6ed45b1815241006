"""What is asked of an endpoint, as a generator: it yields questions and is sent what came.

It knows no socket, so a recorded examination can be run again.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..backends._kinds import KINDS, UNKNOWN, ServerKind, recognised
from ..backends._remote import Exchange
from ..backends._retry import is_safe_status
from ..backends._wire import CONTINUES
from ..models import Profile
from .limits import named_context, stated_context
from .observations import Answer, Observations, answer_of, as_json

__all__ = ["Question", "questions"]

Asking = Generator["Question", Exchange, None]
_Reading = Generator["Question", Exchange, Answer]
_Looking = Generator["Question", Exchange, Exchange]

#: an answer that is longer than this many bytes of a stream has not stopped by itself
_LONGEST: Final = 600_000
#: enough of a stream to see that it began, and enough for some hundred tokens
_BEGINNING: Final = 4_000
_SOME: Final = 100_000
#: an answer of some hundred tokens, from any model
COUNTING: Final = "Write the numbers from 1 to 150, with commas between them."
#: tokens left for prompt and template when an answer may fill the context
_MARGIN: Final = 512
#: the cap of the published evaluation
_EVALUATION: Final = 6000
PROMPT: Final = "What is 2 + 3?"
_CAP: Final = 6
_TAGS: Final = (
    "<thinking>",
    "</thinking>",
    "<reflection>",
    "</reflection>",
    "<output>",
    "</output>",
)


@dataclass(frozen=True, slots=True)
class Question:
    """One exchange to make: GET, or POST with ``fields``. ``about``: what it is for.

    ``most``: bytes to read. ``vital``: without an answer to it there is nothing to examine.
    """

    about: str
    path: str
    fields: Mapping[str, Any] | None = None
    most: int = _LONGEST
    vital: bool = False


def questions(
    seen: Observations, *, host: str = "", extra: Mapping[str, Any] | None = None
) -> Asking:
    """Fill ``seen``. The first questions decide whether the later ones make sense."""
    yield from _listing(seen, host)
    yield from _talking(seen, {**seen.profile.extra, **(extra or {})})
    if not seen.talk.sound:
        return
    if not seen.quick:
        yield from _ways(seen)
        yield from _room(seen)
    yield from _prompts(seen)


def _listing(seen: Observations, host: str) -> Asking:
    came = yield from _look(seen, Question("the list of models", "/models"))
    data: Mapping[str, Any] = as_json(came.text) if came.status == 200 else {}
    found = data.get("data")
    rows = [r for r in found if isinstance(r, Mapping)] if isinstance(found, list) else []
    seen.models = tuple(str(row.get("id", "")) for row in rows)
    seen.listed = next((row for row in rows if row.get("id") == seen.model), {})
    owners = frozenset(str(row.get("owned_by", "")) for row in rows)
    kind = recognised(host=host, owners=owners) or UNKNOWN
    seen.kind = kind.name
    if kind.name == "ollama":
        question = Question("the model's settings", "/../api/show", {"model": seen.model})
        shown = yield from _look(seen, question)
        seen.shown = as_json(shown.text) if shown.status == 200 else {}


def _talking(seen: Observations, extra: Mapping[str, Any]) -> Asking:
    """The profile's own question, without a cap."""
    seen.extra = extra
    while True:
        seen.talk = yield from _answer(seen, "an answer", _request(seen), vital=True)
        if not _learn(seen, seen.talk):
            break
    if not seen.talk.whole:
        return  # it would not end any better another time
    if not seen.quick:
        seen.again = yield from _answer(seen, "the same again", _request(seen))
    if seen.extra:
        bare = {k: v for k, v in _request(seen).items() if k not in seen.extra}
        seen.bare = yield from _answer(seen, "the same without further fields", bare)


def _learn(seen: Observations, answer: Answer) -> bool:
    """Leave out what a server refuses; True when there is another request to make now."""
    if answer.status not in (400, 422):
        return False
    left = [*seen.extra, *(f for f in ("stream_options", "temperature") if f not in seen.refused)]
    named = [f for f in left if re.search(rf"\b{re.escape(f)}\b", answer.fault)]
    out = named or list(seen.extra)
    seen.refused |= dict.fromkeys(out, answer.fault)
    seen.extra = {name: value for name, value in seen.extra.items() if name not in out}
    return bool(out)


def _ways(seen: Observations) -> Asking:
    """What the server makes of the fields of a request."""
    seen.cap = _CAP
    brief = _request(seen, max_tokens=_CAP)
    seen.capped = yield from _answer(seen, "a capped answer, in one piece", _at_once(brief))
    if seen.capped.refused and "max_completion_tokens" in seen.capped.fault:
        seen.refused["max_tokens"] = seen.capped.fault
        brief = _request(seen, max_tokens=_CAP)
        seen.capped = yield from _answer(seen, "a capped answer, in one piece", _at_once(brief))
    whole = _at_once(brief)
    seen.stop = _middle(seen.talk.text)
    if seen.stop:
        stopping = _request(seen, stop=[seen.stop], max_tokens=400)
        seen.stopped = yield from _answer(seen, "an answer with a stop string", stopping)
    warm = {} if "temperature" in seen.refused else {"temperature": 0.7}
    if seen.wire.draws:
        seen.several = yield from _answer(seen, "two answers", {**whole, **warm, "n": 2})
    field = {**whole, "reflectkit_unknown": 1}
    seen.unknown_field = yield from _answer(seen, "a field that nobody knows", field)
    wrong = {**whole, "model": "reflectkit-no-such-model"}
    seen.wrong_model = yield from _answer(seen, "a model that does not exist", wrong)
    if warm and seen.wire.draws and _kind(seen).seeds:
        drawn = _at_once(_request(seen, max_tokens=24, temperature=1.0, seed=7))
        one = yield from _answer(seen, "an answer with a seed", drawn)
        two = yield from _answer(seen, "the same seed again", drawn)
        seen.seeded = (one, two)
    yield from _continuing(seen, _kind(seen))


def _room(seen: Observations) -> Asking:
    """How long an answer may be: by itself, by the listing's word, and by the model's need."""
    counting = {**_request(seen), "messages": _turns(seen.system, COUNTING)}
    seen.long = yield from _answer(seen, "a longer answer", counting, most=_SOME)
    context = stated_context(seen) or seen.profile.context
    if context <= 2 * _MARGIN:
        return
    seen.room = context - _MARGIN
    brief = {**_request(seen, max_tokens=seen.room), "messages": _turns("", "Hi")}
    about = "an answer that may fill the context"
    seen.filled = yield from _answer(seen, about, brief, most=_BEGINNING)
    if seen.filled.refused and not named_context(seen.filled.fault):
        size = min(_EVALUATION, seen.room)
        brief = {**_request(seen, max_tokens=size), "messages": _turns("", "Hi")}
        about = "an answer as long as reflection needs"
        seen.needed = yield from _answer(seen, about, brief, most=_BEGINNING)


def _continuing(seen: Observations, kind: ServerKind) -> Asking:
    """The first part of the answer, whose rest is known: the question is the same."""
    if kind.continues == "no" and kind is not UNKNOWN:
        return
    seen.prefix = _half(seen.talk.text)
    if not seen.prefix:
        return
    answered = {"role": "assistant", "content": seen.prefix}
    turns = [*_turns(seen.system, seen.prompt), answered]
    flags = {} if kind.continues == "trailing" else CONTINUES
    fields = {**_request(seen, max_tokens=40), "messages": turns, **flags}
    seen.prefixed = yield from _answer(seen, "the rest of a prefix", fields)
    if kind.continues == "trailing" and seen.prefixed.text and kind.tokenizer:
        # it repeats the prefix, so the text of a new turn may look the same, and costs more
        asked = {kind.tokenizer.text: seen.prefixed.text, **kind.tokenizer.flags}
        question = Question("the tokens of the rest", f"/..{kind.tokenizer.route}", asked)
        seen.prefixed_tokens = len(_ids((yield from _look(seen, question))))


def _prompts(seen: Observations) -> Asking:
    """How the prompt is made: by the tokenizer's routes, or by counting prompt tokens."""
    tags = "".join(_TAGS)
    for name, system, prompt in (
        ("plain", "", "Hi"),
        ("system", seen.system or "Be brief and clear in what you say.", "Hi"),
        ("tags", "", f"Hi{tags}"),
    ):
        yield from _counting(seen, name, system, prompt)
    if tokenizer := _kind(seen).tokenizer:
        for tag in _TAGS:
            fields = {"model": seen.model, tokenizer.text: tag, **tokenizer.flags}
            question = Question("the tokens of a tag", f"/..{tokenizer.route}", fields)
            if ids := _ids((yield from _look(seen, question))):
                seen.tag_ids[tag] = ids
        fields = {"model": seen.model, tokenizer.text: seen.talk.text, **tokenizer.flags}
        question = Question("the tokens of the answer", f"/..{tokenizer.route}", fields)
        seen.text_tokens = len(_ids((yield from _look(seen, question)))) or None
        yield from _rendering(seen, _kind(seen))
    if seen.text_tokens is None and seen.talk.text.strip():
        yield from _counting(seen, "answer", "", f"Hi{seen.talk.text}")


def _counting(seen: Observations, name: str, system: str, prompt: str) -> Asking:
    """How many tokens a prompt is, by the usage of an answer of one token."""
    fields = {**_request(seen, max_tokens=1), "messages": _turns(system, prompt)}
    came = yield from _answer(seen, "the length of a prompt", _at_once(fields))
    if came.usage is not None and came.usage.prompt:
        seen.counts[name] = came.usage.prompt


def _rendering(seen: Observations, kind: ServerKind) -> Asking:
    """The prompt of the first question, as the model reads it."""
    routes = kind.tokenizer
    assert routes is not None
    chat = {"model": seen.model, "messages": _turns(seen.system, seen.prompt)}
    if routes.render:
        question = Question("the prompt as the model reads it", f"/..{routes.render}", chat)
        seen.rendered = _text((yield from _look(seen, question)), "prompt")
        return
    question = Question("the prompt's tokens", f"/..{routes.chat}", chat)
    if ids := _ids((yield from _look(seen, question))):
        fields = {"model": seen.model, "tokens": list(ids), "skip_special_tokens": False}
        question = Question("the prompt as the model reads it", f"/..{routes.back}", fields)
        came = yield from _look(seen, question)
        seen.rendered = _text(came, "prompt") or _text(came, "text")


# --- one question ----------------------------------------------------------------------------


def _look(seen: Observations, question: Question) -> _Looking:
    """What comes; if nothing does, that is seen as well."""
    came = yield question
    if not came.status or is_safe_status(came.status):
        said = came.text if not came.status else f"{came.status}: {came.text}"
        seen.unanswered[question.about] = said
    return came


def _answer(
    seen: Observations,
    about: str,
    fields: Mapping[str, Any],
    *,
    most: int = _LONGEST,
    vital: bool = False,
) -> _Reading:
    wire = seen.wire
    sent = {k: v for k, v in wire.fields(fields).items() if v is not None}
    came = yield from _look(seen, Question(about, wire.chat, sent, most, vital))
    found = answer_of(came.status, came.content_type, came.text, cut=came.cut, wire=wire)
    if found.status == 200 and found.fault:
        seen.unanswered[about] = found.fault
    return found


def _request(seen: Observations, **more: Any) -> dict[str, Any]:
    fields = {
        "model": seen.model,
        "messages": _turns(seen.system, seen.prompt),
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
        **seen.extra,
    }
    fields = {name: value for name, value in fields.items() if name not in seen.refused} | more
    if "max_tokens" in seen.refused and "max_tokens" in fields:
        fields["max_completion_tokens"] = fields.pop("max_tokens")
    return fields


def _at_once(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The same, in one piece."""
    return {**fields, "stream": False, "stream_options": None}


def _turns(system: str, prompt: str = PROMPT) -> list[dict[str, str]]:
    turns = [{"role": "system", "content": system}] if system else []
    return [*turns, {"role": "user", "content": prompt}]


def _kind(seen: Observations) -> ServerKind:
    return KINDS.get(seen.kind, UNKNOWN)


def _middle(text: str) -> str:
    """A word from the middle of an answer, which comes again when the question does."""
    words: Sequence[str] = [w for w in text.split() if len(w) > 1 and w.isalnum()]
    return words[len(words) // 2] if words else text.strip()[:1]


def _half(text: str) -> str:
    """A first part, ending with a line; a piece of a token cannot be gone on from."""
    at = text.find("\n", min(len(text) // 3, 60))
    return text[: at + 1] if 0 <= at < len(text) - 8 else ""


def _ids(came: Exchange) -> tuple[int, ...]:
    tokens = as_json(came.text).get("tokens") if came.status == 200 else None
    return tuple(t for t in tokens if type(t) is int) if isinstance(tokens, list) else ()


def _text(came: Exchange, name: str) -> str | None:
    value = as_json(came.text).get(name) if came.status == 200 else None
    return value if isinstance(value, str) else None


def prompt_for(profile: Profile) -> tuple[str, str]:
    """System text and prompt of the first question."""
    return profile.system, PROMPT + profile.suffix
