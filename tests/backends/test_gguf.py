"""A file that cannot work is refused before llama.cpp sees it, and the message says what to do."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reflectkit.backends.nano import NanoBackend
from reflectkit.errors import ConfigurationError
from reflectkit.models.gguf import read_header
from reflectkit.testing.markov import chain, write_chain

HELLO = chain("\n\n", "h", "i", "<|eot_id|>")


def refused(path: Path | str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        NanoBackend(path)
    assert str(path) in str(caught.value)
    assert caught.value.hint, "it has to say what to do"
    return str(caught.value)


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_what_a_good_file_says(markov: Path) -> None:
    header = read_header(markov)
    assert header.version == 3
    assert header.architecture == "llama"
    assert header.context == 512
    assert "start_header_id" in header.chat_template
    assert header.get("general.name") == "markov"
    assert header.number("llama.block_count") == 1
    assert header.array("tokenizer.ggml.tokens")[-1].startswith("<|spare")
    assert len(header.array("tokenizer.ggml.token_type")) == 320
    assert header.array("nothing") == []
    assert header.get("tokenizer.ggml.tokens") is None


def test_no_such_file(tmp_path: Path) -> None:
    assert "does not exist" in refused(tmp_path / "none.gguf")
    assert "does not exist" in refused(str(tmp_path / "none"))


def test_a_directory_names_what_it_holds(tmp_path: Path) -> None:
    assert "It holds no .gguf file" in refused(tmp_path)
    written(tmp_path / "one.gguf", b"")
    assert "is a directory" in refused(tmp_path)
    assert "one.gguf" in refused(tmp_path)


def test_something_that_is_not_a_file() -> None:
    assert "regular file" in refused("/dev/null")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "It is empty"),
        (b"GG", "no GGUF"),
        (b"hello, world", "no GGUF"),
        (b"PK\x03\x04....", "zip archive"),
        (b"<!DOCTYPE html>", "web page"),
        (b'{"error": 404}', "web page or JSON"),
        (b"version https://git-lfs.github.com/spec/v1", "Git LFS pointer"),
        (b"ggjt\x01\x00\x00\x00", "older format"),
        (b"GGUF", "cut short"),
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "big-endian"),
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "version 1"),
        (b"GGUF" + struct.pack("<IQQ", 9, 0, 0), "version 9"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1), "cut short"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**64 - 1, 2**64 - 1), "cut short"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 2**64 - 1), "cut short"),
        (b"GGUF" + struct.pack("<IQQQcI", 3, 0, 1, 1, b"k", 99), "value type 99"),
        (b"GGUF" + struct.pack("<IQQQcIIQ", 3, 0, 1, 1, b"k", 9, 9, 1), "array of type 9"),
        (b"GGUF" + struct.pack("<IQQQcIIQ", 3, 0, 1, 1, b"k", 9, 8, 2**62), "cut short"),
        (b"GGUF" + struct.pack("<IQQQcI", 3, 1, 0, 1, b"t", 2**31), "dimensions"),
    ],
)
def test_what_is_no_gguf_says_what_it_may_be(tmp_path: Path, data: bytes, says: str) -> None:
    assert says in refused(written(tmp_path / "model.gguf", data))


def test_every_truncation_is_noticed(markov: Path, tmp_path: Path) -> None:
    """At each of 200 places, the last byte among them; the padding at the very end may go."""
    whole = markov.read_bytes()
    cut = tmp_path / "cut.gguf"
    for i in range(200):
        refused(written(cut, whole[: len(whole) * i // 200]))
    refused(written(cut, whole[:-1]))
    read_header(written(cut, whole))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(4, 8000), st.binary(min_size=1, max_size=9))
def test_damage_is_an_error_of_ours_or_nothing(
    tmp_path_factory: pytest.TempPathFactory, at: int, junk: bytes
) -> None:
    """Whatever is written over the header, nothing but ``ConfigurationError`` comes out."""
    folder = tmp_path_factory.getbasetemp()
    path = folder / "damaged.gguf"
    if not (folder / "sound.gguf").exists():
        write_chain(folder / "sound.gguf", HELLO)
    data = bytearray((folder / "sound.gguf").read_bytes())
    data[at : at + len(junk)] = junk
    path.write_bytes(data)
    try:
        header = read_header(path)
    except ConfigurationError:
        return
    assert isinstance(header.context, int)
    assert isinstance(header.chat_template, str)


def test_a_file_without_a_chat_template(tmp_path: Path) -> None:
    """llama.cpp would speak ChatML to it, whatever it was trained on."""
    path = tmp_path / "base.gguf"
    write_chain(path, HELLO, metadata={"tokenizer.chat_template": ""})
    assert "chat template" in refused(path)
    assert NanoBackend(path, chat_template="{{ messages[0].content }}").model == "base"


def test_parts_of_a_model_in_several_files(tmp_path: Path) -> None:
    """Only the first part may be named, and the others have to lie beside it."""
    parts = [tmp_path / f"big-0000{i}-of-00002.gguf" for i in (1, 2)]
    for number, part in enumerate(parts):
        write_chain(part, HELLO, metadata={"split.count": 2, "split.no": number})
    NanoBackend(parts[0])
    assert "part 2 of 2" in refused(parts[1])
    assert parts[0].name in refused(parts[1])
    parts[1].unlink()
    assert "lacks 1 of its 2 parts" in refused(parts[0])


async def test_a_kind_that_llama_cpp_does_not_know(tmp_path: Path) -> None:
    """Sound by its header, and still not to be loaded: then the message names the way out."""
    path = write_chain(tmp_path / "odd.gguf", HELLO, metadata={"general.architecture": "nonesuch"})
    async with NanoBackend(path) as backend:
        with pytest.raises(ConfigurationError, match="could not load") as caught:
            await backend.load()
        assert "verbose=True" in caught.value.hint
        with pytest.raises(ConfigurationError, match="could not load"):
            await backend.load()
