"""The 25 kinds of instructions: what passes, what fails, what is said about it, and where.

``ifeval_instructions.jsonl.gz`` holds the instructions of all 541 prompts of the data set of IFEval
(Apache-2.0, The Google Research Authors), without the prompts.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drafts import draft_of
from reflectkit.errors import ConfigurationError
from reflectkit.verify.ifeval import INSTRUCTIONS, IFEval, checks_for, loosened

PACKED = (Path(__file__).parent / "ifeval_instructions.jsonl.gz").read_bytes()
ROWS = [json.loads(line) for line in gzip.decompress(PACKED).splitlines()]

ENGLISH = "this is what we have been waiting for, and it was worth it."
#: kind -> (arguments, answers that pass, answers that fail)
CASES: dict[str, tuple[dict[str, Any], list[str], list[str]]] = {
    "keywords:existence": (
        {"keywords": ["cat", "C++"]},
        ["A CAT writes c++.", "concatenate C++", "C++\n\ncat"],
        ["A cat writes C.", "C++ alone", "ca t C++"],
    ),
    "keywords:frequency": (
        {"keyword": "war", "relation": "at least", "frequency": 2},
        ["war and War", "warwar", "beWARe the war, the war"],
        ["war", "wa r war", "peace"],
    ),
    "keywords:forbidden_words": (
        {"forbidden_words": ["rock", "a.b"]},
        ["A rocket.", "bedrock only", "a-b and axb"],
        ["ROCK!", "a rock-solid thing", "use a.b"],
    ),
    "keywords:letter_frequency": (
        {"letter": "Q", "let_relation": "less than", "let_frequency": 3},
        ["quick Q", "none at all", "q"],
        ["qQq", "q q q q", "Quite quiet, quoth I"],
    ),
    "language:response_language": (
        {"language": "de"},
        [
            "Das ist ein Satz, der auf Deutsch geschrieben ist.",
            "Ich bin nicht sicher, ob das so ist, aber wir können es mit Python machen.",
            "# Überschrift\n\nDie Katze und der Hund sind für die Kinder da.",
        ],
        [
            "This is a sentence that was written in English.",
            "Dit is een zin die niet in het Duits is, maar in het Nederlands.",
            "Это предложение написано по-русски.",
        ],
    ),
    "length_constraints:number_sentences": (
        {"relation": "less than", "num_sentences": 3},
        [
            "One. Two!",
            "Dr. J. Smith of Acme Inc. met Mr. Jones at 3 p.m. on Jan. 5th. He left.",
            "1. Buy milk.\n2. Sell it.",
            'He said "One." Two. !',
            "Two rules: 1. do it; 2. do it well. P.S. at once!",
            "I met George P. Smith. He left.",
            "Well... it costs 3.50 dollars, e.g. in the U.S. today.",
        ],
        ["One. Two. Three.", "What?! No. Yes", '"He said no." She left. "Why?"', "一。二。三。"],
    ),
    "length_constraints:number_paragraphs": (
        {"num_paragraphs": 2},
        ["a\n***\nb", "***\na\n***\nb\n***", "a *** b"],
        ["a\n\nb", "a\n***\nb\n***\nc", "a\n***\n\n***\nb"],
    ),
    "length_constraints:number_words": (
        {"relation": "at least", "num_words": 4},
        ["one two three four", "it's well-known", "a_b 1 2 3"],
        ["one two three", "... , ; !", "one-two three"],
    ),
    "length_constraints:nth_paragraph_first_word": (
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "Elm"},
        ["One.\n\nElm trees.", 'One.\n\n"elm," he said.', "One.\nStill.\n\n  ELM's leaf\n\n"],
        ["One.\n\nOak.", "Elm.\n\nOne.", "One.\nElm.", "a\n\nelm\n\nb", "a\n\n\n\nelm"],
    ),
    "detectable_content:number_placeholders": (
        {"num_placeholders": 2},
        ["[name], [address]", "[a][b]", "[[x] [y]"],
        ["[name]", "[na\nme] [b]", "(name) {b}"],
    ),
    "detectable_content:postscript": (
        {"postscript_marker": "P.P.S"},
        ["Bye.\nP.P.S. More.", "p.p.s yes", "P. P. S more"],
        ["P.S. More.", "PPS: more", "Bye."],
    ),
    "detectable_format:number_bullet_lists": (
        {"num_bullets": 2},
        ["* a\n* b", "- a\ntext\n  - b", "*a\n-b\n**bold** text"],
        ["* a", "* a\n* b\n---", "1. a\n2. b", "* a\n* b\n* c"],
    ),
    "detectable_format:constrained_response": (
        {},
        ["My answer is yes.", "Well: My answer is no.", "My answer is maybe. Or not."],
        ["my answer is yes.", "My answer is yes", "Yes."],
    ),
    "detectable_format:number_highlighted_sections": (
        {"num_highlights": 2},
        ["*a* and *b*", "**a** **b**", "*a*\n**b**"],
        ["*a*", "** ** *a*", "*a\nb* *c*", "* a\n* b"],
    ),
    "detectable_format:multiple_sections": (
        {"section_spliter": "Section", "num_sections": 2},
        ["Section 1\na\nSection 2\nb", "Section1 Section2", "Section\n1 Section 2 Section 3"],
        ["Section 1", "section 1 section 2", "Section A\nSection B"],
    ),
    "detectable_format:json_format": (
        {},
        ['{"a": 1}', "```json\n[1, 2]\n```", "```\n3\n```"],
        ["{'a': 1}", 'Here: {"a": 1}', '{"a": 1', "[" * 100_000],
    ),
    "detectable_format:title": (
        {},
        ["<<Poem>>\nRoses", "x <<a>> y", "<<<b>>>"],
        ["<Poem>", "<< >>", "<<a\nb>>", "<<>>"],
    ),
    "combination:two_responses": (
        {},
        ["a\n******\nb", "******a******b******", "a ****** b"],
        ["a", "a******a", "a******b******c", "a************b"],
    ),
    "combination:repeat_prompt": (
        {"prompt_to_repeat": "Write an email. "},
        ["Write an email. Dear boss", "  WRITE AN EMAIL.\nHi", "write an email."],
        ["Sure! Write an email.", "Write an  email.", "Dear boss"],
    ),
    "startend:end_checker": (
        {"end_phrase": "Any questions?"},
        ["Done. Any questions?", '"Done. ANY QUESTIONS?"\n', "Any questions?"],
        ["Any questions? No.", "Any questions", "Done."],
    ),
    "change_case:capital_word_frequency": (
        {"capital_relation": "at least", "capital_frequency": 2},
        ["NASA and the U.S. agree", "I'm A-OK, I think", "DON'T PANIC"],
        ["NASA agrees", "Don't panic", "I'm ok", "10 20 30"],
    ),
    "change_case:english_capital": (
        {},
        [ENGLISH.upper(), "THE 3 OF US ARE HERE!", "PLEASE DO NOT GO THERE, IT IS DARK."],
        [ENGLISH, "Please Do Not Go There.", "DAS IST NICHT SO, UND DAS WIRD AUCH NICHT."],
    ),
    "change_case:english_lowercase": (
        {},
        [ENGLISH, "the 3 of us are here!", "please do not go there; it is dark."],
        [ENGLISH.title(), "the 3 of Us", "das ist nicht so, und das wird auch nicht so sein."],
    ),
    "punctuation:no_comma": (
        {},
        ["a; b", "one two", "1 000"],
        ["a, b", "1,000", "x,"],
    ),
    "startend:quotation": (
        {},
        ['"Hello."', '  "a" and "b"\n', '""'],
        ["'Hello.'", '"', '"Hello.', "“Hello.”"],
    ),
}
PASSING = [(kind, kwargs, text) for kind, (kwargs, good, _) in CASES.items() for text in good]
FAILING = [(kind, kwargs, text) for kind, (kwargs, _, bad) in CASES.items() for text in bad]


def named(value: object) -> str | None:
    return value[:24] if isinstance(value, str) else ""


@pytest.mark.parametrize(("kind", "kwargs", "text"), PASSING, ids=named)
def test_what_follows_an_instruction_passes(kind: str, kwargs: dict[str, Any], text: str) -> None:
    verdict = IFEval(kind, **kwargs)(draft_of(text))
    assert (verdict.ok, verdict.feedback, verdict.name, verdict.by) == (True, "", kind, "rule")


@pytest.mark.parametrize(("kind", "kwargs", "text"), FAILING, ids=named)
def test_what_does_not_is_told_what_to_change(kind: str, kwargs: dict[str, Any], text: str) -> None:
    verdict = IFEval(kind, **kwargs)(draft_of(text))
    assert verdict.ok is False
    assert len(verdict.feedback) > 10


def test_there_are_25_kinds_with_cases_of_both_sides() -> None:
    assert set(CASES) == set(INSTRUCTIONS)
    assert len(INSTRUCTIONS) == 25
    assert all(len(good) >= 3 and len(bad) >= 3 for _, good, bad in CASES.values())


def test_every_row_of_the_data_set_builds_and_judges() -> None:
    built = [check for row in ROWS for check in checks_for(row)]
    assert (len(ROWS), len(built)) == (541, 834)
    assert {check.instruction_id for check in built} == set(INSTRUCTIONS)
    texts = [text for _, _, text in PASSING + FAILING if len(text) < 1000]
    for number, check in enumerate(built):
        found = check.check(texts[number % len(texts)])
        assert found.ok is not False or found.feedback


RELATIONS = [
    ("keywords:frequency", {"keyword": "x", "frequency": 2}, "relation", ["x", "x x", "x x x"]),
    ("keywords:letter_frequency", {"letter": "#", "let_frequency": 2}, "let_relation", list("#")),
    ("length_constraints:number_words", {"num_words": 2}, "relation", ["a", "a b", "a b c"]),
    (
        "length_constraints:number_sentences",
        {"num_sentences": 2},
        "relation",
        ["One.", "One. Two."],
    ),
    (
        "change_case:capital_word_frequency",
        {"capital_frequency": 2},
        "capital_relation",
        ["A", "A B"],
    ),
]


@pytest.mark.parametrize(("kind", "kwargs", "relation", "texts"), RELATIONS, ids=named)
def test_less_than_is_the_opposite_of_at_least(
    kind: str, kwargs: dict[str, Any], relation: str, texts: list[str]
) -> None:
    least, less = (IFEval(kind, **{**kwargs, relation: r}) for r in ("at least", "less than"))
    seen = [(least.check(text).ok, less.check(text).ok) for text in texts]
    assert seen == [(n >= 2, n < 2) for n in range(1, len(texts) + 1)]


PLACES = [
    ("punctuation:no_comma", {}, "one, two, three", ","),
    ("keywords:forbidden_words", {"forbidden_words": ["two", "one"]}, "of one or two", "one"),
    ("change_case:english_lowercase", {}, "all of it is Small", "S"),
    (
        "length_constraints:number_words",
        {"relation": "less than", "num_words": 3},
        "a b c d",
        "c d",
    ),
    (
        "length_constraints:number_sentences",
        {"relation": "less than", "num_sentences": 2},
        "One. Two. Three.",
        "Two. Three.",
    ),
    ("detectable_format:number_bullet_lists", {"num_bullets": 1}, "* a\n* b\nend", "* b"),
    ("detectable_format:json_format", {}, "```json\n{'a': 1}\n```", "'"),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "elm"},
        "One.\n\n Oak tree",
        "Oak",
    ),
]


@pytest.mark.parametrize(("kind", "kwargs", "text", "piece"), PLACES, ids=named)
def test_a_fault_is_pointed_at_in_the_source(
    kind: str, kwargs: dict[str, Any], text: str, piece: str
) -> None:
    source = f"<thinking>{text} would, be Fine</thinking>\n<output>\n{text}\n</output>"
    draft = draft_of(source)
    verdict = IFEval(kind, **kwargs)(draft)
    assert verdict.start is not None
    assert draft.transcript.source[verdict.start : verdict.end] == piece
    assert verdict.start > source.index("<output>")


def test_a_place_in_the_second_of_two_outputs() -> None:
    draft = draft_of("<output>one</output> <output>two, three</output>")
    verdict = IFEval("punctuation:no_comma")(draft)
    assert draft.transcript.source[verdict.start : verdict.end] == ","


def test_thinking_is_not_judged() -> None:
    draft = draft_of("<thinking>one, two</thinking><output>three</output>")
    assert IFEval("punctuation:no_comma")(draft).ok is True


@pytest.mark.parametrize("kind", CASES)
def test_an_empty_answer_never_passes(kind: str) -> None:
    for loose in (False, True):
        check = IFEval(kind, loose=loose, **CASES[kind][0])
        assert check.check(" \n").ok is False


LOOSE = [
    ("startend:quotation", {}, 'Sure, here you are:\n"Hello."'),
    ("startend:quotation", {}, '"Hello."\nHope that helps!'),
    ("startend:quotation", {}, 'Sure:\n"Hello."\nHope that helps!'),
    ("startend:quotation", {}, '**"Hello."**'),
    ("startend:quotation", {}, '*Sure:*\n*"Hello."*\nHope that helps!'),
    ("startend:end_checker", {"end_phrase": "Peace!"}, "Bye. **Peace!**"),
]


@pytest.mark.parametrize(("kind", "kwargs", "text"), LOOSE)
def test_loose_forgives_frames_and_asterisks(kind: str, kwargs: dict[str, Any], text: str) -> None:
    assert IFEval(kind, **kwargs).check(text).ok is False
    assert IFEval(kind, loose=True, **kwargs).check(text).ok is True


def test_loose_forgives_no_more_than_that() -> None:
    text = 'Sure:\nof course:\n"Hello."'
    assert IFEval("startend:quotation", loose=True).check(text).ok is False
    assert len({*loosened("*a*\n*b*\n*c*"), "*a*\n*b*\n*c*"}) == 8


@pytest.mark.parametrize(
    ("kind", "kwargs", "says"),
    [
        ("keywords:existense", {}, "Did you mean 'keywords:existence'"),
        ("nonsense", {}, "25"),
        ("keywords:existence", {}, "takes keywords"),
        ("punctuation:no_comma", {"keywords": ["a"]}, "takes no arguments"),
        ("keywords:existence", {"keywords": "cat"}, "a list of words"),
        ("keywords:existence", {"keywords": []}, "a list of words"),
        ("detectable_format:number_bullet_lists", {"num_bullets": "3"}, "whole number"),
        ("detectable_format:number_bullet_lists", {"num_bullets": True}, "whole number"),
        ("length_constraints:number_words", {"relation": "over", "num_words": 3}, "'at least'"),
        ("startend:end_checker", {"end_phrase": ""}, "a text"),
    ],
)
def test_what_cannot_be_checked_is_refused(kind: str, kwargs: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        IFEval(kind, **kwargs)


@pytest.mark.parametrize(
    "row",
    [{}, {"instruction_id_list": ["a"]}, {"instruction_id_list": ["a"], "kwargs": []}, None],
)
def test_what_is_no_row_is_refused(row: Any) -> None:
    with pytest.raises(ConfigurationError, match="no row"):
        checks_for(row)


def test_arguments_that_are_none_count_as_absent() -> None:
    row = {"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{"keywords": None}]}
    (check,) = checks_for(row)
    assert check.kwargs == {}
    assert repr(check) == "IFEval('punctuation:no_comma')"


ALL = [IFEval(kind, loose=True, **kwargs) for kind, (kwargs, _, _) in CASES.items()]
TEXTS = st.text(st.sampled_from('aS1 .,!?"*-_#[]<>\n。ß…İ'), max_size=60) | st.text(max_size=60)


@given(TEXTS)
def test_every_text_gets_a_verdict(text: str) -> None:
    for check in ALL:
        found = check.check(text)
        assert found.ok is not False or found.feedback
        assert found.at is None or 0 <= found.at[0] <= found.at[1] <= len(text)


HOSTILE = [
    "[",
    "<",
    "*",
    "* ",
    "***",
    '"',
    "\n",
    " ",
    ". ",
    "a.",
    "P. ",
    "Section ",
    "`",
    "```",
    ",a",
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_the_cost_is_linear(piece: str) -> None:
    text = piece * (200_000 // len(piece)) + "x"
    begun = perf_counter()
    for check in ALL:
        check.check(text)
    assert perf_counter() - begun < 20, "a quadratic one would take minutes"


def test_checks_run_inline_and_are_no_coroutines() -> None:
    assert IFEval.inline is True
    assert not asyncio.iscoroutinefunction(ALL[0].__call__)
