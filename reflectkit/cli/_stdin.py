"""Text from files and pipes."""

from __future__ import annotations

import os
import select
import stat
import sys
from pathlib import Path

from ..errors import ConfigurationError

__all__ = ["is_piped", "read_file", "read_stdin"]

#: After so many silent seconds we say what we wait for.
PATIENCE = 2.0


def is_piped() -> bool:
    """Whether standard input is a pipe or a file: a terminal or /dev/null brings no text."""
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (AttributeError, OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)


def read_stdin() -> str:
    """All of standard input. Says so on standard error when it is kept waiting."""
    if sys.stdin is None:
        raise ConfigurationError("Standard input is closed.", hint="Name a file, or pipe a text.")
    _wait()
    return _decode(sys.stdin.buffer.read(), "Standard input")


def read_file(path: Path) -> str:
    """A file's text, line ends as they are."""
    try:
        return _decode(path.read_bytes(), str(path))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from error


def _wait() -> None:
    try:
        ready = select.select([sys.stdin], [], [], PATIENCE)[0]
    except (OSError, ValueError):
        return
    if not ready:
        print("reflectkit: waiting for standard input (</dev/null leaves it out)", file=sys.stderr)


def _decode(data: bytes, where: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        hint = "Convert it first, for example with iconv."
        raise ConfigurationError(
            f"{where} is not UTF-8 (byte {error.start}).", hint=hint
        ) from error
