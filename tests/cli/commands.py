"""Runs the real command in a process of its own."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

#: The variables that change what the command prints; a test sets what it needs.
LOUD = ("NO_COLOR", "FORCE_COLOR", "REFLECTKIT_API_KEY")


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str


class Command:
    """Runs ``reflectkit`` with the interpreter that runs the tests."""

    def __init__(self, seconds: float = 60) -> None:
        self._seconds = seconds

    async def __call__(self, *arguments: str, stdin: str | None = None, **env: str) -> Result:
        """Run to the end; ``stdin=None`` is /dev/null, text is a pipe."""
        async with self.start(*arguments, stdin=stdin is not None, **env) as process:
            data = None if stdin is None else stdin.encode("utf-8", "surrogateescape")
            out, err = await asyncio.wait_for(process.communicate(data), self._seconds)
        assert process.returncode is not None
        return Result(process.returncode, out.decode(), err.decode())

    @asynccontextmanager
    async def start(
        self, *arguments: str, stdin: bool = False, **env: str
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        """A running command; killed on the way out if it still runs."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "reflectkit",
            *arguments,
            stdin=asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**quiet_environment(), **env},
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


def quiet_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in LOUD}
