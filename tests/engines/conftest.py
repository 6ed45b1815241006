"""Models for the transformers backend, as folders and loaded. They skip where torch is absent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reflectkit.backends.nano import embedded_models
from reflectkit.testing.markov import chain, write_chain

WORDS = (" two", " plus", " is", " four", "loop")
TABLE = {
    **chain("\n\n", "<thinking>", " two", " plus", "<reflection>", " is", "</reflection>"),
    **chain("</reflection>", "</thinking>", "<output>", " four", "</output>", "<|eot_id|>"),
    # a prefix that ends in one of these goes its own way
    "loop": {"loop": 1.0},
    "a": {"b": 3.0, "c": 1.0},
    **chain("b", "a"),
    **chain("c", "a"),
    **chain("u", "Ã", "©", "<|eot_id|>"),
}


def folder_of(gguf: Path, folder: Path) -> Path:
    """The model file as a Hugging Face folder."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
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
    name = "nano-reflect"
    return folder_of(embedded_models()[name], tmp_path_factory.mktemp("hf") / name)


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
