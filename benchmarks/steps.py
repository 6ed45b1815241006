"""How often the step checker is right about real solutions, right ones and wrong ones.

    PYTHONPATH=. python benchmarks/steps.py example_model_solutions.jsonl

The file is that of github.com/openai/grade-school-math (MIT licence): 1,319 questions, each solved
by four models, 5,276 solutions in all, with a mark that says whether the result is right. These
models had a calculator, whose notes (``<<2+2=4>>4``) stand in the text; the figures are given with
the notes and without. A right solution that is flagged counts as a false alarm even where the
statement in it is wrong indeed.

Which lines hold a false statement is found by a second, independent way: Python's own parser reads
what stands before an equals sign if that is digits, signs and brackets alone, and the calculator's
note says what the result should have been.
"""

from __future__ import annotations

import argparse
import ast
import json
import operator
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from reflectkit.verify.steps import statements

RUNS = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")
NOTE = re.compile(r"<<[^<>\n]*>>")
NOTED = re.compile(r"<<[^<>\n=]*=(-?[\d.]+)>>\s*\$?(-?[\d,]*\.?\d+)(?![\d,]*[%/\d])")
PLAIN = re.compile(
    r"(?:^|[A-WYZa-wyz]\s+|[:;]\s+)([$\d(][\d$,.+*/()x -]{0,60}[\d)])"
    r"\s*=\s*\$?(-?\d[\d,]*(?:\.\d+)?)"
    r"(?=\.?(?:$|\s(?!\s*[-+*/(]|x\s|times|percent|million)))",
    re.MULTILINE,
)
#: two numbers side by side, or a list
APART = re.compile(r"[\d)]\s+[\d(]|,(?!\d{3})|\d\(|\)\d")
SPACES = re.compile(r"[$,\s]")
SIGNS: dict[type, Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def computed(node: ast.AST) -> Fraction:
    """The value of a parsed expression of numbers; ValueError for anything else."""
    if isinstance(node, ast.Constant):
        return Fraction(str(node.value))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -computed(node.operand)
    if isinstance(node, ast.BinOp) and type(node.op) in SIGNS:
        return SIGNS[type(node.op)](computed(node.left), computed(node.right))
    raise ValueError


def differs(value: Fraction, stated: str) -> bool:
    """Whether a stated number is not the value, rounded either way to its digits."""
    stated = stated.replace(",", "")
    gap, places = abs(value - Fraction(stated)), len(stated.partition(".")[2])
    if gap <= abs(value) / 10**9:
        return False
    unit = Fraction(1, 10**places)
    return (value / unit).denominator == 1 or gap >= unit


def false_by_note(line: str) -> bool:
    return any(differs(Fraction(m[1].rstrip(".")), m[2]) for m in NOTED.finditer(line))


def false_by_python(line: str) -> bool:
    for match in PLAIN.finditer(NOTE.sub("", line)):
        if APART.search(match[1]):
            continue
        try:
            tree = ast.parse(SPACES.sub("", match[1]).replace("x", "*"), mode="eval").body
            if isinstance(tree, ast.BinOp) and differs(computed(tree), match[2]):
                return True
        except (SyntaxError, ValueError, ZeroDivisionError):
            continue
    return False


@dataclass(slots=True)
class Tally:
    """What was found in solutions of one kind."""

    solutions: int = 0
    checked: int = 0
    flagged: int = 0
    false: int = 0
    found: int = 0
    same_line: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, solution: str, shown: str) -> None:
        """Count one solution; ``shown`` is what the checker gets to see of it."""
        read = statements(shown)
        wrong = [shown.count("\n", 0, s.start) for s in read if not s.holds]
        self.solutions += 1
        self.checked += bool(read)
        self.flagged += bool(wrong)
        self.examples += [s.text for s in read if not s.holds][:1]
        lines = solution.split("\n")
        false = [i for i, line in enumerate(lines) if false_by_python(line)]
        if false:
            self.false += 1
            self.found += bool(wrong)
            self.same_line += wrong[:1] == false[:1]


def solutions(path: Path) -> Iterator[tuple[bool, str]]:
    for line in path.read_text("utf-8").splitlines():
        row = json.loads(line)
        for run in RUNS:
            yield row[run]["is_correct"], row[run]["solution"]


def measure(path: Path, *, notes: bool) -> dict[bool, Tally]:
    """The tallies of right (True) and wrong (False) solutions."""
    tallies = {True: Tally(), False: Tally()}
    for right, solution in solutions(path):
        tallies[right].add(solution, solution if notes else NOTE.sub("", solution))
    return tallies


def share(part: int, whole: int) -> str:
    return f"{part:>5} of {whole:<5} {100 * part / max(1, whole):6.2f} %"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("path", type=Path, help="example_model_solutions.jsonl")
    parser.add_argument("--show", action="store_true", help="print every flagged statement")
    options = parser.parse_args()
    for notes in (True, False):
        begun = time.process_time()
        tallies = measure(options.path, notes=notes)
        seconds = time.process_time() - begun
        right, wrong = tallies[True], tallies[False]
        print(f"with{'' if notes else 'out'} the calculator's notes ({seconds:.1f} s)")
        print(f"  right solutions flagged           {share(right.flagged, right.solutions)}")
        print(f"    false by the second reading too {share(right.found, right.flagged)}")
        print(f"  wrong solutions flagged           {share(wrong.flagged, wrong.solutions)}")
        print(f"  wrong, with a false statement     {share(wrong.false, wrong.solutions)}")
        print(f"    of these flagged                {share(wrong.found, wrong.false)}")
        print(f"    flagged in the same line        {share(wrong.same_line, wrong.false)}")
    if options.show:
        print(*tallies[True].examples, "---", *tallies[False].examples, sep="\n")


if __name__ == "__main__":
    main()
