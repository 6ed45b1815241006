"""Every fault that can be planted is found, and no other; sound servers have none."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

import pytest

from endpoint import ANSWER, MODEL, UNTRAINED, Endpoint
from reflectkit.backends.anthropic import AnthropicBackend
from reflectkit.backends.openai import OpenAIBackend, Timeouts
from reflectkit.errors import (
    BackendError,
    BackendStatus,
    BackendUnreachable,
    BackendWireError,
    ConfigurationError,
)
from reflectkit.messages import Usage
from reflectkit.probe import CATALOGUE, Examination, doctor
from reflectkit.probe import examined as examine_again
from reflectkit.testing import LoopbackServer, Served, anthropic_chat, chat, page, refusal
from reflectkit.testing.loopback import Step

#: always so on this server; no fault
USUAL = {"tags-need-a-field"}
#: a gateway in front of it: nobody tokenizes, and nobody says which server it is
HIDDEN: dict[str, Any] = {"routes": False, "owner": "", "continues": False}
OLLAMA: dict[str, Any] = {
    **HIDDEN,
    "model": "reflection:70b",
    "owner": "library",
    "strips": "never",
    "context": 0,
}
PLAIN: dict[str, Any] = {**HIDDEN, "answer": UNTRAINED, "context": 0}
TOP = {"top_provider": {"context_length": 8192, "max_completion_tokens": 4096}}

#: what is wrong with the endpoint, and what must be found beside ``USUAL``
PLANTED: dict[str, tuple[dict[str, Any], set[str]]] = {
    "tags stripped for good": ({"strips": "always"}, {"tags-stripped"}),
    "tags stripped, and nobody tokenizes": (
        {"strips": "always", **HIDDEN, "counts": "none"},
        {"tags-stripped", "usage-missing"},
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
        {"spelled": True, **HIDDEN, "strips": "never"},
        {"tags-spelled"},
    ),
    "other ids for the tags": ({"first_tag": 128_002}, {"tag-ids"}),
    "six rows too few": ({"vocabulary": 128_256}, {"vocabulary"}),
    "the system text dropped": ({"drops_system": True}, {"system-dropped", "no-protocol"}),
    "the system text dropped, and nobody shows it": (
        {"drops_system": True, **HIDDEN},
        {"system-dropped", "no-protocol"},
    ),
    "two beginnings": ({"begins_twice": True}, {"begins-twice"}),
    "dates in the template": ({"dates": True}, {"template-dates"}),
    "a blank line after the system header": ({"blank_line": True}, {"template-layout"}),
    "a context of 4,096": ({"context": 4096}, {"context-small"}),
    "a context that is smaller by choice": (
        {"model": "Qwen/Qwen3-8B", "context": 16_384},
        {"context-reduced", "thinking-absent"},
    ),
    "half the context of a repack that has 131,072": (
        {"model": "unsloth/Reflection-Llama-3.1-70B", "context": 65_536},
        {"context-small"},
    ),
    "a listing that promises more": (
        {"row": {"context_length": 131_072, **TOP}},
        {"context-overstated", "cap-advertised"},
    ),
    "a default cap": ({"default_cap": 12}, {"output-cap"}),
    "a cap that is ignored": ({"obeys_cap": False}, {"cap-ignored"}),
    "the end of the turn in the text": ({"keeps_end": True}, {"end-token-cut"}),
    "the same, and nobody knows it": (
        {"model": "my/llama", "keeps_end": True},
        {"end-token-shown"},
    ),
    "no stop id": ({"stops": False}, {"runs-on"}),
    "no usage": ({"counts": "none"}, {"usage-missing"}),
    "usage of nothing": ({"counts": "zero"}, {"usage-implausible"}),
    "usage that is always the same": (
        {"counts": "same", **HIDDEN},
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
    "a seed that is ignored": ({"seeds": False}, {"seed-ignored"}),
    "a default cap that only longer answers reach": ({"default_cap": 128}, {"output-cap"}),
    "a listing that promises more than is served": (
        {"context": 131_072, "really": 8192},
        {"context-overstated"},
    ),
    "half the context, and no listing says so": (
        {"context": 0, "really": 4096},
        {"context-small"},
    ),
    "answers of 4,096 at most": ({"most": 4096}, {"answers-capped"}),
    "tags stripped without a trace in the text": (
        {"strips": "always", **HIDDEN, "answer": ANSWER.replace("\n", "")},
        {"tags-stripped"},
    ),
    "a model that does not think now": ({"model": "Qwen/Qwen3-8B"}, {"thinking-absent"}),
    "an empty answer": ({"answer": ""}, {"answer-empty"}),
    "no reason for the end": ({"finishes": False}, {"no-finish"}),
    "no end of the stream": ({"done": False}, {"no-done"}),
    "a gateway that goes on from a prefix": ({"owner": "gateway"}, {"prefix-goes-on"}),
    "a conversion to float16": ({"row": {"meta": {"ftype": "F16"}}}, {"float16"}),
    "usage streamed by nobody who knows the field": (
        {"refuses": ("stream_options",), "strips": "never", "counts": "none"},
        {"fields-refused", "usage-missing"},
    ),
    "Ollama with its small context": (
        {**OLLAMA, "shown": {"template": "{{ .System }}{{ .Prompt }}"}},
        {"context-small"},
    ),
    "Ollama with a cap, no system turn, dates, and thinking opened": (
        {
            **OLLAMA,
            "shown": {
                "parameters": "num_ctx                        8192\nnum_predict   128",
                "template": "Today Date: 26 Jul 2024 {{ .Prompt }}<thinking>\n",
            },
        },
        {"system-dropped", "template-dates", "opener-prefilled", "cap-advertised"},
    ),
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
    assert found.requests < 35
    assert "Nothing is wrong." in str(found)


async def test_one_that_keeps_the_tags_by_itself() -> None:
    found = await examined(Endpoint(strips="never"))
    assert names(found) == set()


#: right in other ways: the settings, and the notes that are made of it
SOUND: dict[str, tuple[dict[str, Any], set[str]]] = {
    "a model that thinks unseen and takes neither temperature nor max_tokens": (
        {**PLAIN, "model": "gpt-5", "hidden": 300, "refuses": ("temperature", "max_tokens")},
        {"fields-refused"},
    ),
    "a hosted model without thinking": ({**PLAIN, "model": "gpt-4o", "most": 16_384}, set()),
    "a prompted model with dates in its template": (
        {"model": "meta-llama/Llama-3.1-8B-Instruct", "answer": UNTRAINED, "dates": True},
        set(),
    ),
    "a gateway with the whole context and the evaluation's cap": (
        {**HIDDEN, "strips": "never", "context": 0, "really": 8192, "most": 6000},
        set(),
    ),
    "a model behind the right parser": (
        {
            **PLAIN,
            "model": "deepseek-r1",
            "parser": "right",
            "needs_telling": False,
            "strips": "never",
            "answer": "2 + 3 is 5.</thinking>5",
        },
        {"split-by-server"},
    ),
}


@pytest.mark.parametrize("kind", SOUND)
async def test_no_false_alarm_at_servers_that_are_right_in_other_ways(kind: str) -> None:
    right, notes = SOUND[kind]
    found = await examined(Endpoint(**right))
    assert names(found) == notes, str(found)
    assert found.sound


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
    endpoint = Endpoint()
    async with endpoint.server() as server:
        found = await doctor(server.url, progress=told.append)
    assert len(told) == found.requests
    assert "an answer" in told
    assert endpoint.generated < 1200


async def test_a_quick_look_asks_for_one_or_two_answers() -> None:
    endpoint = Endpoint(begins_twice=True, spelled=True, strips="never", several=False)
    async with endpoint.server() as server:
        found = await doctor(server.url, quick=True)
    assert names(found) == {"begins-twice", "tags-spelled"}
    assert endpoint.generated < 250
    assert any("asked for quickly" in words for words in found.undecided)
    assert found.as_dict()["quick"] is True


async def test_a_backend_of_ones_own_is_used_as_it_is() -> None:
    async with Endpoint(strips="always").server() as server:
        async with OpenAIBackend(server.url, api_key="sk-0123456789") as backend:
            found = await doctor(backend)
            assert await backend.models()  # still open
        with pytest.raises(ConfigurationError, match="its own key"):
            await doctor(backend, api_key="sk-9876543210")
        sent = {request.headers.get("authorization") for request in server.requests}
    assert sent == {"Bearer sk-0123456789"}
    assert "tags-stripped" in names(found)


async def test_over_anthropics_api_the_same_faults_have_the_same_names() -> None:
    text = "<thinking>2 + 3 is 5.</thinking><output>5</output>"
    wrong = {
        "answer-swallowed": anthropic_chat(thinking=[text]),
        "tags-stripped": anthropic_chat("\n\n2 + 3\n\n\n\nis 5."),
        "end-token-shown": anthropic_chat(text, "<|im_end|>"),
        "no-finish": anthropic_chat(text, stop=None),
        "model-substituted": anthropic_chat(text, model="other"),
    }
    for name, served in wrong.items():
        async with LoopbackServer(served) as server:
            async with AnthropicBackend(server.url, api_key="sk-0123456789") as backend:
                found = await doctor(backend, profile="reflection-70b")
            sent = server.requests[0].json
        assert name in names(found), str(found)
        assert sent["system"].startswith("You are a world-class")
        assert {turn["role"] for turn in sent["messages"]} == {"user"}


async def test_ollamas_own_address_leads_to_the_other_one() -> None:
    async with Endpoint(**OLLAMA, shown={"parameters": "num_ctx 8192"}).server() as server:
        found = await doctor(f"{server.root}/api")
        assert found.url == server.url
    assert found.sound, str(found)


@pytest.mark.parametrize(("paid", "expected"), [(12, set()), (40, {"prefix-not-continued"})])
async def test_a_prefix_that_is_repeated_is_told_from_a_new_turn(
    paid: int, expected: set[str]
) -> None:
    """Their texts are the same; the new turn had to be generated as a whole."""
    found = await examined(Endpoint(strips="never"))
    assert found.seen is not None
    assert found.seen.prefixed is not None
    usage = Usage(prompt=9, completion=paid)
    found.seen.prefixed = replace(found.seen.prefixed, text=ANSWER, usage=usage)
    found.seen.prefixed_tokens = 40
    assert names(examine_again(found.seen)) == expected


LATE = {
    "refused for now": refusal(429, "slow down", Retry_After="0"),
    "dropped": Served((b"data: {",)).broken(1, "drop"),
    "stalled": Served((b"data: {",)).broken(1, "stall"),
    "a page": page("We will be back soon."),
    "no JSON": Served((b"data: [1, 2\n\n",)),
}


@pytest.mark.parametrize("way", LATE)
async def test_what_could_not_be_asked_is_told_and_is_no_finding(way: str) -> None:
    """From the fourth question on the server fails; it is not asked thirty times more."""
    endpoint = Endpoint(strips="always", fails_from=4, fails=LATE[way])
    found = await examined(endpoint, timeouts=Timeouts(between=0.2))
    assert names(found) == {"tags-stripped"}, str(found)
    assert "a capped answer, in one piece: nothing came" in "\n".join(found.undecided)
    assert any("answers no more" in words for words in found.undecided)
    assert found.requests < 12


async def test_what_was_seen_can_be_looked_at_another_day() -> None:
    found = await examined(Endpoint(strips="always", context=4096))
    assert found.seen is not None
    assert examine_again(found.seen, found.url) == found


@pytest.mark.parametrize("seed", range(12))
async def test_any_value_in_any_place_gives_a_report_or_a_typed_error(seed: int) -> None:
    draw = random.Random(seed)
    endpoint = Endpoint(owner=draw.choice(["vllm", "library", ""]), shown={"parameters": "num_ctx"})
    server = endpoint.server()
    chats, paths = server._answers, server._routes
    server._answers = tuple(_wild(answer, draw, 0.04) for answer in chats)
    server._routes = {path: _wild(answer, draw, 0.4) for path, answer in paths.items()}
    async with server:
        try:
            found = await doctor(server.url, model=MODEL, timeouts=5)
        except BackendError:
            return
    assert str(found)
    assert json.dumps(found.as_dict())


def _wild(answer: Any, draw: random.Random, share: float) -> Any:
    return lambda received: _with_other_values(answer(received), draw, share)


def _with_other_values(served: Served, draw: random.Random, share: float) -> Served:
    return replace(served, steps=tuple(_other(step, draw, share) for step in served.steps))


def _other(step: Step, draw: random.Random, share: float) -> Step:
    if not isinstance(step, bytes) or draw.random() > share:
        return step
    head, start, data = step.partition(b"{")
    try:
        value = _mutated(json.loads(start + data), draw)
    except ValueError:
        return step
    return head + json.dumps(value).encode() + (b"\n\n" if head else b"")


def _mutated(value: Any, draw: random.Random) -> Any:
    if draw.random() < 0.15:
        return draw.choice([None, True, -1, 10**30, 1.5, "", "\x1b[31m", [], {}, [[]], "8192"])
    if isinstance(value, dict):
        return {k: _mutated(v, draw) for k, v in value.items() if draw.random() > 0.05}
    if isinstance(value, list):
        return [_mutated(v, draw) for v in value if draw.random() > 0.05]
    return value


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
        (refusal(404, "no such route"), BackendStatus),
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
    with pytest.raises(ConfigurationError, match="no api 'gopher'"):
        await doctor("http://127.0.0.1:1/v1", api="gopher")  # type: ignore[arg-type]  # wrong on purpose


async def test_a_model_of_another_name_can_be_examined_as_what_it_should_be() -> None:
    found = await examined(Endpoint(model="my-model", strips="always"))
    assert "tags-stripped" not in names(found)
    found = await examined(Endpoint(model="my-model", strips="always"), profile="reflection-70b")
    assert "tags-stripped" in names(found)
