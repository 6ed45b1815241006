"""A byte-level vocabulary as a value, and the way from a list of merges to tiktoken's ranks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Final, Literal

from ..errors import MissingCapability

__all__ = [
    "GPT2",
    "LLAMA3",
    "QWEN2",
    "Form",
    "Split",
    "Vocabulary",
    "refused",
    "spelt",
    "with_merges",
]

#: How the families cut a text into pieces before they merge; from the models' own files.
_ENDINGS: Final = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST: Final = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
GPT2: Final = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3: Final = _ENDINGS + r"\p{N}{1,3}" + _REST
QWEN2: Final = _ENDINGS + r"\p{N}" + _REST

#: Unicode's normal forms; "": a text is left as it is.
Form = Literal["", "NFC", "NFD", "NFKC", "NFKD"]

_BYTES: Final = tuple(bytes([b]) for b in range(256))


@dataclass(frozen=True, slots=True)
class Split:
    """One cut of a text: at what the pattern matches. ``drops``: what lies between is no piece."""

    pattern: str
    drops: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """What it takes to count: cuts, merges by rank, and tokens that stand for themselves.

    ``whole``: tokens that no merge leads to, for pieces that are one of them. ``specials``: tokens
    of a model's protocol; ``strips``: those that swallow the blanks on their left ("l") or right
    ("r"), or are seen as whole words alone ("w"). ``form``: the Unicode form that a text is
    brought to ("": none).
    """

    name: str
    ranks: Mapping[bytes, int] = field(repr=False)
    splits: tuple[Split, ...]
    whole: frozenset[bytes] = field(default=frozenset(), repr=False)
    specials: tuple[str, ...] = field(default=(), repr=False)
    strips: Mapping[str, str] = field(default_factory=dict, repr=False)
    form: Form = ""

    def __post_init__(self) -> None:
        missing = [b for b in _BYTES if b not in self.ranks]
        if missing:
            raise MissingCapability(
                f"The vocabulary {self.name} has no tokens for {len(missing)} of the 256 bytes.",
                capability="byte-level vocabulary",
                hint=_WAY_OUT,
            )


_WAY_OUT: Final = (
    "Count with counter_for(model), which learns, or with a counter of your own around the "
    "model's tokenizer."
)


def refused(path: Path, what: str, capability: str) -> MissingCapability:
    """The file is a tokenizer, of a kind that cannot be counted with here."""
    return MissingCapability(f"The tokenizer {path} {what}.", capability=capability, hint=_WAY_OUT)


@cache
def _alphabet() -> Mapping[str, int]:
    """The characters by which byte-level files spell bytes: visible ones stand for themselves."""
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [b for b in range(256) if b not in visible]
    spelt = {chr(b): b for b in visible}
    return spelt | {chr(256 + n): b for n, b in enumerate(hidden)}


def spelt(token: str) -> bytes | None:
    """The bytes of a token as byte-level files spell it; None if it is not spelt so."""
    alphabet = _alphabet()
    try:
        return bytes(map(alphabet.__getitem__, token))
    except KeyError:
        return None


def with_merges(
    path: Path, tokens: Iterable[str], merges: Sequence[tuple[str, str]], *, whole: bool
) -> tuple[dict[bytes, int], frozenset[bytes]]:
    """tiktoken's ranks for a list of merges, and the tokens that no merge leads to.

    tiktoken merges any neighbours whose union has a rank, a list only the pairs that it names.
    Both are the same when every token with a rank comes out of the merges of its own bytes: the
    pair that leads to it is then the only one that ever stands side by side. So the merges are
    replayed for every token, and its rank is the place of the merge that made it, whatever its id.
    Tokens that are not reached are never made; ``whole``: pieces that are one of them still count.
    """
    ranks = {b: i for i, b in enumerate(_BYTES)}
    known = {t for token in tokens if (t := spelt(token)) is not None}
    if not known.issuperset(_BYTES):
        raise refused(path, "is not byte-level: it lacks single bytes", "byte-level vocabulary")
    replay = _Replay(path, merges)
    for token in known:
        place = replay.last(token) if len(token) > 1 else None
        if place is not None:
            ranks[token] = len(_BYTES) + place
    return ranks, frozenset(known - ranks.keys()) if whole else frozenset()


class _Replay:
    """Merges as numbers: a byte is itself, a token the first place that makes it."""

    def __init__(self, path: Path, merges: Sequence[tuple[str, str]]) -> None:
        self._none = len(merges)
        self._size = len(merges) + len(_BYTES)
        self._places: dict[int, int] = {}
        self._made: list[int] = []
        numbers = {b: i for i, b in enumerate(_BYTES)}
        for place, (left, right) in enumerate(merges):
            first, second = spelt(left), spelt(right)
            if first not in numbers or second not in numbers:
                raise refused(path, f"merges what is not there: {left} {right}", "merges in order")
            made = numbers.setdefault(first + second, place + len(_BYTES))
            self._made.append(made)
            self._places.setdefault(numbers[first] * self._size + numbers[second], place)

    def last(self, token: bytes) -> int | None:
        """The place of the merge that makes ``token`` out of its bytes; None: they stay apart."""
        none, size, place_of, last = self._none, self._size, self._places.get, None
        parts = list(token)
        places = [place_of(a * size + b, none) for a, b in pairwise(parts)]
        while places:
            last = min(places)
            if last == none:
                return None
            at = places.index(last)
            parts[at : at + 2] = [self._made[last]]
            del places[at]
            for i in range(max(at - 1, 0), min(at + 1, len(places))):
                places[i] = place_of(parts[i] * size + parts[i + 1], none)
        return last
