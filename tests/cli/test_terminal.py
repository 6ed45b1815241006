"""On a terminal: a real pseudo-terminal, what it shows, and what Ctrl-C does there."""

from __future__ import annotations

import asyncio
import os
import pty
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from commands import quiet_environment
from reflectkit.testing.loopback import LoopbackServer, chat

PIECES = (
    "<thinking>2 + 2 is 5. ",
    "<reflection>No, 4.</reflection></thinking>",
    "<output>28</output>",
)
GOOD = chat(*PIECES)
CTRL_C = b"\x03"


@dataclass(slots=True)
class Terminal:
    """A program on a terminal of its own."""

    master: int
    process: asyncio.subprocess.Process
    screen: bytes = field(default=b"")

    async def until(self, mark: bytes) -> bytes:
        """What the terminal has shown, once ``mark`` is among it."""
        async with asyncio.timeout(30):
            while mark not in self.screen:
                self.screen += await asyncio.to_thread(os.read, self.master, 4096)
        return self.screen

    async def rest(self) -> bytes:
        """Everything that it showed until the program ended."""
        async with asyncio.timeout(30):
            while piece := await asyncio.to_thread(self._read):
                self.screen += piece
        await self.process.wait()
        return self.screen

    def _read(self) -> bytes:
        try:
            return os.read(self.master, 4096)
        except OSError:  # Linux says EIO when the other side is gone
            return b""


@asynccontextmanager
async def terminal(*arguments: str, **env: str) -> AsyncIterator[Terminal]:
    master, slave = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        # A session of its own, whose terminal this is: that is what turns ^C into a signal.
        "import fcntl, os, sys, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
        "os.execv(sys.executable, [sys.executable, '-m', 'reflectkit', *sys.argv[1:]])",
        *arguments,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**quiet_environment(), "TERM": "xterm-256color", **env},
    )
    os.close(slave)
    try:
        yield Terminal(master, process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        os.close(master)


def asking(server: LoopbackServer) -> list[str]:
    return ["ask", "--base-url", server.url, "--model", "loopback", "--mode", "trained", "7*4?"]


async def test_sections_have_colours() -> None:
    async with LoopbackServer(GOOD) as server, terminal(*asking(server)) as term:
        shown = await term.rest()
    assert b"\x1b[2m2 + 2 is 5.\x1b[0m" in shown
    assert b"\x1b[33mNo, 4.\x1b[0m" in shown
    assert shown.endswith(b"\r\n28\r\n")
    assert term.process.returncode == 0


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=str)
async def test_colours_can_be_declined(env: dict[str, str]) -> None:
    async with LoopbackServer(GOOD) as server, terminal(*asking(server), **env) as term:
        shown = await term.rest()
    assert b"\x1b" not in shown
    assert b"[reflection]\r\nNo, 4.\r\n" in shown


async def test_a_model_cannot_act_on_the_terminal() -> None:
    evil = chat("<output>a\x1b]0;owned\x07b\x1b[2J</output>")
    async with LoopbackServer(evil) as server, terminal(*asking(server)) as term:
        shown = await term.rest()
    assert b"\x1b]" not in shown
    assert b"\x1b[2J" not in shown


async def test_ctrl_c_leaves_the_terminal_as_it_was() -> None:
    half = GOOD.broken(3, "stall")
    async with LoopbackServer(half) as server, terminal(*asking(server)) as term:
        await term.until(b"No, 4.")
        os.write(term.master, CTRL_C)
        shown = await term.rest()
        await server.quiet()
    assert term.process.returncode == 130
    assert b"Traceback" not in shown
    assert shown.count(b"\x1b[0m") * 2 == shown.count(b"\x1b[")
    assert shown.endswith(b"\r\n")


async def test_without_a_question_a_terminal_gets_help_and_does_not_wait() -> None:
    async with terminal("ask") as term:
        shown = await term.rest()
    assert term.process.returncode == 2
    assert b"Ask one: reflectkit ask" in shown
