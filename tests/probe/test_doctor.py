"""Every fault that can be planted is found, and no other; sound servers have none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from endpoint import Endpoint
from reflectkit.errors import (
    BackendStatus,
    BackendUnreachable,
    BackendWireError,
    ConfigurationError,
)
from reflectkit.probe import CATALOGUE, Examination, doctor
from reflectkit.testing import LoopbackServer, chat, page, refusal

#: always so on this server; no fault
USUAL = {"tags-need-a-field"}
TOP = {"top_provider": {"context_length": 8192, "max_completion_tokens": 4096}}

#: what is wrong with the endpoint, and what must be found beside ``USUAL``
PLANTED: dict[str, tuple[dict[str, Any], set[str]]] = {
    "tags stripped for good": ({"strips": "always"}, {"tags-stripped"}),
    "tags stripped, and nobody tokenizes": (
        {"strips": "always", "routes": False, "owner": "", "answer": "\n\n\nWell.\n\n\n\n5"},
        {"tags-stripped"},
    ),
    "an untrained model": ({"answer": "The answer is 5."}, {"no-protocol"}),
    "a parser that swallows": ({"parser": "greedy"}, {"answer-swallowed"}),
    "a parser that splits": ({"parser": "right"}, {"split-by-server"}),
    "the opener in the prompt": ({"prefills": True}, {"opener-prefilled"}),
    "no output": (
        {"answer": "<thinking>\nI add 2 and 3.\n</thinking>"},
        {"output-missing"},
    ),
    "tags in pieces": ({"spelled": True, "strips": "never"}, {"tags-spelled"}),
    "tags in pieces, and nobody tokenizes": (
        {"spelled": True, "routes": False, "owner": "", "strips": "never"},
        {"tags-spelled"},
    ),
    "other ids for the tags": ({"first_tag": 128_002}, {"tag-ids"}),
    "six rows too few": ({"vocabulary": 128_256}, {"vocabulary"}),
    "the system text dropped": ({"drops_system": True}, {"system-dropped", "no-protocol"}),
    "the system text dropped, and nobody shows it": (
        {"drops_system": True, "routes": False, "owner": ""},
        {"system-dropped", "no-protocol"},
    ),
    "two beginnings": ({"begins_twice": True}, {"begins-twice"}),
    "dates in the template": ({"dates": True}, {"template-dates"}),
    "a blank line after the system header": ({"blank_line": True}, {"template-layout"}),
    "a context of 4,096": ({"context": 4096}, {"context-small"}),
    "a listing that promises more": (
        {"row": {"context_length": 131_072, **TOP}},
        {"context-overstated", "cap-advertised"},
    ),
    "a default cap": ({"default_cap": 12}, {"output-cap"}),
    "a cap that is ignored": ({"obeys_cap": False}, {"cap-ignored"}),
    "the end of the turn in the text": ({"keeps_end": True}, {"end-token-shown"}),
    "no stop id": ({"stops": False}, {"runs-on"}),
    "no usage": ({"counts": "none"}, {"usage-missing"}),
    "usage of nothing": ({"counts": "zero"}, {"usage-implausible"}),
    "usage that is always the same": (
        {"counts": "same", "routes": False, "owner": ""},
        {"usage-implausible"},
    ),
    "no stream": ({"streams": False}, {"not-streamed"}),
    "another model answers": ({"says": "claude-3-5-sonnet"}, {"model-substituted"}),
    "any name will do": ({"strict_names": False}, {"any-model-name"}),
    "a new turn in place of a prefix's rest": ({"continues": False}, {"prefix-not-continued"}),
    "a stop string left": ({"cuts_stop": False}, {"stop-left"}),
    "one answer for two": ({"several": False}, {"n-ignored"}),
    "unknown fields refused": ({"strict_fields": True, "strips": "never"}, {"fields-refused"}),
    "never the same": ({"repeats": False}, {"not-repeatable"}),
}


async def examined(endpoint: Endpoint, **more: Any) -> Examination:
    async with endpoint.server() as server:
        found = await doctor(server.url, **more)
        await server.quiet()
    return found


def names(examination: Examination) -> set[str]:
    return {finding.id for finding in examination.findings}


async def test_a_sound_endpoint_has_no_fault() -> None:
    found = await examined(Endpoint())
    assert names(found) == USUAL
    assert found.sound
    assert found.kind == "vllm"
    assert found.profile == "reflection-70b-glaive"
    assert found.requests < 30
    assert "Nothing is wrong." in str(found)


async def test_one_that_keeps_the_tags_by_itself() -> None:
    found = await examined(Endpoint(strips="never"))
    assert names(found) == set()


@pytest.mark.parametrize("fault", PLANTED)
async def test_a_planted_fault_is_found_by_its_name(fault: str) -> None:
    wrong, expected = PLANTED[fault]
    found = await examined(Endpoint(**wrong))
    assert names(found) - USUAL == expected, str(found)
    assert found.sound == all(CATALOGUE[name].severity == "note" for name in expected)


def test_every_finding_has_been_planted() -> None:
    planted = set().union(*(expected for _, expected in PLANTED.values())) | USUAL
    assert CATALOGUE.keys() == planted
    assert len(PLANTED) >= 16


async def test_the_report_says_what_and_how_to_mend_it() -> None:
    found = await examined(Endpoint(strips="always", context=4096))
    text = str(found)
    assert text.index("BROKEN  tags-stripped") < text.index("DEGRADED  context-small")
    assert "skip_special_tokens" in text
    assert "--max-model-len" in text
    assert "Found: 1 broken, 1 degraded." in text
    assert max(map(len, text.splitlines())) <= 100
    data = found.as_dict()
    assert json.loads(json.dumps(data)) == data
    assert data["sound"] is False


async def test_it_says_what_it_cannot_tell() -> None:
    found = await examined(Endpoint(routes=False, owner=""))
    assert any("no route of this server" in words for words in found.undecided)
    assert any("weights" in words for words in found.undecided)


async def test_progress_and_questions_are_few() -> None:
    told: list[str] = []
    async with Endpoint().server() as server:
        found = await doctor(server.url, progress=told.append)
        generated = sum(request.json.get("max_tokens") or 60 for request in server.requests)
    assert len(told) == found.requests
    assert "an answer" in told
    assert generated < 1500


# --- what is no examination ----------------------------------------------------------------------


async def test_nobody_there() -> None:
    async with LoopbackServer() as server:
        gone = server.url
    with pytest.raises(BackendUnreachable):
        await doctor(gone, model="m")


@pytest.mark.parametrize(
    ("served", "error"),
    [
        (refusal(401, "no key"), BackendStatus),
        (refusal(429, "slow down"), BackendStatus),
        (page("Welcome"), BackendWireError),
        (chat("a").broken(2, "reset"), BackendWireError),
    ],
)
async def test_a_server_that_answers_no_question(served: Any, error: type[Exception]) -> None:
    async with LoopbackServer(served) as server:
        with pytest.raises(error) as caught:
            await doctor(server.url, model="m", api_key="sk-0123456789")
        assert "sk-0123" not in str(caught.value)
        await server.quiet()


async def test_a_profile_nobody_knows() -> None:
    with pytest.raises(ConfigurationError, match="no profile 'x'"):
        await doctor("http://127.0.0.1:1/v1", profile="x")


async def test_a_model_of_another_name_can_be_examined_as_what_it_should_be() -> None:
    found = await examined(Endpoint(model="my-model", strips="always"))
    assert "tags-stripped" not in names(found)
    found = await examined(Endpoint(model="my-model", strips="always"), profile="reflection-70b")
    assert "tags-stripped" in names(found)
