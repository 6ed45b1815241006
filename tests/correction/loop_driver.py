"""Drives a policy without I/O, against models and verifiers that are functions of a random source;
and draws random policies of every class."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from reflectkit.correction import (
    BestOf,
    Correct,
    Elsewhere,
    Escalate,
    Extend,
    GuardedReflection,
    Policy,
    Redraw,
    ReflectIfUncertain,
    Restart,
    RetryInvalid,
    Revise,
    SelfRevise,
    Then,
    Vote,
    single,
    stop,
)
from reflectkit.correction.policy import advance, out_of_budget
from reflectkit.errors import BudgetExceeded
from reflectkit.messages import FinishReason, Message, Request, Usage
from reflectkit.protocol import parse
from reflectkit.reply import Attempt, Reply, Verdict

REQUEST = Request(
    messages=(Message("system", "Be brief."), Message("user", "What is 6 * 7?")),
    max_tokens=64,
    seed=3,
)
LOOPING = (Redraw, Revise, Correct, RetryInvalid, Restart)

Model = Callable[[Request, int], Attempt]
parsed = lru_cache(100_000)(parse)


def tagged(output: str, thinking: str = "hm") -> str:
    return f"<thinking>{thinking}</thinking><output>{output}</output>"


def attempt(
    text: str,
    number: int = 1,
    *verdicts: Verdict,
    request: Request = REQUEST,
    finish: FinishReason = "stop",
    **more: Any,
) -> Attempt:
    """``text`` as the answer to ``request``: tagged, or as it is."""
    source = text if "<" in text else tagged(text)
    usage = Usage(prompt=tokens(request), completion=len(source.encode()))
    return Attempt(
        number=number,
        request=request,
        transcript=parsed(source),
        verdicts=verdicts,
        finish=finish,
        usage=more.pop("usage", usage),
        **more,
    )


def tokens(request: Request) -> int:
    """Tokens of a prompt in a vocabulary of bytes, which has more of them than any other."""
    return len(request.prefix.encode()) + sum(len(m.text.encode()) for m in request.messages)


@dataclass
class Driver:
    """``model`` answers; ``paid`` attempts can be paid. ``asked`` holds every request."""

    model: Model
    paid: int = 1 << 30
    limit: str = "total"
    asked: list[Request | Elsewhere] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    refused: int = 0
    thrown: int = 0

    def run(self, policy: Policy, request: Request = REQUEST) -> Reply:
        flow = policy.flow(request)
        step = advance(flow, None)
        while not isinstance(step, Reply):
            several = step if isinstance(step, tuple) else (step,)
            found = [a for s in several if (a := self._one(s, request)) is not None]
            if found:
                step = advance(flow, tuple(found) if isinstance(step, tuple) else found[0])
                continue
            self.thrown += 1
            error = BudgetExceeded("No more.", limit=self.limit, scope="test")
            if not self.attempts:
                raise error
            step = out_of_budget(flow, self.attempts, error)
        return step

    def _one(self, step: Request | Elsewhere, request: Request) -> Attempt | None:
        if len(self.attempts) >= self.paid:
            self.refused += 1
            assert self.refused < 1_000, "it asks again and again for what it cannot pay"
            return None
        self.asked.append(step)
        number = len(self.attempts) + 1
        self.attempts.append(self.model(request if isinstance(step, Elsewhere) else step, number))
        return self.attempts[-1]


def scripted(*answers: Attempt | str) -> Model:
    """The answers in order, whatever is asked."""

    def model(request: Request, number: int) -> Attempt:
        found = answers[number - 1]
        return attempt(found, number, request=request) if isinstance(found, str) else found

    return model


# --- by chance


def random_rule(rng: random.Random, depth: int = 2) -> Any:
    if depth and rng.random() < 0.5:
        one, two = random_rule(rng, depth - 1), random_rule(rng, depth - 1)
        return one | two if rng.random() < 0.6 else one & two
    rules: list[Callable[[], Any]] = [
        lambda: stop.attempts(rng.randint(1, 6)),
        lambda: stop.tokens(rng.randint(1, 5_000)),
        lambda: stop.seconds(rng.uniform(0.1, 9)),
        lambda: stop.money(rng.uniform(0.1, 9), lambda usage: usage.total / 1_000),
        lambda: stop.same_answer(rng.randint(2, 4)),
        lambda: stop.same_error(rng.randint(2, 4)),
        lambda: stop.no_gain(rng.randint(1, 3)),
        stop.oscillation,
        stop.accepted,
        lambda: stop.rule(lambda state: rng.random() < 0.1),
    ]
    return rng.choice(rules)()


def random_policy(
    rng: random.Random, depth: int = 2, client: Any = None, *, beside: int = 4
) -> Policy:
    """A policy of any class, others inside it; at most ``beside`` attempts side by side."""

    def inner() -> Policy:
        return random_policy(rng, depth - 1, client, beside=beside)

    flat: list[Callable[[], Policy]] = [
        single,
        lambda: rng.choice(LOOPING)(random_rule(rng)),
        lambda: BestOf(rng.randint(1, 6), rng.randint(1, beside)),
        lambda: Vote(
            rng.randint(1, 9),
            rng.randint(1, beside),
            least=rng.randint(1, 4),
            sure=rng.uniform(0.5, 1),
        ),
        lambda: SelfRevise(rng.randint(1, 4)),
        lambda: Extend(rng.randint(1, 3)),
        lambda: GuardedReflection(rng.randint(2, 4), rng.random() < 0.5),
    ]
    nested: list[Callable[[], Policy]] = [
        lambda: Then(inner(), inner()),
        lambda: Escalate(inner(), client, times=rng.randint(1, 3)),
        lambda: ReflectIfUncertain(inner(), rng.random(), doubt=lambda a: rng.random()),
        lambda: GuardedReflection(otherwise=inner()),
    ]
    return rng.choice(flat + 2 * nested if depth else flat)()


def random_text(rng: random.Random) -> str:
    output = rng.choice(["42", "7", "41", "", "word " * rng.randint(1, 20), '{"a": 1}', "B"])
    thinking = "hm " * rng.randint(0, 20)
    shapes = [f"<thinking>{thinking}</thinking>{output}", tagged(output, thinking), output]
    return rng.choice([*shapes, f"<thinking>{thinking}", f"<thinking>a</thinking><output>{output}"])


def random_verdicts(rng: random.Random) -> tuple[Verdict, ...]:
    return tuple(
        Verdict(
            ok=rng.choice([True, False, None]),
            feedback=rng.choice(["", "too long", f"line {rng.randint(1, 9)} is wrong", "x" * 3000]),
            by=rng.choice(["rule", "schema", "tool", "judge", "self"]),
            name=rng.choice(["a", "b", "protocol"]),
            start=rng.choice([None, 0]),
            end=rng.choice([None, 12]),
            score=rng.choice([None, rng.random()]),
        )
        for _ in range(rng.randint(0, 3))
    )


def random_model(rng: random.Random, most: int = 64) -> Model:
    """At most ``most`` bytes an answer, and anything in it."""

    def model(request: Request, number: int) -> Attempt:
        text = random_text(rng)
        cut = len(text.encode()) > most
        source = text.encode()[:most].decode()
        return Attempt(
            number=number,
            request=request,
            transcript=parsed(source),
            finish="length" if cut else rng.choice(["stop", "stop", "content_filter"]),
            usage=Usage(prompt=tokens(request), completion=len(source.encode())),
            verdicts=random_verdicts(rng),
            seconds=rng.random(),
            wrap="unanswered" if rng.random() < 0.03 else "",
            cut=rng.choice(["", "", "", "seconds"]),
        )

    return model
