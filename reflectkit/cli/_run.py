"""Runs a command and turns whatever happens into an exit code and a line of help."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import ReflectKitError
from ._exits import code_of
from ._printer import printable

if TYPE_CHECKING:
    from argparse import Namespace

__all__ = ["run"]


def run(arguments: Sequence[str] | None = None) -> int:
    """Parse, run, report. Usage errors leave through ``SystemExit``, as argparse does."""
    from . import _options

    _open_missing()
    _forgive_encodings()
    options = _options.build().parse_args(arguments)
    try:
        return _command(options)
    except BrokenPipeError as error:
        _silence_stdout()
        return code_of(error)
    except (KeyboardInterrupt, Exception) as error:
        if options.traceback:
            raise
        if isinstance(error, OSError):
            _silence_stdout()
        _report(error)
        return code_of(error)


def _command(options: Namespace) -> int:
    if options.command == "parse":
        from ._parse import parse

        return parse(options)
    if options.command == "doctor":
        from ._doctor import doctor

        return doctor(options)
    if options.command == "budget":
        from ._budget import budget

        return budget(options)
    if options.command == "compare":
        from ._compare import compare

        return compare(options)
    from ._ask import ask

    return ask(options)


def _open_missing() -> None:
    """A stream that the caller closed leads nowhere; errors must not land on standard output."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - as long as we run
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - the same


def _forgive_encodings() -> None:
    """A terminal that cannot show a character shows a mark instead of ending the program."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def _silence_stdout() -> None:
    """Nobody reads any more: keep the interpreter from complaining when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _report(error: BaseException) -> None:
    if isinstance(error, KeyboardInterrupt):
        return
    if isinstance(error, ReflectKitError):
        lines = [error.message, error.hint]
    elif isinstance(error, OSError):
        lines = [f"{error.strerror or error}.", "--traceback shows where."]
    else:
        lines = [
            f"{type(error).__name__}: {error}",
            "This is a fault of reflectkit: --traceback shows where.",
        ]
    text = "\n  ".join(printable(line) for line in lines if line)
    print(f"reflectkit: {text}", file=sys.stderr)
