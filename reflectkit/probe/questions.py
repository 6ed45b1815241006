"""What is asked of an endpoint, as a generator: it yields questions and is sent what came.

It knows no socket, so a recorded examination can be run again.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..backends._kinds import KINDS, UNKNOWN, ServerKind, recognised
from ..backends._remote import Exchange
from ..backends._wire import CONTINUES
from ..models import Profile
from .observations import Answer, Observations, answer_of, as_json

__all__ = ["Question", "questions"]

Asking = Generator["Question", Exchange, None]
_Reading = Generator["Question", Exchange, Answer]

#: an answer that is longer than this many bytes of a stream has not stopped by itself
_LONGEST: Final = 600_000
_CHAT: Final = "/chat/completions"
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
    """One exchange to make: GET, or POST with ``fields``. ``about``: what it is for."""

    about: str
    path: str
    fields: Mapping[str, Any] | None = None
    most: int = _LONGEST


def questions(
    seen: Observations, *, host: str = "", extra: Mapping[str, Any] | None = None
) -> Asking:
    """Fill ``seen``. The first questions decide whether the later ones make sense."""
    yield from _listing(seen, host)
    yield from _talking(seen, {**seen.profile.extra, **(extra or {})})
    if not seen.talk.sound:
        return
    yield from _ways(seen)
    yield from _prompts(seen)


def _listing(seen: Observations, host: str) -> Asking:
    came = yield Question("the list of models", "/models")
    data: Mapping[str, Any] = as_json(came.text) if came.status == 200 else {}
    found = data.get("data")
    rows = [r for r in found if isinstance(r, Mapping)] if isinstance(found, list) else []
    seen.models = tuple(str(row.get("id", "")) for row in rows)
    seen.listed = next((row for row in rows if row.get("id") == seen.model), {})
    owners = frozenset(str(row.get("owned_by", "")) for row in rows)
    kind = recognised(host=host, owners=owners) or UNKNOWN
    seen.kind = kind.name
    if kind.name == "ollama":
        shown = yield Question("the model's settings", "/../api/show", {"model": seen.model})
        seen.shown = as_json(shown.text)


def _talking(seen: Observations, extra: Mapping[str, Any]) -> Asking:
    """The profile's own question, without a cap."""
    bare = _request(seen)
    seen.extra = extra
    seen.talk = yield from _answer("an answer", _request(seen))
    if not seen.talk.sound and extra:  # a server may refuse the profile's fields
        seen.unknown_field, seen.extra = seen.talk, {}
        seen.talk = yield from _answer("an answer, without further fields", bare)
    if seen.talk.sound:
        seen.again = yield from _answer("the same again", _request(seen))
    if seen.talk.sound and seen.extra:
        seen.bare = yield from _answer("the same without further fields", bare)


def _ways(seen: Observations) -> Asking:
    """What the server makes of the fields of a request."""
    seen.cap = _CAP
    brief = _request(seen, max_tokens=_CAP)
    whole = {**brief, "stream": False}
    whole.pop("stream_options")
    seen.capped = yield from _answer("a capped answer, in one piece", whole)
    seen.stop = _middle(seen.talk.text)
    if seen.stop:
        stopping = _request(seen, stop=[seen.stop], max_tokens=400)
        seen.stopped = yield from _answer("an answer with a stop string", stopping)
    two = {**whole, "n": 2, "temperature": 0.7}
    seen.several = yield from _answer("two answers", two)
    if seen.unknown_field is None:
        field = {**whole, "reflectkit_unknown": 1}
        seen.unknown_field = yield from _answer("a field that nobody knows", field)
    wrong = {**whole, "model": "reflectkit-no-such-model"}
    seen.wrong_model = yield from _answer("a model that does not exist", wrong)
    yield from _continuing(seen, _kind(seen))


def _continuing(seen: Observations, kind: ServerKind) -> Asking:
    """The first part of the answer, whose rest is known: the question is the same."""
    if kind.continues != "flags":  # llama.cpp repeats the prefix, so a new turn looks the same
        return
    seen.prefix = _half(seen.talk.text)
    if not seen.prefix:
        return
    answered = {"role": "assistant", "content": seen.prefix}
    turns = [*_turns(seen.system, seen.prompt), answered]
    fields = {**_request(seen, max_tokens=40), "messages": turns, **CONTINUES}
    seen.prefixed = yield from _answer("the rest of a prefix", fields)


def _prompts(seen: Observations) -> Asking:
    """How the prompt is made: by the tokenizer's routes, or by counting prompt tokens."""
    tags = "".join(_TAGS)
    for name, system, prompt in (
        ("plain", "", "Hi"),
        ("system", seen.system or "Be brief and clear in what you say.", "Hi"),
        ("tags", "", f"Hi{tags}"),
    ):
        fields = {**_request(seen, max_tokens=1), "messages": _turns(system, prompt)}
        came = yield from _answer("the length of a prompt", {**fields, "stream": False})
        if came.usage is not None and came.usage.prompt:
            seen.counts[name] = came.usage.prompt
    if tokenizer := _kind(seen).tokenizer:
        for tag in _TAGS:
            fields = {"model": seen.model, tokenizer.text: tag, **tokenizer.flags}
            came_ = yield Question("the tokens of a tag", f"/..{tokenizer.route}", fields)
            if ids := _ids(came_):
                seen.tag_ids[tag] = ids
        fields = {"model": seen.model, tokenizer.text: seen.talk.text, **tokenizer.flags}
        came_ = yield Question("the tokens of the answer", f"/..{tokenizer.route}", fields)
        seen.text_tokens = len(_ids(came_)) or None
        yield from _rendering(seen, _kind(seen))


def _rendering(seen: Observations, kind: ServerKind) -> Asking:
    """The prompt of the first question, as the model reads it."""
    routes = kind.tokenizer
    assert routes is not None
    chat = {"model": seen.model, "messages": _turns(seen.system, seen.prompt)}
    if routes.render:
        came = yield Question("the prompt as the model reads it", f"/..{routes.render}", chat)
        seen.rendered = _text(came, "prompt")
        return
    came = yield Question("the prompt's tokens", f"/..{routes.chat}", chat)
    if ids := _ids(came):
        fields = {"model": seen.model, "tokens": list(ids), "skip_special_tokens": False}
        came = yield Question("the prompt as the model reads it", f"/..{routes.back}", fields)
        seen.rendered = _text(came, "prompt") or _text(came, "text")


# --- one question ----------------------------------------------------------------------------


def _answer(about: str, fields: Mapping[str, Any]) -> _Reading:
    came = yield Question(about, _CHAT, {k: v for k, v in fields.items() if v is not None})
    return answer_of(came.status, came.content_type, came.text, cut=came.cut)


def _request(seen: Observations, **more: Any) -> dict[str, Any]:
    return {
        "model": seen.model,
        "messages": _turns(seen.system, seen.prompt),
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
        **seen.extra,
        **more,
    }


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
    return tuple(t for t in tokens if isinstance(t, int)) if isinstance(tokens, list) else ()


def _text(came: Exchange, name: str) -> str | None:
    value = as_json(came.text).get(name) if came.status == 200 else None
    return value if isinstance(value, str) else None


def prompt_for(profile: Profile) -> tuple[str, str]:
    """System text and prompt of the first question."""
    return profile.system, PROMPT + profile.suffix
