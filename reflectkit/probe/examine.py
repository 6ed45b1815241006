"""``doctor``: asks a live endpoint, and says in plain words what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from ..backends._remote import Exchange, RemoteBackend
from ..backends.anthropic import AnthropicBackend
from ..backends.openai import OpenAIBackend, Timeouts
from ..errors import BackendError, BackendStatus, BackendWireError, ConfigurationError
from ..models import PROFILES, Profile, profile_for
from .checks import check, text_tokens
from .findings import Finding, Severity
from .limits import context_of
from .observations import Observations
from .questions import Question, prompt_for, questions

__all__ = ["Examination", "doctor"]

#: questions without an answer after which no more are asked
_ENOUGH: Final = 4
_HINTS: Final[Mapping[int, str]] = dict.fromkeys(
    (404, 405),
    "There is no such chat API: see its address and its model's name; api= (--api) says what it "
    "speaks.",
)
_BACKENDS: Final[Mapping[str, type[OpenAIBackend] | type[AnthropicBackend]]] = {
    "openai": OpenAIBackend,
    "anthropic": AnthropicBackend,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What was found at an endpoint.

    ``findings``: what is wrong or different, in the order of importance. ``undecided``: what could
    not be told from here, and why. ``requests`` were made. ``seen``: everything that came.
    """

    url: str
    model: str
    kind: str
    profile: str
    findings: tuple[Finding, ...] = ()
    undecided: tuple[str, ...] = ()
    requests: int = 0
    seen: Observations | None = field(default=None, repr=False, compare=False)

    @property
    def sound(self) -> bool:
        """Nothing is broken or degraded; notes are no faults."""
        return not self.of("broken") and not self.of("degraded")

    def of(self, severity: Severity) -> tuple[Finding, ...]:
        """The findings of one severity."""
        return tuple(f for f in self.findings if f.severity == severity)

    def as_dict(self) -> dict[str, Any]:
        """For JSON: everything but what was seen."""
        rows = [
            {**asdict(f), "severity": f.severity, "meaning": f.meaning, "remedy": f.remedy}
            for f in self.findings
        ]
        return {
            "url": self.url,
            "model": self.model,
            "kind": self.kind,
            "profile": self.profile,
            "sound": self.sound,
            "findings": rows,
            "undecided": list(self.undecided),
            "requests": self.requests,
            "quick": bool(self.seen and self.seen.quick),
        }

    def __str__(self) -> str:
        from .report import report

        return report(self)


async def doctor(
    endpoint: str | OpenAIBackend | AnthropicBackend,
    *,
    api: Literal["openai", "anthropic"] = "openai",
    model: str = "",
    api_key: str | None = None,
    profile: str | Profile | None = None,
    timeouts: Timeouts | float | None = None,
    headers: Mapping[str, str] | None = None,
    extra: Mapping[str, Any] | None = None,
    quick: bool = False,
    progress: Callable[[str], object] | None = None,
) -> Examination:
    """Examine the server at this address, or behind this backend.

    ``api``: what it speaks; of Ollama, OpenAI's API is asked.

    It asks about thirty small questions, one after the other; four or five are answered in full,
    the others with a few tokens. ``quick`` asks for one or two answers, and looks at prompts and
    tokens alone. A question that fails costs only what it would have told: see
    ``Examination.undecided``. ``model``: one of the server's; it may be left out where there is
    one. ``profile``: what the model should be, where its name does not say so. ``progress`` is told
    what each question is about. ``timeouts``: seconds for a question, or ``Timeouts``. Other
    arguments as in ``OpenAIBackend``; a backend is used as it is, and stays open.

    Raises ``BackendUnreachable`` and ``BackendTimeout``, ``BackendStatus`` when the server refuses
    the first question (its key, its model), ``BackendWireError`` when it is no chat server, and
    ``ConfigurationError``.
    """
    expected = _profile(profile)
    if not isinstance(endpoint, str):
        if api_key or headers or timeouts is not None:
            raise ConfigurationError(
                "A backend has its own key, headers and time-outs.",
                hint="Give them to the backend, or give doctor an address.",
            )
        name = model or await endpoint.resolve()
        spoken = "anthropic" if isinstance(endpoint, AnthropicBackend) else "openai"
        seen = _unseen(name, expected or profile_for(name), spoken, quick)
        return await _examine(endpoint, seen, extra, progress)
    if api not in _BACKENDS:
        raise ConfigurationError(
            f"There is no api {api!r} to ask over.", hint=f"One of {', '.join(_BACKENDS)}."
        )
    async with _BACKENDS[api](
        _without_ollamas_own(endpoint),
        model=model,
        api_key=api_key,
        timeout=timeouts,
        headers=headers,
    ) as backend:
        name = await backend.resolve()
        seen = _unseen(name, expected or profile_for(name), api, quick)
        return await _examine(backend, seen, extra, progress)


def _without_ollamas_own(address: str) -> str:
    """Ollama has OpenAI's API beside its own."""
    bare = address.rstrip("/").removesuffix("/chat")
    return f"{bare.removesuffix('/api')}/v1" if bare.endswith("/api") else address


def _unseen(model: str, profile: Profile, api: str, quick: bool) -> Observations:
    system, prompt = prompt_for(profile)
    return Observations(
        profile=profile, model=model, api=api, system=system, prompt=prompt, quick=quick
    )


async def _examine(
    backend: RemoteBackend,
    seen: Observations,
    extra: Mapping[str, Any] | None,
    progress: Callable[[str], object] | None,
) -> Examination:
    host = urlsplit(backend.provider).hostname or ""
    flow = questions(seen, host=host, extra=extra)
    try:
        question = next(flow)
        while True:
            if progress:
                progress(question.about)
            seen.requests += 1
            question = flow.send(await _asked(backend, question))
            if len(seen.unanswered) >= _ENOUGH:
                seen.unanswered["everything else"] = "the server answers no more"
                break
    except StopIteration:
        pass
    flow.close()
    _raise_for(seen, backend.provider)
    return examined(seen, backend.provider)


def examined(seen: Observations, url: str = "") -> Examination:
    """What follows from ``seen``, which may be of another day."""
    order = {"broken": 0, "degraded": 1, "note": 2}
    return Examination(
        url=url,
        model=seen.model,
        kind=seen.kind,
        profile=seen.profile.name,
        findings=tuple(sorted(check(seen), key=lambda f: order[f.severity])),
        undecided=tuple(_undecided(seen)),
        requests=seen.requests,
        seen=seen,
    )


async def _asked(backend: RemoteBackend, question: Question) -> Exchange:
    """What came; for most questions that may be nothing (status 0), and why."""
    try:
        return await backend.exchange(question.path, question.fields, most=question.most)
    except BackendError as error:
        if question.vital:
            raise
        return Exchange(0, "", error.message)


def _profile(profile: str | Profile | None) -> Profile | None:
    if profile is None or isinstance(profile, Profile):
        return profile
    for known in PROFILES:
        if known.name == profile:
            return known
    names = ", ".join(p.name for p in PROFILES if p.trained)
    raise ConfigurationError(f"There is no profile {profile!r}.", hint=f"Among them: {names}.")


def _raise_for(seen: Observations, url: str) -> None:
    talk = seen.talk
    if talk.status != 200:
        raise BackendStatus(
            f"{url} answered {talk.status}: {talk.fault}",
            hint=_HINTS.get(talk.status, "See its key, its model's name, and its words."),
            status=talk.status,
        )
    if talk.fault:
        raise BackendWireError(talk.fault, hint="Is base_url the address of a chat API?")


def _undecided(seen: Observations) -> list[str]:
    special = seen.profile.tags == "special"
    tagless = any(f.id == "no-protocol" for f in check(seen))
    gaps = {
        "the rest of an answer that did not end: it was asked once": not seen.talk.whole,
        "what the server does with a request, and how long answers may be: asked for quickly": (
            seen.quick
        ),
        "the prompt's layout: no route of this server shows it": seen.rendered is None,
        "the tags' tokens: no route of this server tokenizes": special and not seen.tag_ids,
        "whether tags were taken out or never written: the server does not count tokens": (
            tagless and (text_tokens(seen) is None or seen.talk.usage is None)
        ),
        "the context: the server does not state it": context_of(seen) is None,
        "whether the same question gets the same answer: no temperature is taken": (
            "temperature" in seen.refused
        ),
        "whether the weights are those of the name, and their precision: not from outside": True,
    }
    words = [words for words, open_ in gaps.items() if open_]
    failed = [f"{about}: nothing came ({_line(why)})" for about, why in seen.unanswered.items()]
    return [*failed, *words]


def _line(words: str, size: int = 120) -> str:
    line = " ".join(words.split())
    return line if len(line) <= size else f"{line[:size]}…"
