"""A real engine with known answers: a Markov chain in a GGUF file."""

from __future__ import annotations

from pathlib import Path

import pytest

from asking import TABLE, WORDS
from reflectkit.testing.markov import write_chain


@pytest.fixture(scope="session")
def markov(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file that answers everything with ``ANSWER``."""
    return write_chain(tmp_path_factory.mktemp("gguf") / "markov.gguf", TABLE, words=WORDS)


@pytest.fixture(scope="session")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, with a context so long that an answer under way stays under way."""
    path = tmp_path_factory.mktemp("gguf") / "endless.gguf"
    return write_chain(path, TABLE, words=WORDS, context=16_384)


@pytest.fixture(scope="session")
def special(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, its tags being special tokens."""
    path = tmp_path_factory.mktemp("gguf") / "special.gguf"
    return write_chain(path, TABLE, words=WORDS, tags_are_control=True)
