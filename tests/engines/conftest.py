"""The three real servers, and the models for the transformers backend, each made once."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from asking import TABLE, WORDS
from reflectkit.backends.nano import embedded_models
from reflectkit.testing.markov import write_chain
from servers import MODEL, Server, as_folder, free_port, running, serve_vllm

if TYPE_CHECKING:
    from reflectkit.backends.transformers import TransformersBackend

TRANSFORMERS = os.environ.get("REFLECTKIT_TRANSFORMERS_PYTHON", "")
VLLM = os.environ.get("REFLECTKIT_VLLM_PYTHON", "")


@pytest.fixture(scope="session")
def llama() -> Iterator[Server]:
    """llama.cpp's own HTTP server."""
    xllamacpp = pytest.importorskip("xllamacpp")  # reflectkit[local]
    params, key = xllamacpp.CommonParams(), secrets.token_hex(16)
    params.model.path = str(embedded_models()[MODEL])
    params.model_alias = {MODEL}
    params.hostnames, params.port, params.api_keys = ["127.0.0.1"], 0, [key]
    params.verbosity, params.n_ctx, params.n_parallel = 0, 2048, 2
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.use_jinja = True
    # by default it rounds attention to 16 bits, which turns what is nearly a draw
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    server = xllamacpp.Server(params)
    server.handle_metrics()  # answered once its loop runs
    yield Server(f"{server.listening_address}/v1", MODEL, key)
    del server


@pytest.fixture(scope="session")
def transformers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """``transformers serve``."""
    if not TRANSFORMERS:
        pytest.skip("REFLECTKIT_TRANSFORMERS_PYTHON names no Python that has transformers")
    folder = as_folder(TRANSFORMERS, tmp_path_factory)
    port = free_port()
    command = [str(Path(TRANSFORMERS).with_name("transformers")), "serve", str(folder)]
    command += ["--device", "cpu", "--host", "127.0.0.1", "--port", str(port)]
    with running(command, tmp_path_factory.mktemp("log") / "serve.log", port):
        yield Server(f"http://127.0.0.1:{port}/v1", str(folder))


@pytest.fixture(scope="session")
def vllm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """vLLM on the processor."""
    if not VLLM:
        pytest.skip("REFLECTKIT_VLLM_PYTHON names no Python that has vLLM")
    calling = ("--enable-auto-tool-choice", "--tool-call-parser", "hermes")
    with serve_vllm(VLLM, tmp_path_factory, *calling) as server:
        yield server


# --- models in this process; they skip where torch is absent


def folder_of(gguf: Path, folder: Path) -> Path:
    """The model file as a Hugging Face folder."""
    pytest.importorskip("torch")  # reflectkit[transformers]
    pytest.importorskip("transformers")  # reflectkit[transformers]
    import hf_folder

    hf_folder.write(gguf, folder)
    return folder


def loaded(folder: Path) -> tuple[Any, Any]:
    """Model and tokenizer, as a program of its own would load them."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(1)  # a second thread only waits for the first with models this small
    return (
        AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32),
        AutoTokenizer.from_pretrained(folder),
    )


@pytest.fixture(scope="session")
def nano_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded model that reflects."""
    return folder_of(embedded_models()[MODEL], tmp_path_factory.mktemp("hf") / MODEL)


@pytest.fixture(scope="session")
def nano_pair(nano_folder: Path) -> tuple[Any, Any]:
    return loaded(nano_folder)


@pytest.fixture(scope="session")
def markov_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Markov chain that answers everything with a known text."""
    home = tmp_path_factory.mktemp("hf")
    gguf = write_chain(home / "markov.gguf", TABLE, words=WORDS, context=2048)
    return folder_of(gguf, home / "markov")


@pytest.fixture(scope="session")
def markov_pair(markov_folder: Path) -> tuple[Any, Any]:
    return loaded(markov_folder)


@pytest.fixture(scope="session")
def special_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same chain, its tags being special tokens."""
    home = tmp_path_factory.mktemp("hf")
    gguf = write_chain(home / "special.gguf", TABLE, words=WORDS, tags_are_control=True)
    return folder_of(gguf, home / "special")


@pytest_asyncio.fixture
async def backend(markov_pair: tuple[Any, Any]) -> AsyncIterator[TransformersBackend]:
    """The chain, in a backend of its own for each test."""
    from reflectkit.backends.transformers import TransformersBackend

    async with TransformersBackend(markov_pair, name="markov") as backend:
        yield backend


@pytest_asyncio.fixture
async def nano(nano_pair: tuple[Any, Any]) -> AsyncIterator[TransformersBackend]:
    """The embedded model that reflects, likewise."""
    from reflectkit.backends.transformers import TransformersBackend

    async with TransformersBackend(nano_pair, name="nano-reflect") as backend:
        yield backend
