"""The doctor at real servers: no false alarm at sound ones, and real misconfigurations found."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from reflectkit.backends.nano import embedded_models
from reflectkit.probe import Examination, doctor
from reflectkit.testing.markov import chain, write_chain
from servers import MODEL, Server

HEADER = "{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\\n\\n' + m['content'] }}"
TURN = HEADER + "{{ '<|eot_id|>' }}"
ASSISTANT = "{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}"
SOUND = "{% for m in messages %}" + TURN + "{% endfor %}" + ASSISTANT
WITHOUT_SYSTEM = (
    "{% for m in messages %}{% if m['role'] != 'system' %}" + TURN + "{% endif %}{% endfor %}"
) + ASSISTANT
PREFILLED = SOUND + "{{ '<thinking>\\n' }}"
WORDS = (" two", " plus", " is", " four")
ENDLESS = {
    **chain("\n\n", "<thinking>", " two", " plus", "</thinking>", "<output>", " four"),
    **chain(" four", "</output>", " is", " is"),
}


@contextmanager
def llama_server(path: Path, **settings: Any) -> Iterator[str]:
    """A llama.cpp server with these parameters."""
    xllamacpp = pytest.importorskip("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path, params.model_alias = str(path), {MODEL}
    params.hostnames, params.port, params.verbosity = ["127.0.0.1"], 0, 0
    params.n_ctx, params.n_parallel, params.use_jinja = 2048, 2, True
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    for name, value in settings.items():
        setattr(params, name, value)
    server = xllamacpp.Server(params)
    server.handle_metrics()  # answered once its loop runs
    yield f"{server.listening_address}/v1"
    del server


def names(found: Examination) -> set[str]:
    return {f.id for f in found.findings if f.severity != "note"}


@pytest.mark.parametrize("name", ["llama", "transformers", "vllm"])
async def test_no_false_alarm(name: str, request: pytest.FixtureRequest) -> None:
    server: Server = request.getfixturevalue(name)
    found = await doctor(server.url, model=server.model, api_key=server.key or None, profile=MODEL)
    assert found.sound, str(found)


NOTES = {
    "llama": {"any-model-name"},
    # by its greedy rule vLLM gives one answer at temperature 0; ours asks at 0.7
    "vllm": set(),
    "transformers": {"fields-refused", "stop-left", "n-ignored"},
}


@pytest.mark.parametrize("name", NOTES)
async def test_what_it_notes(name: str, request: pytest.FixtureRequest) -> None:
    """The differences between the three are told, and are no faults."""
    server: Server = request.getfixturevalue(name)
    found = await doctor(server.url, model=server.model, api_key=server.key or None, profile=MODEL)
    assert {f.id for f in found.findings} == NOTES[name], str(found)


WRONG: dict[str, tuple[dict[str, Any], set[str]]] = {
    "as it should be": ({"chat_template": SOUND}, set()),
    "a small default cap": ({"n_predict": 7}, {"output-cap"}),
    "a small context": ({"n_ctx": 512}, {"context-small"}),
    # llama.cpp notices, and puts it into the user's turn
    "a template without a system turn": ({"chat_template": WITHOUT_SYSTEM}, set()),
    "a template that opens thinking": ({"chat_template": PREFILLED}, {"opener-prefilled"}),
}


@pytest.mark.parametrize("fault", WRONG)
async def test_a_server_started_wrongly(fault: str) -> None:
    settings, expected = WRONG[fault]
    with llama_server(embedded_models()[MODEL], **settings) as url:
        found = await doctor(url)
    assert names(found) == expected, str(found)


async def test_tags_that_are_special_tokens(tmp_path: Path) -> None:
    """llama.cpp takes them out unless it was started to render special tokens."""
    table = chain(
        "\n\n", "<thinking>", " two", " plus", "</thinking>", "<output>", " four", "</output>"
    )
    path = write_chain(
        tmp_path / "special.gguf",
        {**table, "</output>": {"<|eot_id|>": 1.0}},
        words=WORDS,
        tags_are_control=True,
    )
    with llama_server(path) as url:
        found = await doctor(url)
    assert "tags-stripped" in names(found), str(found)
    with llama_server(path, special=True) as url:
        found = await doctor(url)
    assert "tags-stripped" not in names(found), str(found)
    assert "end-token-shown" in names(found), str(found)


async def test_a_model_that_never_ends_its_turn(tmp_path: Path) -> None:
    path = write_chain(tmp_path / "endless.gguf", ENDLESS, words=WORDS)
    with llama_server(path) as url:
        found = await doctor(url)
    assert "runs-on" in names(found), str(found)
