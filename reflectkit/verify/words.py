"""Counts: a letter in a word, as models like to get wrong, and words, sentences and lines."""

from __future__ import annotations

import re
from typing import ClassVar, Final, Literal, get_args

from ..errors import ConfigurationError
from ..reply import Draft, Verdict
from ..values.numbers import read_number
from ._views import Part, checked_part, view

__all__ = ["Length", "LetterCount"]

Measure = Literal["words", "sentences", "lines", "characters"]

_QUOTES: Final = "\"'“”‘’`*"
_ASKED: Final = re.compile(
    rf"""(?:how\s+(?:many|often)|count|number\s+of)\b[^?.!\n]{{0,40}}?
    (?<![^\W\d_])[{_QUOTES}]{{0,2}}(?P<letter>[^\W\d_])[{_QUOTES}]{{0,2}}(?:['’]?s)?(?![^\W\d_])
    [^?.!\n]{{0,40}}?\b(?:in|of|within)\s+(?:the\s+)?(?:(?:word|name|string|text)\s+)?
    [{_QUOTES}]{{0,2}}(?P<word>[^\W\d_]{{2,}})""",
    re.VERBOSE | re.IGNORECASE,
)
_ENDS: Final = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s|$)")
_WORD: Final = re.compile(r"\w+(?:['’.-]\w+)*")


class LetterCount:
    """The number in the answer is how often ``letter`` stands in ``word``, in either case.

    Without arguments both are read from the question (``How many r in strawberry?``); where that
    asks for no such count, or the answer has no number, the verdict is unknown.
    """

    inline: ClassVar = True

    def __init__(
        self,
        word: str | None = None,
        letter: str | None = None,
        *,
        section: Part = "output",
        name: str = "letter_count",
    ) -> None:
        if (word is None) != (letter is None) or (letter is not None and len(letter) != 1):
            raise ConfigurationError(
                "A count needs a word and one letter.",
                hint="Pass both, or neither to have them read from the question.",
            )
        self.name = name
        self._asked = (word, letter) if word is not None and letter is not None else None
        self._section = checked_part(section)

    def __repr__(self) -> str:
        return f"LetterCount{self._asked or '()'}"

    def __call__(self, draft: Draft, /) -> Verdict:
        asked = self._asked or _asked(draft.question)
        if asked is None:
            return self._unknown("The question does not ask for the number of a letter.")
        word, letter = asked
        shown = view(draft.transcript, self._section)
        number = read_number(shown.text)
        if number is None:
            return self._unknown("There is no number in the answer.")
        count = word.lower().count(letter.lower())
        start, end = shown.span(number.start, number.end)
        stands = f"{letter} stands {_times(count)} in {word} ({_spelt(word, letter)})"
        said = f"{stands}, not {number.value}."
        return Verdict(
            ok=number.value == count,
            feedback="" if number.value == count else said,
            name=self.name,
            start=start,
            end=end,
            value=count,
        )

    def _unknown(self, why: str) -> Verdict:
        return Verdict(ok=None, feedback=why, name=self.name)


def _asked(question: str) -> tuple[str, str] | None:
    found = _ASKED.search(question)
    return (found["word"], found["letter"]) if found else None


def _times(count: int) -> str:
    return {0: "nowhere", 1: "once", 2: "twice"}.get(count, f"{count} times")


def _spelt(word: str, letter: str) -> str:
    """``s t R a w b e R R y``: the counted ones large."""
    if len(word) > 40:
        return f"{len(word)} letters"
    return " ".join(c.upper() if c.lower() == letter.lower() else c.lower() for c in word)


class Length:
    """The section has at least and at most so many words, sentences, lines or characters.

    A line counts if it is not blank; a sentence ends with ``.``, ``!``, ``?`` or ``…`` before a
    blank, and what stands behind the last of them is one more. The verdict's value is the count.
    """

    inline: ClassVar = True

    def __init__(
        self,
        measure: Measure = "words",
        *,
        at_least: int = 0,
        at_most: int | None = None,
        section: Part = "output",
        name: str = "length",
    ) -> None:
        if measure not in get_args(Measure):
            raise ConfigurationError(
                f"{measure!r} is nothing to count.", hint=f"One of {', '.join(get_args(Measure))}."
            )
        if at_least < 0 or (at_most is not None and at_most < at_least):
            raise ConfigurationError(
                f"No text has between {at_least} and {at_most} {measure}.",
                hint="Give at_least from 0 up, and at_most not below it.",
            )
        self.name = name
        self._measure, self._least, self._most = measure, at_least, at_most
        self._section = checked_part(section)

    def __repr__(self) -> str:
        return f"Length({self._measure!r}, at_least={self._least}, at_most={self._most})"

    def __call__(self, draft: Draft, /) -> Verdict:
        count = _count(view(draft.transcript, self._section).text, self._measure)
        few, many = count < self._least, self._most is not None and count > self._most
        bound = f"at least {self._least}" if few else f"at most {self._most}"
        said = f"The {self._section} has {count} {self._measure}; it must have {bound}."
        return Verdict(
            ok=not (few or many), feedback=said if few or many else "", name=self.name, value=count
        )


def _count(text: str, measure: Measure) -> int:
    if measure == "words":
        return len(_WORD.findall(text))
    if measure == "lines":
        return sum(1 for line in text.splitlines() if line.strip())
    if measure == "characters":
        return len(text)
    ends = list(_ENDS.finditer(text))
    rest = text[ends[-1].end() :] if ends else text
    return len(ends) + bool(_WORD.search(rest))
