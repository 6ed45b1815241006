"""What is known about a model before it is asked: a value, and the search for the right one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal

__all__ = ["KEEP_TAGS", "Profile", "first_match", "spellings"]

#: vLLM and its kin: keep tags that are special tokens, and put no blanks around them.
#: (A plain dict, like every ``extra``: it ends up in requests, and those are pickled and copied.)
KEEP_TAGS: Mapping[str, Any] = {
    "skip_special_tokens": False,
    "spaces_between_special_tokens": False,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How a model wants to be asked, and how its answers are to be read.

    ``matches``: shell patterns (``*``, ``?``) for the model's id or file name, in the spelling
    that ``spellings`` gives. ``trained``: the model learnt ``dialect`` in training, so it is asked
    in its own way; otherwise the reflection protocol has to be prompted. ``promptable``: that
    works with it; a model that can only be asked plainly is not. ``system`` and ``suffix``
    are what trained mode adds to the system text and to the end of the user's message.
    ``prefilled``: its chat template ends with the opening tag, so answers begin inside thinking.
    ``temperature`` and ``top_p`` are the authors' advice (None: the server's default), as is
    ``max_tokens``. ``stop`` strings and ``stop_ids`` (token ids) end an answer. ``context``:
    tokens that prompt and answer share; 0 is unknown. ``tags``: "special" tokens (which a server
    may strip from the text), "plain" text, or "none" (the model marks nothing). ``tag_ids``: the
    special ones with their token ids; ``vocabulary``: how many tokens there are with them;
    ``layout``: how training wrote a system text and a prompt before the answer, without the token
    that begins a text ("" and 0: unknown). ``extra``: fields for the wire body. ``faults``: what
    is known to be wrong with it, for a warning. ``recover``: an answer without one tag may be read
    by its layout.
    """

    name: str
    matches: tuple[str, ...] = ()
    trained: bool = False
    promptable: bool = True
    dialect: str = "reflection"
    system: str = field(default="", repr=False)
    suffix: str = ""
    prefilled: bool = False
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    stop_ids: tuple[int, ...] = ()
    context: int = 0
    tags: Literal["special", "plain", "none"] = "plain"
    tag_ids: Mapping[str, int] = field(default_factory=dict)
    vocabulary: int = 0
    layout: str = field(default="", repr=False)
    extra: Mapping[str, Any] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    recover: bool = False


def spellings(model: str) -> tuple[str, ...]:
    """The spellings under which ``model`` is looked up, the most telling first.

    Ids come as ``org/name``, ``name:tag``, routes, paths and file names. Case, underscores, colons,
    spaces and backslashes are evened out. Of a path, a GGUF file's own name says most, then
    the last two parts, then the whole.
    """
    name = model.strip().casefold().replace("\\", "/").rstrip("/")
    for sign in "_: ":
        name = name.replace(sign, "-")
    parts = name.split("/")
    file_first = [parts[-1]] if name.endswith(".gguf") else []
    return tuple(dict.fromkeys([*file_first, "/".join(parts[-2:]), name]))


def first_match(model: str, profiles: Iterable[Profile]) -> Profile | None:
    """The first of ``profiles`` that fits ``model``; its spellings are tried in order."""
    table = tuple(profiles)
    for name in spellings(model):
        for profile in table:
            if any(fnmatchcase(name, pattern) for pattern in profile.matches):
                return profile
    return None
