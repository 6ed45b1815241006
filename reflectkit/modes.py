"""What a mode adds to a request and how it has the response read: data from the model's profile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from .models import Profile, profile_for
from .protocol import DIALECTS, Dialect
from .protocol.prompts import PROMPTED
from .reading import Reading
from .reply import IssueKind, Mode

__all__ = ["ModeChoice", "Setup", "mode_for", "setup"]

ModeChoice = Literal["auto", "trained", "prompted", "plain"]

#: Nobody asked for sections in plain mode, so their absence is no departure.
_NOT_ASKED: frozenset[IssueKind] = frozenset({"missing_thinking", "missing_output"})

#: Template switches that turn thinking off when they are False.
_SWITCHES = ("enable_thinking", "thinking")

#: How an unknown model is read when it was asked for nothing: by the most common tag.
_PLAIN_DIALECT = "think"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """A mode, applied to a model. ``faults`` are what is known to be wrong with the model."""

    mode: Mode
    reading: Reading
    system: str = field(default="", repr=False)
    suffix: str = ""
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    profile: Profile


def mode_for(choice: ModeChoice, profile: Profile) -> Mode:
    """``auto``: trained if the model learnt to mark its thinking, otherwise prompted, if it can."""
    if choice != "auto":
        return choice
    if profile.trained:
        return "trained"
    return "prompted" if profile.promptable else "plain"


def setup(
    model: str,
    choice: ModeChoice = "auto",
    dialect: str | Dialect | None = None,
    *,
    variant: str = "v1",
    prefilled: bool | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Setup:
    """What ``choice`` means for ``model``; ``dialect`` and ``prefilled`` override how it is read.

    ``variant`` names the prompt of prompted mode, a key of ``protocol.PROMPTED``. ``extra`` are the
    caller's wire fields: one that switches thinking off also means that no tag was prefilled.
    """
    profile = profile_for(model)
    mode = mode_for(choice, profile)
    system, suffix = _asked(mode, profile, variant)
    return Setup(
        mode=mode,
        reading=replace(
            _reading(mode, profile, dialect),
            prefilled=_prefilled(profile, extra or {}) if prefilled is None else prefilled,
        ),
        system=system,
        suffix=suffix,
        temperature=profile.temperature,
        top_p=profile.top_p,
        max_tokens=profile.max_tokens,
        stop=profile.stop,
        extra=profile.extra,
        profile=profile,
    )


def _asked(mode: Mode, profile: Profile, variant: str) -> tuple[str, str]:
    """The system text and the suffix of a mode."""
    texts = {
        "trained": (profile.system, profile.suffix),
        "prompted": (PROMPTED[variant].text, ""),
        "plain": ("", ""),
    }
    return texts[mode]


def _reading(mode: Mode, profile: Profile, dialect: str | Dialect | None) -> Reading:
    chosen = dialect if dialect is not None else _dialect(mode, profile)
    return Reading(
        dialect=chosen,
        scan=mode == "prompted" or chosen == "reflection",
        recover=mode == "trained" and profile.recover and chosen == "reflection",
        expected=_NOT_ASKED if mode == "plain" and profile.dialect == "reflection" else frozenset(),
    )


def _prefilled(profile: Profile, extra: Mapping[str, Any]) -> bool:
    """Whether the prompt ends with the opening tag, from the request that is really sent."""
    switches = extra.get("chat_template_kwargs") or {}
    off = any(switches.get(name) is False for name in _SWITCHES)
    return profile.prefilled and not off


def _dialect(mode: Mode, profile: Profile) -> str | Dialect:
    if mode == "prompted":
        return _with_own_thinking(PROMPTED["v1"].dialect, profile)
    return profile.dialect if profile.trained or mode == "trained" else _PLAIN_DIALECT


def _with_own_thinking(name: str, profile: Profile) -> str | Dialect:
    """The prompted dialect; of a model that thinks in its own tags by itself, those tags too."""
    asked, own = DIALECTS[name], DIALECTS[profile.dialect]
    if not profile.trained or own is asked or own.match != asked.match:
        return name
    mine, its = asked.sections["thinking"], own.sections["thinking"]
    sections: dict[str, Any] = dict(asked.sections.items())
    sections["thinking"] = {"open": [*mine.open, *its.open], "close": [*mine.close, *its.close]}
    return Dialect(name, sections, asked.match, required=asked.required)
