"""The checks of IFEval's 25 kinds of instructions: functions from a text to what it lacks.

From the published description: Zhou et al., "Instruction-Following Evaluation for Large Language
Models" (2023). Where the description leaves a choice, the choice is that of the published scores.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from . import _ifeval_text as of
from ._ifeval_language import detect
from ._places import Span

__all__ = ["CHECKS", "Check", "Found"]


class Found(NamedTuple):
    """What a check says: ``feedback`` is for the model, ``at`` is a place in the text."""

    ok: bool | None
    feedback: str = ""
    at: Span | None = None


Check = Callable[..., Found]
GOOD: Final = Found(True)


def _count(have: Sequence[Span], relation: str, number: int, what: str) -> Found:
    """``number`` of something, at least or less than; superfluous ones are pointed at."""
    there = f"The answer has {len(have)} {what}"
    if relation == "at least":
        return GOOD if len(have) >= number else Found(False, f"{there}; use at least {number}.")
    if len(have) < number:
        return GOOD
    at = (have[number - 1][0], have[-1][1]) if number > 0 and have else None
    return Found(False, f"{there}; use fewer than {number}.", at)


def _all(text: str, part: str) -> list[Span]:
    return [m.span() for m in re.finditer(re.escape(part), text, re.IGNORECASE)]


def keywords(text: str, keywords: list[str]) -> Found:
    """Each keyword occurs, in any case, be it inside a longer word."""
    missing = [word for word in keywords if not _all(text, word)]
    return GOOD if not missing else Found(False, f"Also use: {_quoted(missing)}.")


def keyword_frequency(text: str, relation: str, keyword: str, frequency: int) -> Found:
    """A keyword occurs at least, or less than, so many times."""
    return _count(_all(text, keyword), relation, frequency, f"occurrences of {keyword!r}")


def forbidden_words(text: str, forbidden_words: list[str]) -> Found:
    """None of the words occurs as a whole word, in any case."""
    hits = [(w, re.search(rf"\b{re.escape(w)}\b", text, re.IGNORECASE)) for w in forbidden_words]
    found = [(word, hit.span()) for word, hit in hits if hit]
    if not found:
        return GOOD
    return Found(False, f"Do not use: {_quoted(w for w, _ in found)}.", min(s for _, s in found))


def _quoted(words: Any) -> str:
    return ", ".join(f'"{word}"' for word in words)


def letter_frequency(text: str, letter: str, let_relation: str, let_frequency: int) -> Found:
    """A letter (or another sign) occurs at least, or less than, so many times, in any case."""
    found = [(i, i + 1) for i, c in enumerate(text) if letter.lower() in c.lower()]
    return _count(found, let_relation, let_frequency, f"times the letter {letter!r}")


def response_language(text: str, language: str) -> Found:
    """The whole answer is in the language of this code."""
    seen = detect(text)
    if seen is None:
        return Found(None, "Its language cannot be told.")
    right = seen == language.partition("-")[0]
    return Found(right, "" if right else f"The answer is in language {seen!r}; use {language!r}.")


def number_sentences(text: str, relation: str, num_sentences: int) -> Found:
    """At least, or less than, so many sentences."""
    return _count(of.sentences(text), relation, num_sentences, "sentences")


def number_words(text: str, relation: str, num_words: int) -> Found:
    """At least, or less than, so many words."""
    return _count(of.words(text), relation, num_words, "words")


def number_paragraphs(text: str, num_paragraphs: int) -> Found:
    """Exactly so many paragraphs, parted by ``***``; none in the middle is empty."""
    parts = re.split(r"\s?\*\*\*\s?", text)
    if not all(part.strip() for part in parts[1:-1]):
        return Found(False, "There is nothing between two of the *** dividers.")
    have = sum(bool(part.strip()) for part in parts)
    if have == num_paragraphs:
        return GOOD
    return Found(
        False, f"There are {have} paragraphs parted by ***; write exactly {num_paragraphs}."
    )


def nth_paragraph_first_word(
    text: str, num_paragraphs: int, nth_paragraph: int, first_word: str
) -> Found:
    """Exactly so many paragraphs, parted by blank lines, and the nth begins with this word."""
    parts = text.split("\n\n")
    have = sum(bool(part.strip()) for part in parts)
    wanted = f'begin paragraph {nth_paragraph} with "{first_word}"'
    if have != num_paragraphs:
        say = f"There are {have} paragraphs parted by blank lines; write exactly {num_paragraphs}"
        return Found(False, f"{say} and {wanted}.")
    # Empty parts count here, as they do in the published scores.
    paragraph = parts[nth_paragraph - 1] if 0 < nth_paragraph <= have else ""
    head = paragraph.split()[0] if paragraph.strip() else ""
    if _bare(head) == first_word.lower():
        return GOOD
    begins = len("\n\n".join(parts[:nth_paragraph])) - len(paragraph.lstrip())
    return Found(False, f"{wanted.capitalize()}.", (begins, begins + len(head)) if head else None)


def _bare(word: str) -> str:
    """A word without quotes before it and without what follows a punctuation mark."""
    return re.split(r"""[.,?!'"]""", word.lstrip("'").lstrip('"'), maxsplit=1)[0].lower()


def number_placeholders(text: str, num_placeholders: int) -> Found:
    """At least so many placeholders in square brackets."""
    return _count(of.placeholders(text), "at least", num_placeholders, "[placeholders]")


_POSTSCRIPTS: Final = {"P.P.S": r"p\.\s?p\.\s?s", "P.S.": r"p\.\s?s\."}


def postscript(text: str, postscript_marker: str) -> Found:
    """A postscript with this marker."""
    pattern = _POSTSCRIPTS.get(postscript_marker, re.escape(postscript_marker.lower()))
    if re.search(pattern, text.lower()):
        return GOOD
    return Found(False, f"Add a postscript at the end that begins with {postscript_marker}")


def number_bullet_lists(text: str, num_bullets: int) -> Found:
    """Exactly so many bullet points: lines that begin with ``*`` or ``-``."""
    have = of.bullets(text)
    if len(have) == num_bullets:
        return GOOD
    say = f"{len(have)} lines begin with * or - (a line of dashes counts)"
    at = (have[num_bullets][0], have[-1][1]) if len(have) > num_bullets else None
    return Found(False, f"{say}; write exactly {num_bullets} bullet points.", at)


_CONSTRAINED: Final = ("My answer is yes.", "My answer is no.", "My answer is maybe.")


def constrained_response(text: str) -> Found:
    """One of three answers is in it."""
    if any(option in text for option in _CONSTRAINED):
        return GOOD
    return Found(False, f"Answer with one of these: {_quoted(_CONSTRAINED)}.")


def number_highlighted_sections(text: str, num_highlights: int) -> Found:
    """At least so many highlighted texts: ``*like this*`` or ``**like this**``, on one line."""
    single = [m for m in re.finditer(r"\*[^\n*]*\*", text) if m[0].strip("*").strip()]
    double = [m for m in re.finditer(r"\*\*[^\n*]*\*\*", text) if m[0][2:-2].strip()]
    have = [m.span() for m in (*single, *double)]
    return _count(have, "at least", num_highlights, "*highlighted* sections")


def multiple_sections(text: str, section_spliter: str, num_sections: int) -> Found:
    """At least so many sections that begin like ``Section 1``."""
    have = [m.span() for m in re.finditer(rf"{re.escape(section_spliter)}\s?\d+", text)]
    what = f'sections that begin with "{section_spliter} 1", "{section_spliter} 2" and so on'
    return _count(have, "at least", num_sections, what)


_FENCE: Final = re.compile(r"\A```(?:json|Json|JSON)?")


def json_format(text: str) -> Found:
    """All of it is JSON, be it in one fence."""
    body = _FENCE.sub("", text.strip(), count=1).removesuffix("```").strip()
    shift = text.find(body)
    try:
        json.loads(body)
    except json.JSONDecodeError as error:
        at = (shift + error.pos, min(shift + error.pos + 1, len(text)))
        return Found(False, f"Answer with JSON alone: {error.msg}, line {error.lineno}.", at)
    except (RecursionError, ValueError):
        return Found(False, "Answer with simpler JSON: it nests too deep, or a number is too long.")
    return GOOD


def title(text: str) -> Found:
    """A title in double angular brackets."""
    return GOOD if of.titles(text) else Found(False, "Add a title, written as <<title>>.")


_DIVIDER: Final = "******"


def two_responses(text: str) -> Found:
    """Two different answers, parted by six asterisks."""
    parts = text.split(_DIVIDER)
    if not all(part.strip() for part in parts[1:-1]):
        return Found(False, f"There is nothing between two of the {_DIVIDER} dividers.")
    answers = [part.strip() for part in parts if part.strip()]
    if len(answers) != 2:
        say = f"There are {len(answers)} answers parted by {_DIVIDER}"
        return Found(False, f"{say}; write exactly two, with one {_DIVIDER} between them.")
    return GOOD if answers[0] != answers[1] else Found(False, "Make the two answers different.")


def repeat_prompt(text: str, prompt_to_repeat: str) -> Found:
    """It begins with the request, word for word."""
    wanted = prompt_to_repeat.strip()
    if text.strip().lower().startswith(wanted.lower()):
        return GOOD
    return Found(False, f"First repeat this word for word, with nothing before it: {wanted}")


def end_checker(text: str, end_phrase: str) -> Found:
    """It ends with this phrase, and no word follows."""
    wanted = end_phrase.strip()
    if text.strip().strip('"').lower().endswith(wanted.lower()):
        return GOOD
    return Found(False, f"End with this very phrase and nothing behind it: {wanted}")


def capital_word_frequency(text: str, capital_relation: str, capital_frequency: int) -> Found:
    """At least, or less than, so many words in capital letters alone."""
    what = "words in all capital letters"
    return _count(of.capitals(text), capital_relation, capital_frequency, what)


def english_capital(text: str) -> Found:
    """In English, and all of it in capital letters."""
    return _case(text, text.isupper(), str.islower, "capital letters")


def english_lowercase(text: str) -> Found:
    """In English, and all of it in small letters."""
    return _case(text, text.islower(), str.isupper, "lowercase letters")


def _case(text: str, right: bool, wrong: Callable[[str], bool], what: str) -> Found:
    if not right:
        at = next((i for i, c in enumerate(text) if wrong(c)), None)
        span = None if at is None else (at, at + 1)
        return Found(False, f"Write all of it in {what}, in English.", span)
    found = response_language(text, "en")
    return found._replace(at=None)


def no_comma(text: str) -> Found:
    """No comma at all."""
    at = text.find(",")
    if at < 0:
        return GOOD
    say = f"Use no commas; the answer has {text.count(',')}."
    return Found(False, say, (at, at + 1))


def quotation(text: str) -> Found:
    """All of it in one pair of double quotation marks."""
    bare = text.strip()
    if len(bare) > 1 and bare[0] == bare[-1] == '"':
        return GOOD
    return Found(False, 'Put double quotation marks (") around the whole answer.')


#: By the identifier that the data set uses.
CHECKS: Final[dict[str, Check]] = {
    "keywords:existence": keywords,
    "keywords:frequency": keyword_frequency,
    "keywords:forbidden_words": forbidden_words,
    "keywords:letter_frequency": letter_frequency,
    "language:response_language": response_language,
    "length_constraints:number_sentences": number_sentences,
    "length_constraints:number_paragraphs": number_paragraphs,
    "length_constraints:number_words": number_words,
    "length_constraints:nth_paragraph_first_word": nth_paragraph_first_word,
    "detectable_content:number_placeholders": number_placeholders,
    "detectable_content:postscript": postscript,
    "detectable_format:number_bullet_lists": number_bullet_lists,
    "detectable_format:constrained_response": constrained_response,
    "detectable_format:number_highlighted_sections": number_highlighted_sections,
    "detectable_format:multiple_sections": multiple_sections,
    "detectable_format:json_format": json_format,
    "detectable_format:title": title,
    "combination:two_responses": two_responses,
    "combination:repeat_prompt": repeat_prompt,
    "startend:end_checker": end_checker,
    "change_case:capital_word_frequency": capital_word_frequency,
    "change_case:english_capital": english_capital,
    "change_case:english_lowercase": english_lowercase,
    "punctuation:no_comma": no_comma,
    "startend:quotation": quotation,
}
