"""The doctor at real servers: no false alarm at sound ones, and real misconfigurations found."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from recipes import with_special_tags
from reflectkit.backends.nano import embedded_models
from reflectkit.probe import Examination, doctor
from reflectkit.testing.markov import chain, write_chain
from servers import MODEL, Server, as_folder, free_port, running, serve_vllm

TRANSFORMERS = os.environ.get("REFLECTKIT_TRANSFORMERS_PYTHON", "")
VLLM = os.environ.get("REFLECTKIT_VLLM_PYTHON", "")

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
    xllamacpp = pytest.importorskip("xllamacpp")  # reflectkit[local]
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


async def test_no_false_alarm_over_the_messages_api(llama: Server) -> None:
    found = await doctor(
        llama.url, model=llama.model, api_key=llama.key, profile=MODEL, api="anthropic"
    )
    assert found.sound, str(found)
    assert found.seen is not None
    assert found.seen.talk.text


NOTES = {
    "llama": {"any-model-name"},
    # by its greedy rule vLLM gives one answer at temperature 0; ours asks at 0.7
    "vllm": set(),
    "transformers": {"fields-refused", "stop-left", "n-ignored", "no-done"},
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
    "no way on from a prefix": ({"prefill_assistant": False}, {"prefix-not-continued"}),
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
    path = with_special_tags(tmp_path)
    with llama_server(path) as url:
        found = await doctor(url)
    assert names(found) == {"tags-stripped"}, str(found)
    with llama_server(path, special=True) as url:
        found = await doctor(url)
    assert found.sound, str(found)
    assert "end-token-cut" in {f.id for f in found.findings}, str(found)


async def test_a_tokenizer_that_spells_the_tags(tmp_path: Path) -> None:
    path = with_other_tags(tmp_path / "spelled.gguf")
    with llama_server(path) as url:
        found = await doctor(url)
    assert "tags-spelled" in names(found), str(found)


def with_other_tags(path: Path) -> Path:
    """The embedded model, whose vocabulary has lost the tags: their names are others."""
    data = embedded_models()[MODEL].read_bytes()
    for name in (b"thinking", b"reflection", b"output"):
        for tag in (b"<%s>" % name, b"</%s>" % name):
            head = struct.pack("<Q", len(tag))
            assert data.count(head + tag) == 1
            data = data.replace(head + tag, head + tag.replace(b"<", b"["))
    path.write_bytes(data)
    return path


@pytest.fixture(scope="module")
def wrong_vllm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """vLLM with special tags, half the context, and a template that opens thinking."""
    if not VLLM:
        pytest.skip("REFLECTKIT_VLLM_PYTHON names no Python that has vLLM")
    special = with_special_tags(tmp_path_factory.mktemp("gguf"))
    template = tmp_path_factory.mktemp("template") / "opens.jinja"
    template.write_text("{{ '<|begin_of_text|>' }}" + PREFILLED, "utf-8")
    options = ("--max-model-len", "512", "--chat-template", str(template))
    folder = as_folder(VLLM, tmp_path_factory, special)
    with serve_vllm(VLLM, tmp_path_factory, *options, folder=folder) as server:
        yield server


async def test_a_vllm_started_wrongly(wrong_vllm: Server) -> None:
    asked: dict[str, Any] = {"model": wrong_vllm.model, "api_key": wrong_vllm.key, "profile": MODEL}
    found = await doctor(wrong_vllm.url, **asked)
    always = {"context-small", "opener-prefilled"}
    assert names(found) == {"tags-stripped", *always}, str(found)
    found = await doctor(wrong_vllm.url, **asked, extra={"skip_special_tokens": False})
    assert names(found) == always, str(found)
    assert "tags-need-a-field" in {f.id for f in found.findings}


async def test_transformers_cannot_keep_special_tags(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    if not TRANSFORMERS:
        pytest.skip("REFLECTKIT_TRANSFORMERS_PYTHON names no Python that has transformers")
    special = with_special_tags(tmp_path_factory.mktemp("gguf"))
    folder, port = as_folder(TRANSFORMERS, tmp_path_factory, special), free_port()
    command = [str(Path(TRANSFORMERS).with_name("transformers")), "serve", str(folder)]
    command += ["--device", "cpu", "--host", "127.0.0.1", "--port", str(port)]
    with running(command, tmp_path_factory.mktemp("log") / "serve.log", port):
        found = await doctor(
            f"http://127.0.0.1:{port}/v1",
            model=str(folder),
            profile=MODEL,
            extra={"skip_special_tokens": False},
        )
    assert names(found) == {"tags-stripped"}, str(found)
    assert "fields-refused" in {f.id for f in found.findings}


async def test_a_model_that_never_ends_its_turn(tmp_path: Path) -> None:
    path = write_chain(tmp_path / "endless.gguf", ENDLESS, words=WORDS)
    with llama_server(path) as url:
        found = await doctor(url)
    assert "runs-on" in names(found), str(found)
