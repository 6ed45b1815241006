"""``doctor``: asks a live endpoint, and says in plain words what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ..backends._remote import Exchange
from ..backends.openai import OpenAIBackend, Timeouts
from ..errors import BackendStatus, BackendWireError, ConfigurationError
from ..models import PROFILES, Profile, profile_for
from .checks import check
from .findings import Finding, Severity
from .observations import Observations
from .questions import Question, prompt_for, questions

__all__ = ["Examination", "doctor"]


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
        }

    def __str__(self) -> str:
        from .report import report

        return report(self)


async def doctor(
    base_url: str,
    *,
    model: str = "",
    api_key: str | None = None,
    profile: str | Profile | None = None,
    timeouts: Timeouts | float | None = None,
    headers: Mapping[str, str] | None = None,
    extra: Mapping[str, Any] | None = None,
    progress: Callable[[str], object] | None = None,
) -> Examination:
    """Examine the OpenAI-compatible server at ``base_url``.

    It asks about twenty small questions, one after the other; two or three are answered in full,
    the others with a few tokens. ``model``: one of the server's; it may be left out where there is
    one. ``profile``: what the model should be, where its name does not say so. ``progress`` is told
    what each question is about. ``timeouts``: seconds for a question, or
    ``Timeouts``. Other arguments as in ``OpenAIBackend``.

    Raises ``BackendUnreachable`` and ``BackendTimeout``, ``BackendStatus`` when the server refuses
    the first question (its key, its model), ``BackendWireError`` when it is no chat server, and
    ``ConfigurationError``.
    """
    expected = _profile(profile)
    backend = OpenAIBackend(
        base_url, model=model, api_key=api_key, timeout=timeouts, headers=headers, retries=0
    )
    async with backend:
        name = await backend.resolve()
        known = expected or profile_for(name)
        system, prompt = prompt_for(known)
        seen = Observations(profile=known, model=name, system=system, prompt=prompt)
        host = urlsplit(base_url).hostname or ""
        flow = questions(seen, host=host, extra=extra)
        try:
            question = next(flow)
            while True:
                if progress:
                    progress(question.about)
                seen.requests += 1
                question = flow.send(await _asked(backend, question))
        except StopIteration:
            pass
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


async def _asked(backend: OpenAIBackend, question: Question) -> Exchange:
    return await backend.exchange(question.path, question.fields, most=question.most)


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
            hint="See its key, its model's name, and its words.",
            status=talk.status,
        )
    if talk.fault:
        raise BackendWireError(talk.fault, hint="Is base_url the address of a chat API?")


def _undecided(seen: Observations) -> list[str]:
    special = seen.profile.tags == "special"
    gaps = {
        "the prompt's layout: no route of this server shows it": seen.rendered is None,
        "the tags' tokens: no route of this server tokenizes": special and not seen.tag_ids,
        "the context: the server does not state it": not any(
            name in seen.listed for name in ("max_model_len", "meta", "context_length")
        )
        and not seen.shown,
        "whether the weights are those of the name, and their precision: not from outside": True,
    }
    return [words for words, open_ in gaps.items() if open_]
