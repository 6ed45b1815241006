"""The formats of known benchmarks as data: which fields a row has, and what becomes of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ...errors import ConfigurationError
from ..records import LETTERS

__all__ = ["FORMATS", "Format", "Row"]

Row = Mapping[str, Any]

_CHOOSE: Final = "{question}\n\n{choices}\n\nAnswer with the letter of the right choice."
_NUMBER: Final = "{question}\n\nEnd with the answer alone, as a number."
_BOXED: Final = "{question}\n\nPut the final answer into \\boxed{{}}."
_CODE: Final = (
    "Complete this Python function. Answer with the whole function in one code block.\n\n"
    "```python\n{question}\n```"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """How a benchmark's rows become problems.

    ``needs``: fields that every row must have. ``make``: the problem, without id and task.
    ``task``: the name that it is counted under, ``field`` of a row that names a part of it.
    ``hub``: where it is found on the Hugging Face hub (repository, configuration, split).
    """

    name: str
    needs: tuple[str, ...]
    make: Callable[[Row, str], dict[str, Any]]
    part: str = ""
    id_fields: tuple[str, ...] = ()
    hub: tuple[str, str | None, str] = field(default=("", None, ""))


def lettered(question: str, choices: tuple[str, ...]) -> str:
    """A question with its choices, one a line, behind letters."""
    lines = "\n".join(f"{c}) {text}" for c, text in zip(LETTERS, choices, strict=False))
    return _CHOOSE.format(question=question.strip(), choices=lines)


def _gsm8k(row: Row, where: str) -> dict[str, Any]:
    _, mark, gold = str(row["answer"]).rpartition("####")
    if not mark:
        raise ConfigurationError(
            f"{where}: the answer has no '####' before its result.", hint="Is this GSM8K?"
        )
    prompt = _NUMBER.format(question=str(row["question"]).strip())
    return {"prompt": prompt, "gold": gold.strip().replace(",", ""), "grader": "numeric"}


def _math(row: Row, where: str) -> dict[str, Any]:
    prompt = _BOXED.format(question=str(row["problem"]).strip())
    return {"prompt": prompt, "gold": f"${row['answer']}$", "grader": "math"}


def _mmlu(row: Row, where: str) -> dict[str, Any]:
    choices = tuple(str(c) for c in row["choices"])
    prompt = lettered(str(row["question"]), choices)
    return {"prompt": prompt, "gold": row["answer"], "grader": "choice", "choices": choices}


def _ifeval(row: Row, where: str) -> dict[str, Any]:
    told = zip(row["instruction_id_list"], row["kwargs"], strict=True)
    gold = [(name, {k: v for k, v in kw.items() if v is not None}) for name, kw in told]
    return {"prompt": str(row["prompt"]), "gold": gold, "grader": "ifeval"}


_GPQA: Final = ("Correct Answer", "Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3")


def _gpqa(row: Row, where: str) -> dict[str, Any]:
    """The right one is always the first in the file: the order is drawn, by the question alone."""
    question = str(row["Question"]).strip()
    texts = [str(row[name]).strip() for name in _GPQA]
    order = list(range(4))
    random.Random(f"gpqa {question}").shuffle(order)
    choices = tuple(texts[n] for n in order)
    prompt = lettered(question, choices)
    return {
        "prompt": prompt,
        "gold": LETTERS[order.index(0)],
        "grader": "choice",
        "choices": choices,
    }


def _humaneval(row: Row, where: str) -> dict[str, Any]:
    data = {name: row[name] for name in ("prompt", "test", "entry_point")}
    prompt = _CODE.format(question=str(row["prompt"]).rstrip())
    return {"prompt": prompt, "gold": row["test"], "grader": "code", "data": data}


FORMATS: Final[Mapping[str, Format]] = {
    found.name: found
    for found in (
        Format(
            name="gsm8k",
            needs=("question", "answer"),
            make=_gsm8k,
            hub=("openai/gsm8k", "main", "test"),
        ),
        Format(
            name="math",
            needs=("problem", "answer"),
            make=_math,
            part="subject",
            id_fields=("unique_id",),
            hub=("HuggingFaceH4/MATH-500", None, "test"),
        ),
        Format(
            name="mmlu",
            needs=("question", "choices", "answer"),
            make=_mmlu,
            part="subject",
            hub=("cais/mmlu", "all", "test"),
        ),
        Format(
            name="ifeval",
            needs=("prompt", "instruction_id_list", "kwargs"),
            make=_ifeval,
            id_fields=("key",),
            hub=("google/IFEval", None, "train"),
        ),
        Format(
            name="gpqa",
            needs=("Question", *_GPQA),
            make=_gpqa,
            part="High-level domain",
            id_fields=("Record ID",),
            hub=("Idavidrein/gpqa", "gpqa_diamond", "train"),
        ),
        Format(
            name="humaneval",
            needs=("prompt", "test", "entry_point"),
            make=_humaneval,
            id_fields=("task_id",),
            hub=("openai/openai_humaneval", None, "test"),
        ),
    )
}
