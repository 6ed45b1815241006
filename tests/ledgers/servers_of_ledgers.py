"""Starts and ends a Redis server of the tests' own: a socket and a directory nobody else has."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType


class RedisServer:
    """``redis-server`` on a socket in a new directory; nothing is written to disk."""

    def __init__(self, *, password: str = "") -> None:
        self._password = password
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = Path()

    def __enter__(self) -> RedisServer:
        binary = shutil.which("redis-server")
        assert binary, "redis-server is missing: apt install redis-server"
        self._folder = Path(tempfile.mkdtemp(prefix="ledger-"))
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        shutil.rmtree(self._folder)

    @property
    def socket(self) -> str:
        return str(self._folder / "redis")

    @property
    def url(self) -> str:
        secret = f":{self._password}@" if self._password else ""
        return f"unix://{secret}{self.socket}"

    def start(self) -> None:
        options = {
            "port": "0",
            "unixsocket": self.socket,
            "dir": str(self._folder),
            "save": "",
            "appendonly": "no",
            "maxclients": "2000",
        }
        if self._password:
            options["requirepass"] = self._password
        line = [part for name, value in options.items() for part in (f"--{name}", value)]
        self._process = subprocess.Popen(["redis-server", *line], stdout=subprocess.DEVNULL)
        self._await()

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def _await(self) -> None:
        until = time.monotonic() + 20
        while True:
            with socket.socket(socket.AF_UNIX) as probe:
                try:
                    probe.connect(self.socket)
                    return
                except OSError:
                    assert time.monotonic() < until, "redis-server does not start"
            time.sleep(0.02)
