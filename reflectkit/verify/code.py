"""The code in an answer, run with tests in a process of its own.

A guard against accidents, not against malice: ``RunsTests`` says what is prevented, and where.
"""

from __future__ import annotations

import ast
import asyncio
import json
import math
import os
import secrets
import signal
import socket
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..errors import ConfigurationError, MissingCapability
from ..reply import Verdict
from ._answer_code import Answer, completed, found_in
from ._places import in_source

if TYPE_CHECKING:
    from ..reply import Draft

__all__ = ["Guards", "RunsTests"]

_SCRIPT: Final = Path(__file__).with_name("_sandbox.py")
_LARGEST_REPORT: Final = 64 * 1024
_LARGEST_FILE: Final = 16 * 1024 * 1024
_MOST_PROCESSES: Final = 64
#: What the code sees of the environment. One thread keeps numeric libraries within the memory.
_ENVIRONMENT: Final = {"LC_ALL": "C.UTF-8", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Guards:
    """What the system itself enforced in a run, beside what Python's audit hook refuses.

    ``network``: there was none. ``files``: all was read-only but the working folder.
    ``processes``: whatever was started ended with the run. Where they are False (another system
    than Linux, or one that permits no user namespaces) the hook alone refused these things.
    """

    network: bool = False
    files: bool = False
    processes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """``report`` is None when the tests did not come to their end; ``ended`` is as in a shell."""

    report: dict[str, Any] | None = None
    ended: int = -1
    late: bool = False


class RunsTests:
    """Runs the answer's code with ``tests``: Python text with asserts, test functions, or both.

    The code is what stands in the answer's fenced Python blocks, or all of it without any. Tests
    see its names. Functions of the tests whose names begin with ``test`` are called, without
    arguments. ``entry_point`` and ``prompt``: see ``humaneval``.

    It runs in a process of its own with a time limit (``timeout``, in seconds), limits on memory
    (``memory_mb``), processor time, files (16 MiB each) and processes, in an empty folder that is
    removed afterwards, without the environment, input and output of this process. Python's audit
    hook refuses the network, other processes, signals, and files outside that folder (reading
    Python's own is permitted). Where Linux permits user namespaces, the kernel refuses them too:
    ``verdict.value`` is ``Guards``. Elsewhere native code can pass the hook by; macOS does not
    hold the limit on memory. Code that sets out to deceive can: it shares an interpreter with the
    tests. Use a virtual machine against malice.

    Raises ``ConfigurationError`` for another language, for tests that do not compile or could not
    be run, and for limits that cannot be; ``MissingCapability`` on systems without POSIX.
    """

    def __init__(
        self,
        tests: str,
        *,
        language: str = "python",
        timeout: float = 10.0,
        memory_mb: int = 512,
        prompt: str = "",
        entry_point: str = "",
        name: str = "tests",
    ) -> None:
        if os.name != "posix":
            raise MissingCapability(
                "RunsTests needs the process limits of a POSIX system.",
                capability="posix",
                hint="On Windows, run it inside WSL.",
            )
        if language != "python":
            raise ConfigurationError(f"RunsTests runs python, not {language!r}.")
        if not (0 < timeout < math.inf) or memory_mb < 64:
            raise ConfigurationError("timeout must be above 0 s, and memory_mb 64 or more.")
        self._functions = _test_functions(tests)
        self._tests = tests
        self._timeout = timeout
        self._memory = memory_mb * 1024 * 1024
        self._prompt = prompt
        self._entry_point = entry_point
        self.name = name

    @classmethod
    def humaneval(cls, row: Mapping[str, Any], **options: Any) -> RunsTests:
        """For a row with ``prompt`` (a function's head), ``test`` (defines ``check``) and
        ``entry_point`` (the function's name). An answer may hold the whole function or go on
        where the prompt ends.

        Raises ``ConfigurationError`` for a row without them.
        """
        try:
            prompt, test, entry = (str(row[k]) for k in ("prompt", "test", "entry_point"))
        except (KeyError, TypeError) as error:
            raise ConfigurationError("The row needs prompt, test and entry_point.") from error
        return cls(f"{test}\n\ncheck({entry})\n", prompt=prompt, entry_point=entry, **options)

    async def __call__(self, draft: Draft) -> Verdict:
        """Run the draft's code; cancelled or late, nothing of it stays behind."""
        output = draft.output
        if not output:
            return Verdict(ok=False, feedback="The answer has no code.", by="tool", name=self.name)
        answer = found_in(output)
        if self._prompt:
            answer = completed(answer, self._prompt, self._entry_point)
        with tempfile.TemporaryDirectory(prefix="tests-", ignore_cleanup_errors=True) as folder:
            outcome = await self._run(answer, folder)
            return self._verdict(draft, answer, outcome, folder)

    async def _run(self, answer: Answer, folder: str) -> _Outcome:
        token = secrets.token_hex(16).encode()
        limits = {
            "seconds": math.ceil(self._timeout) + 1,
            "memory": self._memory,
            "file": _LARGEST_FILE,
            "processes": _MOST_PROCESSES,
        }
        job = {"tests": self._tests, "functions": self._functions, "limits": limits}
        body = json.dumps({**job, "before": answer.before, "code": answer.code}).encode()
        try:
            async with asyncio.timeout(self._timeout):
                said = await _exchanged(len(body).to_bytes(8, "big") + body + token, folder)
        except TimeoutError:
            return _Outcome(late=True)
        text, _, code = said.rpartition(b"\0")
        return _Outcome(report=_report(text, token), ended=int(code) if code.isdigit() else -1)

    def _verdict(self, draft: Draft, answer: Answer, outcome: _Outcome, folder: str) -> Verdict:
        report = outcome.report
        if report is None:
            return Verdict(ok=False, feedback=self._why(outcome), by="tool", name=self.name)
        guards = Guards(**dict.fromkeys(report["guards"], True))
        if report["ok"]:
            return Verdict(ok=True, by="tool", name=self.name, value=guards)
        # before anything is shortened: the beginning of a path could not be told any more
        report = {**report, "message": _hidden(report["message"], folder)}
        line = answer.line_in_output(report.get("line", 0))
        start, end = in_source(draft, _line_span(draft.output, line))
        return Verdict(
            ok=False,
            feedback=_hidden(_said(report, self._tests, draft.output, line), folder),
            by="tool",
            name=self.name,
            start=start,
            end=end,
            value=guards,
        )

    def _why(self, outcome: _Outcome) -> str:
        if outcome.late:
            return f"The code was stopped: it ran longer than {self._timeout:g} s."
        signals = {128 + s: s.name for s in signal.Signals}
        how = signals.get(outcome.ended, f"exit status {outcome.ended}")
        memory = " or needed too much memory" if how in ("SIGKILL", "SIGSEGV", "SIGABRT") else ""
        return f"The program ended{memory} ({how}) before its tests did."


def _report(said: bytes, token: bytes) -> dict[str, Any] | None:
    """The report before the token; None where the tests did not come to their end."""
    text, _, mark = said.rpartition(b"\n")
    if not secrets.compare_digest(mark, token):
        return None
    try:
        report: dict[str, Any] = json.loads(text.rpartition(b"\n")[2])
    except ValueError:
        return None
    return report


async def _exchanged(job: bytes, folder: str) -> bytes:
    """What the far side said. On any way out its processes are gone."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-B", str(_SCRIPT), str(theirs.fileno()), str(os.getpid())),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            cwd=folder,
            env={**_ENVIRONMENT, "HOME": folder, "TMPDIR": folder},
            pass_fds=(theirs.fileno(),),
            start_new_session=True,
        )
        try:
            theirs.close()
            return await _talk(ours, job)
        finally:
            await _gone(process)


async def _talk(ours: socket.socket, job: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(sock=ours)
    said = b""
    try:
        writer.write(job)
        with suppress(ConnectionError):
            await writer.drain()
            while len(said) < _LARGEST_REPORT and (piece := await reader.read(_LARGEST_REPORT)):
                said += piece
        return said
    finally:
        writer.transport.abort()


async def _gone(process: asyncio.subprocess.Process) -> None:
    """Kill the whole group, and wait for its end even when cancelled once more."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    waiting = asyncio.ensure_future(process.wait())
    while not waiting.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([waiting])


def _test_functions(tests: str) -> list[str]:
    """The functions to call. Raises ``ConfigurationError`` for tests that would test nothing."""
    try:
        tree = ast.parse(tests)
    except (SyntaxError, ValueError) as error:
        raise ConfigurationError(f"The tests are no valid Python: {error}.") from error
    if not tree.body:
        raise ConfigurationError("There are no tests.", hint="Pass asserts or test functions.")
    if any(isinstance(node, ast.ClassDef) and node.bases for node in tree.body):
        raise ConfigurationError(
            "Test classes are not run.", hint="Write asserts, or functions named test_..."
        )
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    functions = [n for n in tree.body if isinstance(n, kinds) and n.name.startswith("test")]
    for node in functions:
        if len(node.args.args) > len(node.args.defaults) or node.decorator_list:
            raise ConfigurationError(
                f"{node.name} takes arguments or is decorated.",
                hint="Test functions are called without arguments; fixtures are not supported.",
            )
    return [node.name for node in functions]


def _said(report: Mapping[str, Any], tests: str, output: str, line: int) -> str:
    """The failure in words that a model can act on."""
    lines, number = tests.splitlines(), report.get("test", 0)
    test = lines[number - 1].strip() if 0 < number <= len(lines) else ""
    where = f" in line {line} of the answer (`{_cut(_line(output, line))}`)" if line else ""
    kind = ": ".join(filter(None, [report["error"], _cut(report["message"], 300)]))
    if not test:
        return f"The code fails{where}: {kind}."
    got = " and ".join(report.get("sides", ()) if not line else ())
    values = f" The two sides are {got}." if got else ""
    return f"The test `{_cut(test)}` fails{where}: {kind}.{values}"


def _cut(text: str, most: int = 160) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _line(output: str, number: int) -> str:
    lines = output.splitlines()
    return lines[number - 1].strip() if 0 < number <= len(lines) else ""


def _line_span(output: str, number: int) -> tuple[int, int] | None:
    lines = output.splitlines(keepends=True)
    if not 0 < number <= len(lines):
        return None
    begins, line = sum(map(len, lines[: number - 1])), lines[number - 1]
    return begins + len(line) - len(line.lstrip()), begins + len(line.rstrip())


def _hidden(text: str, folder: str) -> str:
    """``text`` without the paths of this machine."""
    places = [os.path.realpath(folder), folder, sys.prefix, sys.base_prefix, str(_SCRIPT.parent)]
    for place in sorted({*places, *sys.path, os.path.expanduser("~")}, key=len, reverse=True):
        text = text.replace(place, "...") if len(place) > 1 else text
    return text
