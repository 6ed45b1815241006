"""The Modelfile: its grammar, what it takes from the model's profile, and its template in Go."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from clients import ollama
from recipes import SERVING, TURNS, written
from reflectkit import Client
from reflectkit.models import profile_for
from reflectkit.testing import LoopbackServer, ollama_chat

TEXT = (SERVING / "ollama" / "Modelfile").read_text("utf-8")
GO = os.environ.get("REFLECTKIT_GO") or shutil.which("go")
INSTRUCTIONS = {"FROM", "TEMPLATE", "SYSTEM", "PARAMETER"}
PARAMETERS = {"num_ctx", "num_predict", "temperature", "top_p", "stop"}
LINE = re.compile(r'(?P<word>[A-Z]+) (?P<value>"""(?:.*?)"""|[^\n]*)\n', re.DOTALL)
BLANK = re.compile(r"(?:[ \t]*(?:#[^\n]*)?\n)+")


def instructions(text: str) -> list[tuple[str, str]]:
    """A word and its value for each instruction; triple quotes go over lines."""
    found, at = [], 0
    while at < len(text):
        if gap := BLANK.match(text, at):
            at = gap.end()
            continue
        line = LINE.match(text, at)
        if line is None or line["word"] not in INSTRUCTIONS:
            raise ValueError(f"no instruction: {text[at : at + 40]!r}")
        found.append((line["word"], line["value"].removeprefix('"""').removesuffix('"""')))
        at = line.end()
    return found


FOUND = instructions(TEXT)


def values(word: str) -> list[str]:
    return [value for each, value in FOUND if each == word]


def test_it_says_what_the_profile_says() -> None:
    profile = profile_for("reflection-70b")
    assert values("SYSTEM") == [profile.system]
    given = [line.split(" ", 1) for line in values("PARAMETER")]
    assert {name for name, _ in given} == PARAMETERS
    assert tuple(value for name, value in given if name == "stop") == profile.stop
    numbers = {name: float(value) for name, value in given if name != "stop"}
    assert numbers == {
        "num_ctx": profile.context,
        "num_predict": profile.max_tokens,
        "temperature": profile.temperature,
        "top_p": profile.top_p,
    }


def test_it_begins_from_a_file_and_has_one_template() -> None:
    assert len(values("FROM")) == len(values("TEMPLATE")) == 1
    assert FOUND[0][0] == "FROM"
    assert ".Messages" in values("TEMPLATE")[0], "or Ollama would add the answer by itself"


@pytest.mark.parametrize("wrong", ["SYSTEMS x\n", "FROM\n", 'TEMPLATE """ {{ .Messages }}\n x\n'])
def test_another_grammar_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="no instruction"):
        instructions(TEXT + wrong)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Go's own templates, with a program around them."""
    if not GO:
        pytest.skip("Go is not installed, and REFLECTKIT_GO does not name it")
    folder = tmp_path_factory.mktemp("go")
    caches = {"GOCACHE": str(folder / "cache"), "GO111MODULE": "off", "CGO_ENABLED": "0"}
    source = Path(__file__).with_name("render_template.go")
    subprocess.run(
        [GO, "build", "-o", str(folder / "render"), str(source)],
        check=True,
        env={**os.environ, **caches},
        timeout=170,
    )
    (folder / "template").write_text(values("TEMPLATE")[0], "utf-8")
    return folder


def go(folder: Path, turns: list[dict[str, str]]) -> str:
    return subprocess.run(
        [str(folder / "render"), str(folder / "template")],
        input=json.dumps(turns).encode(),
        stdout=subprocess.PIPE,
        check=True,
        timeout=30,
    ).stdout.decode()


@pytest.mark.parametrize("name", TURNS)
def test_go_gives_the_training_layout(rendered: Path, name: str) -> None:
    assert go(rendered, TURNS[name]) == written(TURNS[name], asked=True)


def test_go_goes_on_from_an_answer_that_was_begun(rendered: Path) -> None:
    begun = [*TURNS["system"], {"role": "assistant", "content": "<thinking>\n2"}]
    assert go(rendered, begun) == written(TURNS["system"], asked=True) + "<thinking>\n2"


async def test_the_client_asks_for_the_context() -> None:
    async with (
        LoopbackServer(ollama_chat("<thinking>2 + 2 is 4</thinking><output>4</output>")) as server,
        ollama(server.root) as backend,
        Client(backend) as client,
    ):
        reply = await client.ask("What is 2 + 2?")
    assert (reply.mode, reply.thinking, reply.output) == ("trained", "2 + 2 is 4", "4")
    sent = server.requests[0].json
    assert sent["options"]["num_ctx"] == 8192
    assert sent["messages"][0]["content"] == profile_for("reflection-70b").system
