"""What the tests of budgets ask, and a thought that is longer than any of them."""

from __future__ import annotations

from reflectkit.reply import Grant, Reply

QUESTION = "What is 6 * 7?"
THOUGHT = ["<thinking>", *(f"Step {i} is long. " for i in range(60)), "So 6 * 7 = 42. "]
LONG = [*THOUGHT, *["I go on. "] * 40, "</thinking><output>42</output>"]


def grant(reply: Reply, limit: str) -> Grant:
    return next(g for g in reply.grants if g.limit == limit)
