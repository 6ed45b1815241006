"""The published comparison of Reflection 70B, worked out from its numbers alone.

Glaive, who trained it, measured three arms with one harness (October 2024): Llama 3.1 70B, the same
with the reflection system prompt, and the trained model. The single answers are not public, so the
test is the unpaired one, a conservative stand-in. Of MATH no number of problems is given: that of
its whole test set is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from .stats.power import smallest_difference
from .stats.unpaired import TwoShares, two_shares

__all__ = ["PUBLISHED", "SOURCE", "Published", "Reading", "as_table", "reading"]

#: Where the figures are from.
SOURCE: Final = "glaive.ai/blog/post/reflection-postmortem (October 2024)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One benchmark: its size, and the share of right answers of each arm, in percent."""

    benchmark: str
    n: int
    base: float
    prompted: float
    trained: float


PUBLISHED: Final = (
    Published(benchmark="MMLU", n=14_042, base=84.70, prompted=84.46, trained=90.94),
    Published(benchmark="GPQA diamond", n=198, base=41.07, prompted=43.30, trained=55.6),
    Published(benchmark="HumanEval", n=164, base=82.32, prompted=67.07, trained=89.02),
    Published(benchmark="MATH", n=5_000, base=55.70, prompted=64.82, trained=70.8),
    Published(benchmark="GSM8K", n=1_319, base=94.57, prompted=94.01, trained=95.22),
    Published(benchmark="IFEval", n=541, base=89.39, prompted=83.96, trained=87.63),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the numbers of one benchmark say.

    ``recovery``: the share of the trained model's gain that the prompt brings as well; None where
    training gains nothing that can be told from chance. ``smallest``: the smallest difference that
    so many problems show in a paired comparison with a tenth of them discordant.
    """

    benchmark: str
    prompt: TwoShares
    training: TwoShares
    recovery: float | None
    smallest: float | None


def reading(row: Published) -> Reading:
    """Work out one benchmark."""
    base, prompted, trained = row.base / 100, row.prompted / 100, row.trained / 100
    prompt, training = two_shares(base, prompted, row.n), two_shares(base, trained, row.n)
    real = training.p < 0.05 and training.value > 0
    return Reading(
        benchmark=row.benchmark,
        prompt=prompt,
        training=training,
        recovery=prompt.value / training.value if real else None,
        smallest=smallest_difference(row.n, 0.1),
    )


def as_table(rows: Sequence[Published] = PUBLISHED) -> str:
    """The arithmetic as a Markdown table."""
    lines = [
        "| benchmark (n) | prompt less base | z | training less base | z | recovery | smallest |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        found = reading(row)
        recovery = "–" if found.recovery is None else f"{100 * found.recovery:.0f} %"
        smallest = "none" if found.smallest is None else f"{100 * found.smallest:.1f}"
        lines.append(
            f"| {row.benchmark} ({row.n:,}) | {100 * found.prompt.value:+.2f} | "
            f"{found.prompt.z:+.1f} | {100 * found.training.value:+.2f} | {found.training.z:+.1f} "
            f"| {recovery} | {smallest} |"
        )
    return "\n".join(lines)
