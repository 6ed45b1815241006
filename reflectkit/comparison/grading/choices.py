"""Which choice a text picks: by its letter, or by the words of the choice.

What is announced comes first, then what is all of the text or of its last line, then what is picked
in passing and not contradicted.
"""

from __future__ import annotations

import re
from typing import Final

from ...errors import ConfigurationError
from ..records import LETTERS, Problem
from .finals import LONGEST, NEGATED, Place, last_line, places, sentence, tidied, unmarked

__all__ = ["chosen", "gold_letter", "said_choice"]

#: Characters of a line that may name a choice.
_LONGEST_LINE: Final = 1000
_EDGE: Final = r"[\s*_(\[{$\"“'`:]*"
_FIRST: Final = re.compile(
    rf"{_EDGE}(?:(?:clearly|therefore|thus|simply|definitely|most\s+likely|probably)[\s,]+)?"
    rf"(?:(?:option|choice|letter|answer)\s+)?{_EDGE}(?P<letter>[A-Z])"
    r"(?=[\s*_)\]}$\"”'`]*(?:$|[).:,;\]}—–-]|\s(?:because|since|as|for|is|which|\W)))",
    re.IGNORECASE,
)
_ALONE: Final = re.compile(
    rf"{_EDGE}(?:(?:option|choice|answer)\s+)?{_EDGE}([A-Za-z])[\s*_)\]}}$\"”'`.!]*", re.IGNORECASE
)
_HEADED: Final = re.compile(rf"{_EDGE}([A-Z])[*_]*[).:\]][*_)\]]*\s+(.+)")
_PICKED: Final = re.compile(
    r"\b(?:choose|pick|select|choosing|selecting|go(?:ing)?\s+with)\s+(?:(?:option|choice|answer|letter)\s+)?"
    r"[*_(\"“'\[]*([A-Z])(?![\w'’])"
    r"|(?:\b(?:option|choice|answer|letter)\s+)?(?<![\w'’])([A-Z])[*_)\"”'\].]*(?:\s*:[^.\n:]{1,80})?"
    r"\s+(?:is|must\s+be|would\s+be)\s+(?:therefore\s+|thus\s+)?(?:the\s+)?(?:only\s+)?(?:right|correct|best)\b"
)
_OR: Final = re.compile(
    r"^[\s*_)\]}\"”'.]*(?:or|and|&|/|,|und)\s*(?:(?:option|choice)\s+)?[\s*_(\[{\"“']*([A-Z])(?![\w'’])"
)
_NOISE: Final = re.compile(r"[\s\"'“”‘’`*_#.!?,;:()$\\{}\[\]]+")
_BUT: Final = re.compile(r"\b(?:but|it\s+is|it's|rather)\b[:,]?\s*")

# Picked in passing.
_BARE: Final = re.compile(r"\W*(?:(?i:option|choice)\s)?\(?([A-Ja-j])\)?\W*")
#: Words that announce which choice it is, the letter behind them.
_SAYS: Final = re.compile(
    r"""(?:\b(?i:answer|option|choice|choose|pick|select|correct\ one)\b
          [^\w\n]{0,4}(?:(?i:is|would\ be|must\ be|should\ be)\b)?[^\w\n]{0,4}
          (?:(?i:option|choice)\s)?
         |^\W{0,3}(?i:final\ answer)\W{0,4})
        [*_$(\[{"']{0,4}([A-J])(?![\w'’])(?!\s(?:[a-z]+\s){2})""",
    re.VERBOSE | re.MULTILINE,
)
_IS: Final = re.compile(
    r"[*_(\[]{0,3}\b([A-J])[)\]*_]{0,3}\s(?:is|would be)\s(?:the\s)?(?:right|correct|best)\b",
)
_LINE: Final = re.compile(r"^\s*[*_]{0,2}\(?([A-J])[).:][*_]{0,2}(?:\s|$)", re.MULTILINE)
_BRACKETS: Final = re.compile(r"\(([A-J])\)")
_RULED_OUT: Final = re.compile(
    r"(?:\b(?:not|isn['’]t|wasn['’]t|rule(?:d)? out|eliminate[ds]?|except|reject(?:ed)?)\b"
    r"[^\w\n]{0,3}(?:option\s|choice\s|answer\s)?\W{0,3})$",
    re.IGNORECASE,
)
#: Two choices at once.
_EITHER: Final = re.compile(r"\b[A-J]\)?,? (?:or|and|/) (?:maybe )?\(?[A-J]\b(?! is\b)")


def gold_letter(problem: Problem) -> str:
    """The right choice's letter. Raises ``ConfigurationError`` where gold names none."""
    gold = problem.gold
    if isinstance(gold, int) and not isinstance(gold, bool) and 0 <= gold < len(LETTERS):
        return LETTERS[gold]
    if isinstance(gold, str) and gold.strip().upper() in tuple(LETTERS):
        return gold.strip().upper()
    if gold in problem.choices:
        return LETTERS[problem.choices.index(gold)]
    raise ConfigurationError(
        f"Problem {problem.id!r} has no choice {gold!r}.",
        hint="gold is a letter, an index from 0, or the text of one of the choices.",
    )


def chosen(problem: Problem, text: str) -> str:
    """The letter of the choice that a finished text picks; "" where it is not plain."""
    return (
        said_choice(problem, text)
        or _unannounced(problem, tidied(text))
        or _in_passing(problem, text)
    )


def said_choice(problem: Problem, text: str) -> str:
    """The letter that is announced, boxed, or called right; "" without any of these."""
    text = tidied(text)
    marks = [(place.start, _of_place(problem, place)) for place in places(text)]
    marks += [
        (m.start(), _known(problem, m[1] or m[2]) or None)
        for m in _PICKED.finditer(text)
        if not NEGATED.search(text[max(0, m.start() - 24) : m.start()])
    ]
    marks.sort(key=lambda mark: (mark[0], mark[1] or ""))  # two may begin at one place
    told = [letter for _, letter in marks if letter is not None]
    return str(told[-1]) if told else ""


def _letters(problem: Problem) -> str:
    return LETTERS[: len(problem.choices) or None]


def _known(problem: Problem, letter: str) -> str:
    return letter.upper() if letter.upper() in _letters(problem) else ""


def _of_place(problem: Problem, place: Place) -> str | None:
    """The letter; "" where two are named or it is none of the choices; None: no choice at all."""
    line = unmarked(place.text[:_LONGEST_LINE])
    if by_text := _by_text(problem, line):  # a choice may begin with "not"
        return by_text
    said = line[_end_of_denial(line) :]
    if NEGATED.search(said[:1] and said.split(".")[0].rstrip()):
        return ""
    if by_text := _by_text(problem, said):
        return by_text
    first = _FIRST.match(said)
    if first is None or _is_article(first, said):
        return "" if NEGATED.match(said.strip()[:12]) else None
    return _lettered(problem, first["letter"], said[first.end() :])


def _end_of_denial(line: str) -> int:
    """Behind ``not A but``; 0 where nothing is denied."""
    if not re.match(r"\W*not\b", line, re.IGNORECASE):
        return 0
    but = _BUT.search(line)
    return but.end() if but else len(line)


def _is_article(first: re.Match[str], said: str) -> bool:
    """``a dog`` is no choice; a small letter counts alone or in brackets."""
    letter, rest = first["letter"], said[first.end() :]
    around = said[max(0, first.start("letter") - 1) : first.end("letter") + 1]
    if letter.isupper():
        return False
    return not (rest.strip(" .*_)!") == "" or (around[0] in "([{" and around[-1] in ")]}"))


def _lettered(problem: Problem, letter: str, rest: str) -> str:
    also = _OR.match(rest)
    if also and also[1] in _letters(problem) and also[1] != letter.upper():
        return ""
    other = _by_text(problem, rest)
    return "" if other and other != letter.upper() else _known(problem, letter)


def _norm(text: str) -> str:
    return _NOISE.sub(" ", text).strip().casefold()


def _by_norm(problem: Problem, said: str) -> str:
    same = [at for at, choice in enumerate(problem.choices) if _norm(choice) == said]
    return LETTERS[same[0]] if len(same) == 1 and said else ""


def _by_text(problem: Problem, said: str) -> str:
    """The choice whose words these are, whole or up to the end of the sentence."""
    return _by_norm(problem, _norm(said)) or _by_norm(problem, _norm(sentence(said)))


def _unannounced(problem: Problem, text: str) -> str:
    """A letter or a choice that is all of the text, or all of its last line."""
    if found := _by_text(problem, text):
        return found
    line = last_line(text)[-_LONGEST_LINE:]
    if alone := _ALONE.fullmatch(line):
        return _known(problem, alone[1])
    if headed := _HEADED.fullmatch(line):
        return _lettered(problem, headed[1], headed[2])
    return _by_text(problem, line)


def _in_passing(problem: Problem, text: str) -> str:
    """The letter that is alone, behind words that announce it, or the only one that is marked."""
    letter = _mentioned(text[-LONGEST:])
    return "" if letter and _contradicted(problem, letter, text) else letter


def _mentioned(text: str) -> str:
    if bare := _BARE.fullmatch(text.strip()):
        return bare[1].upper()
    if _EITHER.search(text):
        return ""
    said = [
        (m.start(1), m[1])
        for pattern in (_SAYS, _IS)
        for m in pattern.finditer(text)
        if not _RULED_OUT.search(text[max(0, m.start(1) - 40) : m.start(1)])
    ]
    if said:
        return max(said)[1]
    marked = (set(pattern.findall(text)) for pattern in (_BRACKETS, _LINE))
    return next((str(*found) for found in marked if len(found) == 1), "")


def _contradicted(problem: Problem, letter: str, text: str) -> bool:
    """The words of another choice stand in the text, and not those of this one."""
    words = f" {_norm(text)} "
    stand = (bool(_norm(choice)) and f" {_norm(choice)} " in words for choice in problem.choices)
    named = [LETTERS[at] for at, stands in enumerate(stand) if stands]
    return bool(named) and letter not in named
