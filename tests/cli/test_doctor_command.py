"""``reflectkit doctor``: a report or JSON, an exit code, and no key anywhere."""

from __future__ import annotations

import json

from commands import Command
from endpoint import Endpoint
from reflectkit.testing import LoopbackServer, anthropic_chat, chat, refusal

KEY = "sk-0123456789abcdef"
THOUGHT = "<thinking>2 + 3 is 5.</thinking><output>5</output>"


async def test_a_report_and_its_code() -> None:
    async with LoopbackServer(chat(reasoning=[THOUGHT]), owner="vllm") as server:
        asked = ("doctor", server.url, "--profile", "reflection-70b")
        told = await Command()(*asked, REFLECTKIT_API_KEY=KEY)
        data = await Command()(*asked, "--json", REFLECTKIT_API_KEY=KEY)
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert told.code == data.code == 1
    assert "BROKEN  answer-swallowed" in told.out
    assert "Mend: Start the server without --reasoning-parser" in told.out
    assert told.err == ""
    found = json.loads(data.out)
    assert found["sound"] is False
    assert found["findings"][0]["id"] == "answer-swallowed"
    assert KEY not in told.out + data.out


async def test_a_sound_endpoint_is_0() -> None:
    async with Endpoint().server() as server:
        told = await Command()("doctor", server.url)
    assert told.code == 0, told.out
    assert "Nothing is wrong." in told.out


async def test_a_quick_look_over_the_other_api() -> None:
    served = anthropic_chat("<thinking>2 + 3 is 5.</thinking>", "<output>5</output>")
    asked = ("--api", "anthropic", "--quick", "--profile", "reflection-70b", "--json")
    async with LoopbackServer(served) as server:
        told = await Command()("doctor", server.url, *asked, REFLECTKIT_API_KEY=KEY)
        assert {request.path for request in server.requests} == {"/v1/messages"}
        assert server.requests[0].headers["x-api-key"] == KEY
    found = json.loads(told.out)
    assert found["quick"] is True
    assert [f["id"] for f in found["findings"]] == ["usage-implausible"]  # it counts nothing


async def test_a_refusal_and_a_wrong_profile_have_the_usual_codes() -> None:
    async with LoopbackServer(refusal(401, f"bad key {KEY}")) as server:
        refused = await Command()("doctor", server.url, "--model", "m", REFLECTKIT_API_KEY=KEY)
        unknown = await Command()("doctor", server.url, "--profile", "nothing")
    assert refused.code == 4
    assert KEY not in refused.err + refused.out
    assert unknown.code == 2
    assert "no profile" in unknown.err
