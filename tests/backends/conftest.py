"""A real engine with known answers: a Markov chain in a GGUF file."""

from __future__ import annotations

from pathlib import Path

import pytest

from reflectkit.testing.markov import chain, write_chain

WORDS = (" two", " plus", " is", " four", "loop")
#: the answer to every prompt
ANSWER = "<thinking> two plus<reflection> is</reflection></thinking><output> four</output>"
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
