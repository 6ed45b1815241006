"""A few questions that everybody asked of Reflection 70B when it came out, and their like."""

from __future__ import annotations

from typing import Final

from ..records import Problem

__all__ = ["probes"]

#: task, question, gold, grader
_PROBES: Final = (
    ("letters", "How many letters r are in the word strawberry?", "3", "numeric"),
    ("letters", "How many times does the letter s occur in Mississippi?", "4", "numeric"),
    ("letters", "How many letters e are in the word nevertheless?", "4", "numeric"),
    ("arithmetic", "What is (2 + 2) * 7?", "28", "numeric"),
    ("arithmetic", "What is 2 + 2 * 7?", "16", "numeric"),
    ("arithmetic", "What is 17 * 3 - 8?", "43", "numeric"),
    (
        "objects",
        "I put a coin into a cup. I put the cup upside down on the bed. Then I pick the cup up "
        "slowly and put it on the table. Where is the coin?",
        "bed",
        "contains",
    ),
    (
        "objects",
        "A ball is in a box. I carry the box into the garage, turn it over, and take the empty box "
        "to the kitchen. Where is the ball?",
        "garage",
        "contains",
    ),
    (
        "comparison",
        "Which number is larger, 9.11 or 9.9? Answer with the number alone.",
        "9.9",
        "numeric",
    ),
    (
        "family",
        "Alice has 3 brothers and she also has 6 sisters. How many sisters does Alice's brother "
        "have? Answer with the number alone.",
        "7",
        "numeric",
    ),
)


def probes() -> list[Problem]:
    """The questions with their answers. Too few for figures: they show how an answer looks."""
    return [
        Problem(id=f"probe-{n}", prompt=prompt, gold=gold, grader=grader, task=task)
        for n, (task, prompt, gold, grader) in enumerate(_PROBES)
    ]
