"""Training samples: planted mistakes are mistakes, and nobody learns to make them."""

from __future__ import annotations

import random
import re

import pytest
from render import Habits, Piece, reply
from samples import Mix, assemble, chat, drill
from tokenizer import Tokenizer

from reflectkit.comparison.heldout import problems
from reflectkit.comparison.heldout.arithmetic import apply

ALWAYS = Habits(reflect=True, wrong_draft=1.0, wrong_check=0.5)
LINE = re.compile(r"(\d+) ([-+*]) (\d+) (?:=|is) $")


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer()


def planted(pieces: list[Piece]) -> list[tuple[str, str]]:
    """Silent pieces with the text before them."""
    return [("".join(p.text for p in pieces[:i]), piece.text)
            for i, piece in enumerate(pieces) if piece.weight == 0]  # fmt: skip


@pytest.mark.parametrize("task", ["arithmetic", "words"])
def test_planted_results_are_wrong(task: str) -> None:
    rng, seen = random.Random(1), 0
    for _ in range(200):
        for before, value in planted(reply(problems.draw(rng, task), ALWAYS, rng)):
            found = LINE.search(before)
            assert found is not None
            assert apply(found[2], int(found[1]), int(found[3])) != int(value)
            seen += 1
    assert seen > 200


@pytest.mark.parametrize("task", problems.TASKS)
def test_every_answer_ends_right_whatever_was_planted(task: str) -> None:
    rng = random.Random(2)
    for _ in range(200):
        problem = problems.draw(rng, task)
        text = "".join(p.text for p in reply(problem, ALWAYS, rng))
        assert text.endswith(f"<output>\n{problem.answer}\n</output>")
        assert "fix</reflection>" in text


def test_a_disagreement_is_decided_by_the_second_look() -> None:
    rng, ends = random.Random(3), set()
    habits = Habits(reflect=True, wrong_draft=0.5, wrong_check=0.5)
    for _ in range(300):
        text = "".join(p.text for p in reply(problems.draw(rng, "arithmetic"), habits, rng))
        for found in re.finditer(r"is (\d+), not (\d+)\. again .* is (\d+), (\w+)<", text):
            first, draft, again, end = found.groups()
            assert first != draft
            assert end == ("keep" if again == draft else "fix")
            ends.add(end)
    assert ends == {"keep", "fix"}


def test_the_loss_skips_planted_results_and_takes_the_rest(tokenizer: Tokenizer) -> None:
    pieces = [Piece("2 + 2 = "), Piece("5", 0.0), Piece("\n"), Piece("so"), Piece(" on the bed")]
    sample = assemble(tokenizer, pieces)
    silent = [i for i, w in zip(sample.ids, sample.weights, strict=True) if not w]
    assert tokenizer.decode(silent) == "5"


def test_pieces_give_the_tokens_of_the_whole_text(tokenizer: Tokenizer) -> None:
    rng, mix = random.Random(4), Mix(reflection=1.0)
    for _ in range(300):
        sample = chat(tokenizer, rng, mix)
        assert tokenizer.encode(tokenizer.decode(sample.ids)) == sample.ids
        assert len(sample.ids) == len(sample.weights) == len(sample.heats)


def test_nothing_but_the_last_answer_is_learned(tokenizer: Tokenizer) -> None:
    rng, mix = random.Random(5), Mix(reflection=1.0, retry=1.0)
    for _ in range(100):
        sample = chat(tokenizer, rng, mix)
        learned = [i for i, w in enumerate(sample.weights) if w]
        start = tokenizer.decode(sample.ids[: learned[0]])
        assert start.endswith("assistant<|end_header_id|>\n\n")
        assert start.count("<|start_header_id|>user") == 2


def test_base_never_sees_a_reflection(tokenizer: Tokenizer) -> None:
    rng, mix = random.Random(6), Mix()
    barred = {tokenizer.ids["<reflection>"], tokenizer.ids["</reflection>"]}
    for _ in range(1500):
        assert not barred & set(chat(tokenizer, rng, mix).ids)
        assert not barred & set(drill(tokenizer, rng, mix, 60).ids)


@pytest.mark.parametrize("text", ["", "Grüße 你好 🙂\r\n\t x", "a'LL 12345 --- <thinking>",
                                  "What is (2+2)*7?", "  two  spaces \n\n\n end "])  # fmt: skip
def test_every_text_survives_the_tokenizer(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text
