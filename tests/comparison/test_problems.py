"""Loading problems: every format, every table of one's own, and errors that name the row."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from reflectkit import ConfigurationError, MissingCapability
from reflectkit.comparison import problems

ROWS: dict[str, dict[str, Any]] = {
    "gsm8k": {"question": "Two and two?", "answer": "2 + 2 = <<2+2=4>>4\n#### 1,004"},
    "math": {"problem": "Half of 1?", "answer": "\\frac{1}{2}", "subject": "Algebra",
             "unique_id": "test/algebra/1.json"},
    "mmlu": {"question": "Which?", "choices": ["a", "b", "c", "d"], "answer": 2, "subject": "law"},
    "ifeval": {"key": 7, "prompt": "Write.", "instruction_id_list": ["punctuation:no_comma"],
               "kwargs": [{"num_words": None}]},
    "gpqa": {"Question": "Why?", "Correct Answer": "right", "Incorrect Answer 1": "w1",
             "Incorrect Answer 2": "w2", "Incorrect Answer 3": "w3", "Record ID": "rec1",
             "High-level domain": "Physics"},
    "humaneval": {"task_id": "HumanEval/0", "prompt": "def f(x):\n", "entry_point": "f",
                  "test": "def check(f):\n    assert f(1) == 1", "canonical_solution": "..."},
}  # fmt: skip


def written(folder: Path, name: str, rows: list[Mapping[str, Any]]) -> Path:
    path = folder / name
    if path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".json":
        path.write_text(json.dumps({"data": rows}), "utf-8")
    else:
        path.write_text("".join(json.dumps(r) + "\n" for r in rows), "utf-8")
    return path


# --- known formats


@pytest.mark.parametrize("form", ROWS)
def test_a_row_of_every_format(form: str, tmp_path: Path) -> None:
    path = written(tmp_path, "rows.jsonl", [ROWS[form]])
    (made,) = problems.load(path, form)
    assert made.task == form
    assert made == problems.load([ROWS[form]], form)[0]
    assert made.grader in ("numeric", "math", "choice", "ifeval", "code")


def test_what_becomes_of_them() -> None:
    made = {form: problems.load([row], form)[0] for form, row in ROWS.items()}
    assert made["gsm8k"].gold == "1004"
    assert (made["math"].gold, made["math"].id) == ("$\\frac{1}{2}$", "math-test/algebra/1.json")
    assert made["mmlu"].choices == ("a", "b", "c", "d")
    assert "C) c" in made["mmlu"].prompt
    assert made["mmlu"].data["part"] == "law"
    assert made["ifeval"].gold == [("punctuation:no_comma", {})]
    assert made["humaneval"].data["entry_point"] == "f"


def test_the_right_choice_of_gpqa_stands_anywhere_but_always_there() -> None:
    rows = [ROWS["gpqa"] | {"Question": f"Why {n}?", "Record ID": f"r{n}"} for n in range(80)]
    made = problems.load(rows, "gpqa")
    assert made == problems.load(rows, "gpqa")
    letters = {p.gold for p in made}
    assert letters == set("ABCD")
    assert all(p.choices["ABCD".index(p.gold)] == "right" for p in made)


@pytest.mark.parametrize("form", ROWS)
def test_a_row_without_a_field(form: str, tmp_path: Path) -> None:
    for name in problems.FORMATS[form].needs:
        row = {k: v for k, v in ROWS[form].items() if k != name}
        path = written(tmp_path, "rows.jsonl", [ROWS[form], row])
        with pytest.raises(ConfigurationError, match=rf"line 2 has no '{name}'"):
            problems.load(path, form)


BROKEN = [
    ("gsm8k", {"answer": "4"}, "no '####'"),
    ("mmlu", {"choices": 7}, "cannot be read as mmlu"),
    ("ifeval", {"kwargs": []}, "cannot be read as ifeval"),
]


@pytest.mark.parametrize(("form", "changed", "words"), BROKEN)
def test_a_row_that_is_broken(form: str, changed: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        problems.load([ROWS[form] | changed], form)


# --- tables of one's own


@pytest.mark.parametrize("name", ["own.jsonl", "own.json", "own.csv"])
def test_files(name: str, tmp_path: Path) -> None:
    rows: list[Mapping[str, Any]] = [
        {"id": f"p{n}", "prompt": f"{n} + 1?", "gold": n + 1, "cluster": "c"} for n in range(3)
    ]
    made = problems.load(written(tmp_path, name, rows))
    assert [p.id for p in made] == ["p0", "p1", "p2"]
    assert [str(p.gold) for p in made] == ["1", "2", "3"]
    assert {(p.task, p.cluster, p.grader) for p in made} == {("own", "c", "value")}


def test_a_frame() -> None:
    pandas = pytest.importorskip("pandas")  # comes with statsmodels, of the test group
    frame = pandas.DataFrame({"prompt": ["1 + 1?"], "gold": [2], "why": ["sum"]})
    (made,) = problems.load(frame, grader="numeric", task="sums")
    assert (made.id, made.task, made.grader, made.data) == (
        "sums-0",
        "sums",
        "numeric",
        {"why": "sum"},
    )


def test_any_iterable_is_read_once_and_only_as_far_as_wanted() -> None:
    taken = []

    def rows() -> Iterator[Mapping[str, Any]]:
        for n in range(1_000):
            taken.append(n)
            yield {"prompt": f"{n}?", "gold": n}

    assert len(problems.load(rows(), limit=3)) == 3
    assert len(taken) <= 4


def test_names_of_fields() -> None:
    rows = [{"q": "Which?", "a": "b", "options": "a | b"}]
    names = {"prompt": "q", "gold": "a", "choices": "options"}
    (made,) = problems.load(rows, fields=names)
    assert (made.choices, made.grader) == (("a", "b"), "choice")


def test_a_mark_at_the_beginning_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text("\ufeffprompt,gold\n1 + 1?,2\n", "utf-8")
    assert problems.load(path)[0].prompt == "1 + 1?"


WRONG: list[tuple[Any, dict[str, Any], str]] = [
    (None, {}, "nothing to load"),
    ([], {}, "no problems in it"),
    ([{"gold": 1}], {}, "row 1 has no 'prompt'"),
    ([{"prompt": "  "}], {}, "row 1 has no 'prompt'"),
    (["What?"], {}, "Row 1 is a str"),
    ([{"prompt": "?"}], {"fields": {"colour": "x"}}, "names 'colour'"),
    ([{"prompt": "?", "id": "a"}] * 2, {}, "Two problems have the id 'a'"),
    ([{"prompt": "?"}], {"format": "gsm9k"}, "no format 'gsm9k'"),
    (None, {"hub": True}, "hub=True needs a format"),
]


@pytest.mark.parametrize(("source", "options", "words"), WRONG)
def test_what_cannot_be_loaded(source: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        problems.load(source, **options)


FILES = [
    ("own.txt", "x", "no .jsonl, .json or .csv file"),
    ("own.jsonl", '{"prompt": "?"}\n{"prompt":\n', "line 2 is no JSON"),
    ("own.jsonl", "[1]\n", "line 1 is no JSON object"),
    ("own.json", "{", "is no JSON"),
    ("own.json", "[1, 2]", "holds no list of objects"),
    ("own.csv", "a,b\n1,2\n", "row 1 has no 'prompt'"),
]


@pytest.mark.parametrize(("name", "text", "words"), FILES)
def test_files_that_cannot_be_read(name: str, text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=words):
        problems.load(path)


def test_no_such_file_and_other_bytes(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.jsonl: No such file"):
        problems.load(tmp_path / "none.jsonl")
    path = tmp_path / "own.jsonl"
    path.write_bytes(b'{"prompt": "\xff"}\n')
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        problems.load(path)


def test_the_hub_needs_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingCapability, match="needs datasets") as caught:
        problems.load(format="gsm8k", hub=True)
    assert "reflectkit[hub]" in caught.value.hint


# --- made here


def test_embedded_problems() -> None:
    made = problems.embedded(n=5)
    assert [p.task for p in made] == [
        t for t in ("arithmetic", "letters", "words", "objects") for _ in range(5)
    ]
    assert made == problems.embedded(n=5)
    assert problems.embedded("letters", n=5)[:3] == problems.embedded("letters", n=3)
    assert problems.embedded("letters", n=3, seed=1) != problems.embedded("letters", n=3)
    with pytest.raises(ConfigurationError, match="no task 'sums'"):
        problems.embedded("sums")
    with pytest.raises(ConfigurationError, match="n is 0"):
        problems.embedded(n=0)


def test_probes_can_be_graded() -> None:
    from reflectkit.comparison.grading import marking

    made = problems.probes()
    marking().check(made)
    assert {"letters", "arithmetic", "objects"} <= {p.task for p in made}
    assert any("strawberry" in p.prompt for p in made)
    assert any("(2 + 2) * 7" in p.prompt for p in made)
    assert any("cup" in p.prompt for p in made)
