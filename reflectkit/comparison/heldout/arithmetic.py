"""Expressions over small whole numbers, evaluated one written step at a time."""

from __future__ import annotations

import random
from dataclasses import dataclass

OPERAND = 20
TOP = 400
RANK = {"+": 1, "-": 1, "*": 2}


def apply(sign: str, a: int, b: int) -> int:
    """The value of one operation."""
    if sign == "+":
        return a + b
    return a - b if sign == "-" else a * b


@dataclass(frozen=True)
class Expression:
    """A number, or an operation on two expressions."""

    number: int = 0
    sign: str = ""
    left: Expression | None = None
    right: Expression | None = None

    @property
    def size(self) -> int:
        """How many operations it has."""
        if self.left is None or self.right is None:
            return 0
        return 1 + self.left.size + self.right.size

    @property
    def value(self) -> int:
        """Its gold value."""
        if self.left is None or self.right is None:
            return self.number
        return apply(self.sign, self.left.value, self.right.value)

    def __str__(self) -> str:
        if self.left is None or self.right is None:
            return str(self.number)
        left, right = str(self.left), str(self.right)
        if self.left.sign and RANK[self.left.sign] < RANK[self.sign]:
            left = f"({left})"
        if self.right.sign and RANK[self.right.sign] <= RANK[self.sign]:
            right = f"({right})"
        return f"{left} {self.sign} {right}"

    def ready(self) -> Expression | None:
        """The next operation to work out: the highest rank among those on two numbers, leftmost."""
        if self.left is None or self.right is None:
            return None
        if not self.left.sign and not self.right.sign:
            return self
        return self.left.ready() or self.right.ready()

    def replace(self, old: Expression, number: int) -> Expression:
        """The same expression with one operation (by identity) replaced by a number."""
        if self is old:
            return Expression(number)
        if self.left is None or self.right is None:
            return self
        left, right = self.left.replace(old, number), self.right.replace(old, number)
        return Expression(0, self.sign, left, right)


@dataclass(frozen=True)
class Step:
    """One written operation, and what is left to do after it."""

    a: int
    sign: str
    b: int
    value: int
    rest: Expression

    @property
    def text(self) -> str:
        return f"{self.a} {self.sign} {self.b}"


def steps(tree: Expression) -> list[Step]:
    """All steps of an expression in order."""
    found = []
    while (now := tree.ready()) is not None:
        assert now.left is not None
        assert now.right is not None
        tree = tree.replace(now, now.value)
        a, b = now.left.number, now.right.number
        found.append(Step(a, now.sign, b, now.value, tree))
    return found


def fits(tree: Expression) -> bool:
    """Whether every intermediate result stays in the range."""
    if tree.left is None or tree.right is None:
        return True
    return 0 <= tree.value <= TOP and fits(tree.left) and fits(tree.right)


def grow(rng: random.Random, size: int, operand: int = OPERAND) -> Expression:
    """A random expression, not yet known to fit."""
    if size == 0:
        return Expression(rng.randint(0, operand))
    left = rng.choice((0, size - 1, rng.randrange(size)))
    sign = rng.choice("+-*")
    return Expression(0, sign, grow(rng, left, operand), grow(rng, size - 1 - left, operand))


def expression(rng: random.Random, size: int, operand: int = OPERAND) -> Expression:
    """A random expression of `size` operations, all results from 0 to TOP."""
    while True:
        tree = grow(rng, size, operand)
        if fits(tree):
            return tree


def fact(rng: random.Random, top: int = TOP) -> tuple[int, str, int]:
    """One operation: half of them as chains have them, half spread over the whole range."""
    while True:
        if rng.random() < 0.5:
            step = rng.choice(steps(expression(rng, rng.choice((1, 2, 3, 4)))))
            a, sign, b = step.a, step.sign, step.b
        else:
            a, sign, b = spread(rng, top)
        if max(a, b) <= top and 0 <= apply(sign, a, b) <= top:
            return a, sign, b


def spread(rng: random.Random, top: int) -> tuple[int, str, int]:
    """Any number with a small one; now and then two large ones."""
    sign = rng.choice("++--*")
    a = rng.randint(0, rng.choice((top, top, OPERAND)))
    b = rng.randint(0, top if rng.random() < 0.08 else OPERAND)
    if sign == "*":
        a, b = sorted((rng.randint(0, OPERAND), rng.randint(0, min(top, 100))), reverse=True)
    return (b, sign, a) if sign != "-" and rng.random() < 0.3 else (a, sign, b)
