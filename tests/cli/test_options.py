"""The command line's own grammar; keys never stand on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from reflectkit.cli._options import build

SECRET = "sk-very-secret"


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as caught:
        build().parse_args(arguments)
    assert caught.value.code == 2
    return capsys.readouterr().err


def test_a_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", SECRET)
    assert build().parse_args(["ask", "--api-key", "env:MY_KEY", "hi"]).api_key == SECRET


def test_a_key_comes_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(f"{SECRET}\n")
    assert build().parse_args(["ask", "--api-key", f"file:{path}", "hi"]).api_key == SECRET


def test_a_key_on_the_command_line_is_refused_and_not_repeated(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = refused(["ask", "--api-key", SECRET, "hi"], capsys)
    assert "env:NAME or file:PATH" in said
    assert SECRET not in said


@pytest.mark.parametrize("where", ["env:", "env:NOT_SET_ANYWHERE", "file:", "file:/does/not/exist"])
def test_a_key_that_is_nowhere_is_refused(where: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--api-key" in refused(["ask", "--api-key", where, "hi"], capsys)


def test_a_key_file_of_several_lines_is_refused_and_not_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "key"
    path.write_text(f"{SECRET}\n{SECRET}\n")
    said = refused(["ask", "--api-key", f"file:{path}", "hi"], capsys)
    assert "one line" in said
    assert SECRET not in said


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["answer", "hi"],
        ["ask", "--show", "some", "hi"],
        ["ask", "--mode", "magic", "hi"],
        ["ask", "--max-tokens", "0", "hi"],
        ["ask", "--max-tokens", "many", "hi"],
        ["ask", "--temperature", "-1", "hi"],
        ["ask", "--temperature", "nan", "hi"],
        ["ask", "--timeout", "0", "hi"],
        ["ask", "--temp", "1", "hi"],
        ["parse", "a", "b"],
        ["parse", "--events", "--recover"],
    ],
    ids=" ".join,
)
def test_what_cannot_be_meant_is_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert "usage: reflectkit" in refused(arguments, capsys)


def test_help_lists_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        build().parse_args(["--help"])
    assert caught.value.code == 0
    assert "130  ended by Ctrl-C" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        build().parse_args(["--version"])
    assert capsys.readouterr().out.startswith("reflectkit 0.")
