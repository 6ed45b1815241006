"""A cap on thinking kept on this side, at real servers: obeyed, answered, and no tag astray."""

from __future__ import annotations

import pytest

from reflectkit import Client
from reflectkit.backends.nano import NanoBackend
from reflectkit.backends.wrapup import WrapUpBackend
from servers import MODEL, Server

NUMBERS = [(a, b, c) for a in (3, 6, 9) for b in (4, 7) for c in (5, 8)]
GRACE = 8
#: server, and the ways in which its cut answers come
WAYS = [("llama", {"closed", "asked"}), ("vllm", {"closed", "asked"})]
WAYS += [("transformers", {"asked", "salvaged"})]


@pytest.mark.parametrize("cap", [16, 32])
@pytest.mark.parametrize(("name", "ways"), WAYS)
async def test_a_cap_is_kept(
    name: str, ways: set[str], cap: int, request: pytest.FixtureRequest
) -> None:
    server: Server = request.getfixturevalue(name)
    seen = set()
    async with NanoBackend(MODEL) as here, server.backend() as there:
        await here.load()
        assert here.count is not None
        backend = WrapUpBackend(there, thinking=cap, grace=GRACE, count=here.count)
        async with Client(backend, mode="trained", temperature=0.0) as client:
            for a, b, c in NUMBERS:
                reply = await client.ask(f"What is ({a} * {b} + {c}) * 2?")
                inside = reply.transcript.sections[0]
                # the markup of a reflection that had to be closed comes on top
                assert here.count(inside.text) <= cap + GRACE + 3
                assert reply.output.strip()
                assert "<" not in reply.output
                assert not reply.issues, reply.transcript.source
                seen.add(reply.ending)
    assert seen <= {*ways, "complete"}
    assert seen & ways
