"""Budgets over a transformers model in this process: its own cap, and one kept on this side."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("transformers")  # reflectkit[transformers]

from reflectkit import Budget, Client
from reflectkit.backends.transformers import TransformersBackend
from servers import MODEL
from test_thinking_caps import GRACE, QUESTIONS, OnThisSide, check, tokens


@pytest.mark.parametrize("cap", [16, 32])
@pytest.mark.parametrize("here", [False, True], ids=["in its own loop", "on this side"])
async def test_a_cap_is_kept(here: bool, cap: int, nano_pair: tuple[Any, Any]) -> None:
    async with TransformersBackend(nano_pair, name=MODEL) as model:
        backend = OnThisSide(model) if here else model
        client = Client(backend, mode="trained", temperature=0.0)
        for question in QUESTIONS:
            reply = await client.ask(question, budget=Budget(thinking=cap, grace=GRACE))
            check(reply, cap)
            (grant,) = [g for g in reply.grants if g.limit == "thinking"]
            assert grant.enforced_by in (("", "client") if here else ("", "server"))


async def test_usage_is_exact_and_a_total_holds(nano_pair: tuple[Any, Any]) -> None:
    """Every token that was written is paid for, those behind the cut included."""
    async with TransformersBackend(nano_pair, name=MODEL) as model:
        client = Client(OnThisSide(model), mode="trained", temperature=0.0)
        for question in QUESTIONS[:4]:
            reply = await client.ask(question, budget=Budget(thinking=16, grace=GRACE))
            assert reply.attempts[0].cut == "thinking"
            ours = tokens("</thinking>\n<output>")  # the client's own words, which nobody wrote
            assert reply.usage.completion >= tokens(reply.transcript.source) - ours - 2
            for total in (130, 200, 300):
                reply = await client.ask(question, budget=Budget(total=total))
                assert reply.usage.total <= total
                assert reply.output.strip() or reply.ending == "unanswered"
