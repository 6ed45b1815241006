"""tiktoken's encodings come from its cache or not at all; nothing is downloaded unasked."""

from __future__ import annotations

import hashlib
import socket
from pathlib import Path
from typing import Any

import pytest
import tiktoken.registry
from tiktoken.load import load_tiktoken_bpe

from reflectkit.budget import LearnedCounter
from reflectkit.counters import ExactCounter, counter_for, counter_named, encodings, registry
from reflectkit.counters.vocabulary import GPT2
from reflectkit.errors import ConfigurationError

FILE = "encodings/tiny.tiktoken"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, nothing remembered, and no way out."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(encodings, "_tokenizers", {})
    monkeypatch.setattr(registry, "_counters", type(registry._counters)())

    def refuse(*_: Any, **__: Any) -> None:
        raise ConnectionError("the network was asked")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    return tmp_path


@pytest.fixture
def tiny(bpe: Any, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An encoding of tiktoken's own making, of a file in its cache."""
    from base64 import b64encode

    tokens = dict.fromkeys([*(bytes([b]) for b in range(256)), *(a + b for a, b in bpe.merges)])
    data = b"".join(b64encode(t) + b" %d\n" % i for i, t in enumerate(tokens))
    sha256 = hashlib.sha256(data).hexdigest()
    url = encodings._HOST + FILE

    def construct() -> dict[str, Any]:
        return {
            "name": "tiny",
            "pat_str": GPT2,
            "mergeable_ranks": load_tiktoken_bpe(url, expected_hash=sha256),
            "special_tokens": {"<|endoftext|>": 1000},
        }

    tiktoken.registry._find_constructors()
    constructors = tiktoken.registry.ENCODING_CONSTRUCTORS
    monkeypatch.setattr(tiktoken.registry, "ENCODINGS", {})
    monkeypatch.setitem(constructors, "tiny", construct)  # type: ignore[arg-type]  # its type is that of one package
    monkeypatch.setattr(encodings, "_FILES", {**encodings._FILES, "tiny": (FILE, sha256)})
    monkeypatch.setattr(encodings, "_ENCODINGS", {**encodings._ENCODINGS, "tiny": ("tiny",)})
    path = cache / hashlib.sha1(url.encode()).hexdigest()
    path.write_bytes(data)
    return path


def test_an_encoding_from_the_cache(tiny: Path, bpe: Any) -> None:
    counter = counter_named("tiny")
    assert counter.exact
    assert counter.count("the end<|endoftext|>") == bpe.count("the end<|endoftext|>")
    assert counter.count("the end<|endoftext|>", special=True) == bpe.count("the end") + 1


@pytest.mark.parametrize("name", ["o200k_base", "cl100k_base", "gpt2"])
def test_a_missing_file_is_an_error_without_network(name: str) -> None:
    with pytest.raises(ConfigurationError, match="download=True") as caught:
        counter_named(name)
    assert "TIKTOKEN_CACHE_DIR" in caught.value.hint


def test_a_download_that_fails_is_typed() -> None:
    with pytest.raises(ConfigurationError, match="could not be loaded"):
        counter_named("o200k_base", download=True)


def test_a_damaged_file_is_as_good_as_none_and_stays(tiny: Path) -> None:
    """tiktoken itself would delete it and go to the network."""
    tiny.write_bytes(b"AA== 0\n")
    with pytest.raises(ConfigurationError, match="not in tiktoken's cache"):
        counter_named("tiny")
    assert tiny.exists()


def test_an_unknown_name_is_answered_with_the_known() -> None:
    with pytest.raises(ConfigurationError, match="cl100k_base"):
        counter_named("cl100k")


def test_no_cache_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")
    assert not encodings.is_cached("o200k_base")


def test_the_other_places_of_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TIKTOKEN_CACHE_DIR")
    monkeypatch.setenv("DATA_GYM_CACHE_DIR", "elsewhere")
    assert encodings._folder() == "elsewhere"
    monkeypatch.delenv("DATA_GYM_CACHE_DIR")
    assert encodings._folder().endswith("data-gym-cache")


def test_counter_for_a_name_that_nobody_knows_learns() -> None:
    counter = counter_for("org/some-model")
    assert isinstance(counter, LearnedCounter)
    assert not counter.exact
    assert counter_for("org/some-model") is counter
    assert counter_for("Org/Some_Model") is counter  # the spelling says nothing
    assert counter_for("org/another") is not counter


def test_counter_for_what_is_at_hand(bpe: Any, tmp_path: Path) -> None:
    path = bpe.write(tmp_path)
    exact = counter_for("org/some-model", path=path)
    assert isinstance(exact, ExactCounter)
    assert counter_for("org/some-model", path=path) is exact
    assert counter_for("nano-reflect").exact


def test_a_known_model_is_exact_once_its_file_is_there(
    tiny: Path, bpe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert encodings.encoding_of("openai/gpt-4o") == "o200k_base"
    assert not counter_for("gpt-4o").exact
    monkeypatch.setattr(registry, "encoding_of", {"gpt-4o-mini": "tiny"}.get)
    assert counter_for("gpt-4o-mini").exact


def test_others_learn_from_what_is_there(
    tiny: Path, bpe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encodings, "_BASES", ("o200k_base", "tiny"))
    counter = counter_for("org/some-model")
    text = "The documentation of the module says what the module does."
    assert counter.count(text) == bpe.count(text)


def test_the_number_of_models_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_KEPT", 3)
    first = counter_for("first")
    for name in ("b", "c"):
        counter_for(name)
    assert counter_for("first") is first
    counter_for("d")
    assert counter_for("first") is first
    assert len(registry._counters) == 3
