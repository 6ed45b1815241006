"""What a model would wrongly write: sampled results of every step that is not a rare one."""

from __future__ import annotations

from itertools import product

import torch
from model import Model
from tokenizer import Tokenizer

from reflectkit.comparison.heldout.arithmetic import OPERAND, TOP, apply

PAGE = 64
HEAT = 1.5
DRAWS = 3


def common_steps() -> list[tuple[int, str, int]]:
    """All steps in the range with at least one small operand."""
    found = []
    for sign, (a, b) in product("+-*", product(range(TOP + 1), range(TOP + 1))):
        if min(a, b) <= OPERAND and 0 <= apply(sign, a, b) <= TOP:
            found.append((a, sign, b))
    return found


@torch.no_grad()
def sampled(model: Model, tokenizer: Tokenizer, steps: list[tuple[int, str, int]]) -> torch.Tensor:
    """Wrong results of steps, one row a step, sampled with the right one excluded."""
    texts = [f"<|begin_of_text|>{a} {sign} {b} = " for a, sign, b in steps]
    ids = torch.tensor([tokenizer.encode(t) for t in texts])
    logits = model.logits(model.features(ids)[:, -1]).float() / HEAT
    numbers = torch.tensor([tokenizer.ids[str(n)] for n in range(TOP + 1)])
    logits = logits[:, numbers]
    right = torch.tensor([apply(sign, a, b) for a, sign, b in steps])
    logits[torch.arange(len(steps)), right] = float("-inf")
    return torch.multinomial(torch.softmax(logits, -1), DRAWS, replacement=True)


def own_errors(model: Model, tokenizer: Tokenizer) -> dict[str, list[int]]:
    """Wrong results by the text of the step."""
    steps, found = common_steps(), {}
    for start in range(0, len(steps), PAGE):
        page = steps[start : start + PAGE]
        for (a, sign, b), row in zip(page, sampled(model, tokenizer, page).tolist(), strict=True):
            found[f"{a} {sign} {b}"] = row
    return found
