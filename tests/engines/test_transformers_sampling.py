"""Drawing tokens: each knob does what it says, to its own row alone."""

from __future__ import annotations

import random
from typing import Any

import pytest

from reflectkit.backends._hf.ask import Sampling

torch = pytest.importorskip("torch")  # reflectkit[transformers]

#: the chances of five tokens, in disorder
CHANCES = (0.1, 0.4, 0.05, 0.25, 0.2)


def shares(rows: int = 20_000, **knobs: Any) -> list[float]:
    """How often each token is drawn."""
    from reflectkit.backends._hf.sampling import Draw, pick

    numbers = random.Random(5)
    logits = torch.tensor(CHANCES).log().expand(rows, -1)
    sampling = Sampling(**{"temperature": 1.0, **knobs})
    draws = [Draw(sampling=sampling, uniform=numbers.random()) for _ in range(rows)]
    counts = torch.bincount(pick(logits, draws), minlength=len(CHANCES))
    return [round(float(c) / rows, 2) for c in counts]


def close(found: list[float], expected: list[float]) -> bool:
    return all(abs(a - b) <= 0.02 for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    ("knobs", "expected"),
    [
        ({}, list(CHANCES)),
        ({"temperature": 0.0}, [0, 1, 0, 0, 0]),
        ({"temperature": 1e-3}, [0, 1, 0, 0, 0]),
        ({"temperature": 1e6}, [0.2] * 5),
        ({"temperature": 0.5}, [0.04, 0.59, 0.01, 0.23, 0.15]),
        ({"top_k": 2}, [0, 0.62, 0, 0.38, 0]),
        ({"top_k": 99}, list(CHANCES)),
        # the first whose sum reaches the share is in, what comes after it is out
        ({"top_p": 0.6}, [0, 0.62, 0, 0.38, 0]),
        ({"top_p": 0.66}, [0, 0.47, 0, 0.29, 0.24]),
        ({"top_p": 0.0}, [0, 1, 0, 0, 0]),
        ({"min_p": 0.3}, [0, 0.47, 0, 0.29, 0.24]),
        # of the three that top_k leaves, the share of top_p is taken: 0.47 and 0.29
        ({"top_k": 3, "top_p": 0.7}, [0, 0.62, 0, 0.38, 0]),
    ],
)
def test_shares(knobs: dict[str, Any], expected: list[float]) -> None:
    assert close(shares(**knobs), expected)


def test_a_wrong_share_would_be_seen() -> None:
    assert not close(shares(temperature=1.2), list(CHANCES))


def test_a_row_is_drawn_alike_beside_any_others() -> None:
    from reflectkit.backends._hf.sampling import Draw, pick

    numbers = random.Random(1)
    logits = torch.randn(64, 1000, generator=torch.Generator().manual_seed(1))
    kinds: list[dict[str, Any]] = [
        {},
        {"top_k": 5},
        {"top_p": 0.3},
        {"min_p": 0.2},
        {"temperature": 0.0},
    ]
    draws = [
        Draw(
            sampling=Sampling(**{"temperature": 1.0, **kinds[n % 5]}),
            uniform=numbers.random(),
        )
        for n in range(64)
    ]
    together = pick(logits, draws).tolist()
    alone = [int(pick(logits[n : n + 1], [draw])) for n, draw in enumerate(draws)]
    assert together == alone


@pytest.mark.parametrize("uniform", [0.0, 0.5, 1 - 2**-53])
def test_a_token_without_a_chance_is_never_drawn(uniform: float) -> None:
    """Not even by the smallest and the largest number."""
    from reflectkit.backends._hf.sampling import Draw, pick

    logits = torch.full((1, 128_000), -torch.inf)
    logits[0, 77_000] = 0.0
    assert int(pick(logits, [Draw(sampling=Sampling(temperature=1.0), uniform=uniform)])) == 77_000


def test_what_is_forced_and_what_is_banned() -> None:
    from reflectkit.backends._hf.sampling import Draw, pick

    logits = torch.tensor([CHANCES] * 3).log()
    draws = [Draw(), Draw(banned=[1, 3]), Draw(forced=2, banned=[2])]
    assert pick(logits, draws).tolist() == [1, 4, 2]


def test_the_penalty_on_repetition_is_that_of_transformers() -> None:
    """What occurred is divided or multiplied, whichever makes it worse."""
    transformers = pytest.importorskip("transformers")  # reflectkit[transformers]
    from reflectkit.backends._hf.sampling import Draw, pick

    logits = torch.randn(1, 50, generator=torch.Generator().manual_seed(2))
    ids = torch.argsort(logits, descending=True)[:, :10]
    processor = transformers.RepetitionPenaltyLogitsProcessor(penalty=3.0)
    expected = int(processor(ids, logits.clone()).argmax())
    seen = torch.zeros(50, dtype=torch.bool)
    seen[ids[0]] = True
    draw = Draw(sampling=Sampling(repetition_penalty=3.0), seen=seen)
    assert int(pick(logits.clone(), [draw])) == expected != int(logits.argmax())
