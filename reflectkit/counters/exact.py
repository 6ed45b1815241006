"""Counts as a model's own tokenizer does: the pieces by its pattern, the merges by tiktoken.

tiktoken alone would do both, but its matcher gives up on long runs of blanks, with a panic; so the
pieces are cut here, by the ``regex`` package, which comes with tiktoken. Pieces that were counted
are remembered: texts repeat their words.
"""

from __future__ import annotations

import unicodedata
import warnings
from collections import Counter as Tally
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Final

from ..budget.learning import Prior
from ..budget.tokens import PromptCounter
from ..errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .vocabulary import Form, Split, Vocabulary

__all__ = ["ExactCounter", "Tokenizer"]

#: pieces up to this length are remembered, and so many of them
_SHORT, _KEPT = 32, 1 << 16
#: the texts' count is right: what a prompt has beside them is all there is to learn
_PRIOR: Final = Prior(mean=(1.0,), deviation=(0.002,), spread=0.002)


class Tokenizer:
    """How many tokens a text is cut into by ``vocabulary``; made once, shared by counters."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self._cuts = [_compiled(vocabulary.name, split) for split in vocabulary.splits]
        self._kept: Callable[[str], int] = lru_cache(_KEPT)(self._sized)

    def count(self, text: str) -> int:
        """The tokens of ordinary text, in which no special token is seen."""
        text = _in_form(self.vocabulary.form, _repaired(text))
        pieces: Iterable[str] = (text,)
        for cut in self._cuts:
            pieces = [part for piece in pieces for part in cut(piece)]
        return sum(
            times * (self._kept if len(piece) <= _SHORT else self._sized)(piece)
            for piece, times in Tally(pieces).items()
            if piece
        )

    def count_emitted(self, text: str) -> int:
        """The tokens of what a model emits, special tokens among them."""
        if not self._tags:
            return self.count(text)
        parts = self._tags.split(text)
        return sum(map(self.count, parts)) + len(parts) - 1

    def _sized(self, piece: str) -> int:
        if self.vocabulary.whole and piece.encode() in self.vocabulary.whole:
            return 1
        return len(self._merges.encode_ordinary(piece))

    @cached_property
    def _merges(self) -> Any:
        from tiktoken import Encoding

        return Encoding(
            self.vocabulary.name,
            pat_str=r"[\s\S]+",
            mergeable_ranks=dict(self.vocabulary.ranks),
            special_tokens={},
        )

    @cached_property
    def _tags(self) -> Any:
        """Matches special tokens, the longest first; None where there are none."""
        import regex

        tags = sorted(self.vocabulary.specials, key=len, reverse=True)
        spelt = [_spelt(regex.escape(t), self.vocabulary.strips.get(t, "")) for t in tags]
        return regex.compile("|".join(spelt)) if spelt else None


class ExactCounter(PromptCounter):
    """Counts with the model's own vocabulary; ``state``: what was learnt, from ``state()``.

    Texts are counted to the token. A prompt is its texts and what the chat template adds, which
    is learnt. Half a surrogate pair counts as the replacement character that it is sent as.
    Characters that Unicode added after a tokenizer was written may be cut differently there.
    """

    exact = True

    def __init__(self, tokenizer: Tokenizer, *, state: Mapping[str, Any] | None = None) -> None:
        super().__init__(_PRIOR, state)
        self.tokenizer = tokenizer

    def __repr__(self) -> str:
        return f"ExactCounter({self.tokenizer.vocabulary.name!r})"

    def count(self, text: str, /, *, special: bool = False) -> int:
        """The tokens of ``text``. ``special``: the protocol's tags may be tokens of their own."""
        return self.tokenizer.count_emitted(text) if special else self.tokenizer.count(text)

    def upper(self, text: str, /, *, special: bool = False) -> int:
        """The count itself."""
        return self.count(text, special=special)

    def learn(self, text: str, tokens: int, /) -> None:
        """Nothing is to be learnt from a text."""

    def _measure(self, text: str, special: bool) -> Sequence[float]:
        return (float(self.count(text, special=special)),)


def _compiled(name: str, split: Split) -> Callable[[str], list[str]]:
    """The pieces of a text: what the pattern matches and, unless dropped, what lies between."""
    import regex

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of sets that mean more in Python
            pattern = regex.compile(split.pattern)
    except regex.error as error:
        raise ConfigurationError(
            f"The pattern of the vocabulary {name} cannot be read: {error}."
        ) from error

    def cut(text: str) -> list[str]:
        pieces, at = [], 0
        for match in pattern.finditer(text):
            start, end = match.span()
            if start > at and not split.drops:
                pieces.append(text[at:start])
            pieces.append(text[start:end])
            at = end
        if at < len(text) and not split.drops:
            pieces.append(text[at:])
        return pieces

    return cut


def _spelt(tag: str, flags: str) -> str:
    tag = rf"(?<!\w){tag}(?!\w)" if "w" in flags else tag
    return r"\s*" * ("l" in flags) + tag + r"\s*" * ("r" in flags)


def _in_form(form: Form, text: str) -> str:
    return unicodedata.normalize(form, text) if form else text


def _repaired(text: str) -> str:
    """``text`` with halves of surrogate pairs joined or replaced, as tiktoken does."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
