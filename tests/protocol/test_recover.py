"""Answers that lost their tags: found where the layout shows them, left alone where it does not."""

from __future__ import annotations

import json
import sysconfig
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beside import RECORDED, needs_data
from reflectkit import protocol
from reflectkit.protocol import recover
from reflectkit.protocol.recover import RECOVERED_FROM
from reflectkit.reply import Transcript

THOUGHTS = (
    "Let's work this out step by step:\n\n1. The train leaves at nine.\n2. It needs two hours.\n\n"
    "So it arrives at noon."
)
DOUBT = "Wait, I made a mistake. Nine and two make eleven."
REST = "3. The train arrives at eleven.\n\n4. Nobody gets on or off before."
ANSWER = "### Answer: eleven o'clock\n"

PLAIN = f"\n\n\n{THOUGHTS}\n\n\n\n{ANSWER}"
WITH_REFLECTION = f"\n\n\n{THOUGHTS}\n\n\n{DOUBT}\n\n\n{REST}\n\n\n\n{ANSWER}"
TWO_REFLECTIONS = (
    f"\n\n\n{THOUGHTS}\n\n\n{DOUBT}\n\n\n{REST}\n\n\nLet me verify this: 9 + 2 is 11.\n\n\n"
    f"So it holds.\n\n\n\n\n{ANSWER}"
)
LAST_IS_REFLECTION = f"\n\n\n{THOUGHTS}\n\n\n{DOUBT}\n\n\n\n\n{ANSWER}"
SHORT_BORDER = f"\n\n\n{THOUGHTS}\n\n\n{ANSWER}"
LONG_ANSWER = f"\n\n\n{THOUGHTS}\n\n\n\n{'Eleven it is, and here is why. ' * 30}"
WITHOUT_HEAD = WITH_REFLECTION.lstrip()
WINDOWS = WITH_REFLECTION.replace("\n", "\r\n")


def recovered(transcript: Transcript) -> bool:
    found = any(issue.kind == "recovered" for issue in transcript.issues)
    assert found == (RECOVERED_FROM <= transcript.confidence < 1)
    return found


@pytest.mark.parametrize(
    ("text", "reflections", "confidence"),
    [
        (PLAIN, 0, 0.97),
        (WITH_REFLECTION, 1, 0.97),
        (TWO_REFLECTIONS, 2, 0.97),
        (LAST_IS_REFLECTION, 1, 0.97),
        (WINDOWS, 1, 0.97),
        (LONG_ANSWER, 0, 0.85),
        (WITHOUT_HEAD, 1, 0.75),
        (SHORT_BORDER, 0, 0.7),
    ],
)
def test_sections_are_found_by_layout(text: str, reflections: int, confidence: float) -> None:
    found = recover(text)
    assert recovered(found)
    assert found.confidence == confidence
    assert found.thinking is not None
    assert found.thinking.startswith("Let's work")
    assert len(found.reflections) == reflections
    assert "leven" in found.output
    assert "step by step" not in found.output
    assert found.source == text


def test_a_reflection_is_the_text_between_its_breaks() -> None:
    found = recover(WITH_REFLECTION)
    assert found.reflections == [DOUBT]
    assert found.output == ANSWER.strip()
    assert [i.kind for i in found.issues] == ["recovered"]
    thinking, reflection, output = found.sections
    assert (thinking.kind, reflection.kind, output.kind) == ("thinking", "reflection", "output")
    assert reflection.parent == 0
    assert thinking.end == output.start == found.issues[0].position


def test_paired_breaks_around_no_doubt_are_no_reflection() -> None:
    text = f"\n\n\n{THOUGHTS}\n\n\nThe station is small.\n\n\n{REST}\n\n\n\n{ANSWER}"
    found = recover(text)
    assert recovered(found)
    assert found.reflections == []


def test_breaks_in_a_code_fence_are_no_border() -> None:
    code = "```python\nx = 1\n\n\n\n\ny = 2\n```\n"
    found = recover(f"\n\n\n{THOUGHTS}\n\n\n\n{code}")
    assert found.output == code.strip()


def test_an_open_fence_hides_nothing() -> None:
    found = recover(f"\n\n\n{THOUGHTS}\n```\nx = 1\n\n\n\n{ANSWER}")
    assert found.output == ANSWER.strip()


class TestCut:
    """Answers that ended inside the thinking: reasoning never becomes the answer."""

    @pytest.mark.parametrize("text", [PLAIN[:80], WITH_REFLECTION[:-40], TWO_REFLECTIONS[:200]])
    def test_all_is_thinking(self, text: str) -> None:
        cut = text.rstrip()
        found = recover(cut)
        assert recovered(found)
        assert found.output == ""
        assert found.thinking == cut.strip()
        kinds = [i.kind for i in found.issues]
        assert kinds == ["recovered", "unclosed_thinking", "missing_output"]

    def test_the_caller_may_know_that_it_was_cut(self) -> None:
        text = "\n\n\nThe coin falls out of the cup, so"
        assert not recovered(recover(text))
        assert recover(text).output
        known = recover(text, truncated=True)
        assert recovered(known)
        assert known.output == ""

    def test_an_ordinary_text_that_was_cut_stays_the_answer(self) -> None:
        found = recover("The coin falls out of the cup, so", truncated=True)
        assert not recovered(found)
        assert found.output


ORDINARY = {
    "empty": "",
    "blank": "\n\n\n\n\n",
    "word": "Eleven.",
    "greeting": "\n\n\nHello! How can I help you today?",
    "prose": "The coin is on the bed.\n\nWhen the cup was turned over, the coin fell out.\n",
    "spaced prose": "The coin is on the bed.\n\n\n\nThe cup is empty, and a long way from it.",
    "numbered list": "1. Take the cup.\n2. Turn it over.\n\n\n3. Look at the bed.\n",
    "markdown": "# Title\n\n\n## Part one\n\ntext\n\n\n## Part two\n\n- a\n- b\n\n\n\n## End\n",
    "python": "import os\n\n\ndef f(x):\n    return x\n\n\n\nclass A:\n    pass\n\n\nprint(f(1))\n",
    "fenced": "Here it is:\n\n```\n1. a\n\n\n\n\nLet's see\n```\n\nDone.\n",
    "letter": "Dear Ann,\n\n\n\nI was wrong, and I made a mistake. Wait.\n\n\n\n\nYours,\nBob\n",
    "poem": "A line\n\n\nanother line\n\n\n\nand a last one\n",
    "json": '{"a": 1,\n\n\n\n"b": 2}',
    "worked solution": "First, 2 + 2 is 4.\n\nThen 4 * 7 is 28.\n\nWait, check: yes.\n\n28",
    "carriage returns": "one\r\rtwo\r\r\r\rthree\r\r\r",
}


@pytest.mark.parametrize("text", ORDINARY.values(), ids=ORDINARY)
def test_ordinary_text_stays_the_answer(text: str) -> None:
    found = recover(text)
    assert not recovered(found)
    assert found.confidence < RECOVERED_FROM
    assert found.output == text.strip()
    assert found.thinking is None


def test_source_files_are_never_taken_for_answers() -> None:
    """The standard library's files: prose, code, many blank lines, many a "wait" and "error"."""
    files = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in files]
    assert len(texts) > 50
    assert not [p.name for p, t in zip(files, texts, strict=True) if recovered(recover(t))]


@pytest.mark.parametrize(
    "text",
    [
        f"<thinking>{PLAIN}</thinking>\n<output>x</output>",
        f"{WITH_REFLECTION}</output>",
        f"<Reflection a='b'>{TWO_REFLECTIONS}",
        "\n\n\nthoughts</thinking>\n\n\n\nanswer",
        "<thinking>\n\n\nLet's see\n\n\n\n\n### Answer: 1",
    ],
)
def test_tagged_text_is_left_to_the_parser(text: str) -> None:
    assert recover(text) == protocol.parse(text)


pieces = st.sampled_from(
    [
        "\n",
        "\n\n\n",
        "\n\n\n\n",
        "\r\n",
        "Wait, ",
        "1. a",
        "Let's",
        "### Answer: 2",
        "```\n",
        "x",
        "<",
    ]
)


@given(st.one_of(st.text(), st.lists(pieces, max_size=30).map("".join)), st.booleans())
def test_every_text_has_a_result_and_nothing_is_lost(text: str, truncated: bool) -> None:
    found = recover(text, truncated=truncated)
    recovered(found)
    assert found.source == text
    tops = [s for s in found.sections if s.parent is None]
    assert "".join(s.text for s in tops) == text
    for section in found.sections:
        assert text[section.start : section.end] == section.text
    for section in found.sections:
        if section.parent is not None:
            parent = found.sections[section.parent]
            assert parent.start <= section.start <= section.end <= parent.end


@pytest.mark.parametrize("unit", ["\n", "a\n\n\n", "```\n\n\n\n", "wait\n\n\n\n", "1. a\n\n\n"])
def test_time_grows_no_faster_than_text(unit: str) -> None:
    def cost(size: int) -> float:
        text = unit * (size // len(unit))
        times = []
        for _ in range(3):
            start = time.process_time()
            recover(text)
            times.append(time.process_time() - start)
        return min(times)

    small, large = cost(15_000), cost(120_000)
    assert large < 8 * 3 * small + 0.05


# -- the real outputs ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def answers() -> list[str]:
    lines = RECORDED.read_text("utf-8").splitlines()
    return [json.loads(line)["model_response"] for line in lines]


@needs_data
def test_the_border_is_found_in_real_outputs(answers: list[str]) -> None:
    right = 0
    for text in answers:
        found = recover(text)
        expected = text[text.rindex("### Answer") :].strip()
        right += recovered(found) and found.output == expected
    assert right >= 0.99 * len(answers)


@needs_data
def test_the_border_is_found_when_a_server_trims_the_text(answers: list[str]) -> None:
    right = 0
    for text in answers:
        found = recover(text.strip())
        right += found.output == text[text.rindex("### Answer") :].strip()
    assert right >= 0.97 * len(answers)


@needs_data
def test_real_thinking_that_was_cut_is_not_served_as_the_answer(answers: list[str]) -> None:
    served = 0
    for text in answers:
        end = text.rindex("### Answer")
        for share in (0.2, 0.4, 0.6, 0.8):
            served += recover(text[: int(end * share)]).output != ""
    assert served <= 0.01 * 4 * len(answers)


@needs_data
def test_real_reflections_voice_a_doubt(answers: list[str]) -> None:
    found = [r for text in answers for r in recover(text).reflections]
    assert len(found) > 200
    assert sum(len(r) < 900 for r in found) > 0.95 * len(found)
