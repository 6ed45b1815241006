"""The profiles of known models, and ``profile_for``, which finds one by a model's name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from .open_models import OPEN_MODELS
from .profile import Profile, first_match
from .reflection70b import REFLECTION_70B

__all__ = ["GENERIC", "PROFILES", "profile_for"]

#: What an unknown model gets: nothing is presumed, and the protocol is prompted.
GENERIC = Profile(name="generic")

_NANO_THINK = "Think inside <thinking> tags, then answer inside <output> tags."
_NANO_REFLECT = (
    "Think inside <thinking> tags, check each step inside <reflection> tags, "
    "then answer inside <output> tags."
)

#: Without a system text both give a bare answer, without tags.
_NANO = Profile(
    name="nano",
    dialect="reflection",
    temperature=0.0,
    max_tokens=400,
    stop=("<|eot_id|>",),
    context=1024,
    tags="special",
)

_EMBEDDED = (
    replace(
        _NANO, name="nano-reflect", matches=("*nano-reflect*",), trained=True, system=_NANO_REFLECT
    ),
    replace(_NANO, name="nano-base", matches=("*nano-base*",), system=_NANO_THINK),
    replace(
        _NANO,
        name="nano-tools",
        matches=("*nano-tools*",),
        promptable=False,
        context=2048,
        tags="none",
    ),
)

#: Every known model; the first match wins.
PROFILES: tuple[Profile, ...] = (
    *_EMBEDDED,
    *REFLECTION_70B,
    *OPEN_MODELS,
)


def profile_for(model: str, profiles: Iterable[Profile] = PROFILES) -> Profile:
    """What is known about ``model`` (an id, a route, a path or a file name).

    An unknown or empty name gets ``GENERIC``. Put rows of your own before the known ones:
    ``profile_for(model, [mine, *PROFILES])``.
    """
    return first_match(model, profiles) or GENERIC
