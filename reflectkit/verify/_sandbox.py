"""The far side of ``RunsTests``: a script in a process of its own, which imports nothing of ours.

It is started with a socket's number. Over it comes a job; back goes a report, followed by a token
that is read from the socket only when the tests have ended. This process stays outside, waits, and
says how the child ended in which the code runs. Where Linux permits it, the child has namespaces of
its own: no network, a file system that is read-only but for its folder, and a process tree that
ends with it.
"""

from __future__ import annotations

import ast
import asyncio
import builtins
import contextlib
import ctypes
import inspect
import json
import os
import reprlib
import select
import signal
import sys
import types
from collections.abc import Callable
from typing import Any

PATH_EVENTS = {
    **dict.fromkeys(["os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.chown", "os.utime"], 1),
    **dict.fromkeys(["os.truncate", "os.mkfifo", "os.mknod", "sqlite3.connect"], 1),
    **dict.fromkeys(["os.rename", "os.link", "os.symlink"], 2),
}
LISTING = frozenset(["os.listdir", "os.scandir", "os.walk", "os.chdir"])
STARTING = ("os.fork", "os.exec", "os.posix_spawn", "os.spawn", "os.system", "subprocess.", "pty.")
SIGNALS = frozenset(["os.kill", "os.killpg", "signal.pthread_kill"])
DEVICES = frozenset(["/dev/null", "/dev/zero", "/dev/urandom", "/dev/random"])
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
TOKEN = 32


# --- the child: what the code may do -------------------------------------------------------------


def forbid(folder: str) -> None:
    """An audit hook, which cannot be taken away: everywhere the same, and with clear words."""
    import socket

    local = getattr(socket, "AF_UNIX", None)
    real, fspath, inside = os.path.realpath, os.fspath, f"{folder}{os.sep}"
    known = {sys.prefix, sys.base_prefix, sys.exec_prefix, "/usr/share/zoneinfo", "/etc/localtime"}
    readable = tuple({real(p) + os.sep for p in [*known, *sys.path] if p})

    def path_of(path: Any) -> str:
        text = fspath(path)
        return real(text.decode(errors="surrogateescape") if isinstance(text, bytes) else text)

    def writable(path: Any) -> bool:
        where = path_of(path)
        return f"{where}{os.sep}".startswith(inside) or where in DEVICES

    def may_read(path: Any) -> bool:
        return writable(path) or f"{path_of(path)}{os.sep}".startswith(readable)

    def refusal(event: str, args: tuple[Any, ...]) -> str:
        if event == "open" and not isinstance(args[0], int):
            writes = any(c in (args[1] or "") for c in "wax+") or bool((args[2] or 0) & WRITING)
            if not (writable(args[0]) if writes else may_read(args[0])):
                return "files outside the working folder"
        elif event in PATH_EVENTS:
            paths = [p for p in args[: PATH_EVENTS[event]] if not isinstance(p, int)]
            return "" if all(map(writable, paths)) else "files outside the working folder"
        elif event in LISTING:
            fine = args[0] is None or isinstance(args[0], int) or may_read(args[0])
            return "" if fine else "folders outside the working folder"
        elif event.startswith("socket."):
            # event loops wake themselves over a pair of local ones
            return "" if event == "socket.__new__" and args[1] == local else "the network"
        elif event.startswith(STARTING):
            return "other processes"
        elif event in SIGNALS:
            return "signals"
        return ""

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if what := refusal(event, args):
            raise PermissionError(f"tests run without access to {what}")

    sys.addaudithook(hook)


def limit(limits: dict[str, int]) -> None:
    """Limits of the system, as far as it has them."""
    import resource

    wanted = {
        "RLIMIT_CPU": limits["seconds"],
        "RLIMIT_AS": limits["memory"],
        "RLIMIT_FSIZE": limits["file"],
        "RLIMIT_NPROC": limits["processes"],
        "RLIMIT_NOFILE": 64,
        "RLIMIT_CORE": 0,
    }
    for name, most in wanted.items():
        with contextlib.suppress(AttributeError, ValueError, OSError):  # macOS knows not all
            resource.setrlimit(getattr(resource, name), (most, most))


# --- the child: the tests ------------------------------------------------------------------------


class Watch(ast.NodeTransformer):
    """``assert f(2) == 4`` keeps both sides, so that a failure can tell what came instead."""

    def __init__(self) -> None:
        self.lines: set[int] = set()

    def visit_Assert(self, node: ast.Assert) -> ast.Assert:
        compared = node.test
        if not isinstance(compared, ast.Compare) or len(compared.ops) != 1:
            return node
        self.lines.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        compared.left = self._kept("_left_", compared.left)
        compared.comparators[0] = self._kept("_right_", compared.comparators[0])
        return node

    @staticmethod
    def _kept(name: str, value: ast.expr) -> ast.NamedExpr:
        target = ast.copy_location(ast.Name(name, ast.Store()), value)
        return ast.copy_location(ast.NamedExpr(target, value), value)


def judge(job: dict[str, Any]) -> dict[str, Any]:
    """Run the code, then the tests on what it defined; what came of it, as plain values."""
    watch = Watch()
    tests = compile(watch.visit(ast.parse(job["tests"])), "<tests>", "exec", dont_inherit=True)
    current, run, told_of = vars(builtins), asyncio.run, told
    pristine = dict(current)
    space: dict[str, Any] = {"__name__": "answer"}
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        for name in ("before", "code"):
            exec(compile(job[name], f"<{name}>", "exec", dont_inherit=True), space)
        # the code may have replaced functions that tests rely on
        current.clear()
        current.update(pristine)
        space["__builtins__"] = current
        exec(tests, space)
        for name in job["functions"]:
            result = space[name]()
            if inspect.iscoroutine(result):
                run(result)
    except BaseException as error:  # noqa: BLE001 - whatever the code raises is its failure
        return told_of(error, watch.lines)
    return {"ok": True}


def told(error: BaseException, watched: set[int]) -> dict[str, Any]:
    """Kind, words and place of what went wrong, and both sides of a comparison that failed."""
    report: dict[str, Any] = {"ok": False, "error": type(error).__name__, "message": words(error)}
    if isinstance(error, SyntaxError) and error.filename in ("<code>", "<before>"):
        return {**report, "message": error.msg, "line": error.lineno or 0}
    step = error.__traceback__
    while step is not None:
        name, frame = step.tb_frame.f_code.co_filename, step.tb_frame
        if name == "<code>":
            report["line"] = step.tb_lineno
        elif name == "<tests>":
            report["test"] = step.tb_lineno
            if isinstance(error, AssertionError) and step.tb_lineno in watched:
                report["sides"] = [shown(frame.f_locals.get(s)) for s in ("_left_", "_right_")]
        step = step.tb_next
    return report


def words(error: BaseException) -> str:
    try:
        return str(error)[:4000]
    except BaseException:  # noqa: BLE001 - the code's own __str__
        return ""


def shown(value: object) -> str:
    short = reprlib.Repr()
    short.maxstring = short.maxother = 160
    short.maxlist = short.maxtuple = short.maxdict = short.maxset = 16
    try:
        return short.repr(value)[:300]
    except BaseException:  # noqa: BLE001 - the code's own __repr__
        return f"<{type(value).__name__}>"


# --- the parent: namespaces and waiting ----------------------------------------------------------

NEW_NS, NEW_IPC, NEW_USER, NEW_PID, NEW_NET = 1 << 17, 1 << 27, 1 << 28, 1 << 29, 1 << 30
MS_BIND, MS_REC, MS_PRIVATE = 1 << 12, 1 << 14, 1 << 18
AT_FDCWD, AT_RECURSIVE, READ_ONLY, MOUNT_SETATTR = -100, 0x8000, 1, 442


def isolate(folder: str) -> list[str]:
    """Namespaces for the child, where the system permits them; what they guard."""
    if sys.platform != "linux":
        return []
    libc = ctypes.CDLL(None, use_errno=True)
    me, group = os.getuid(), os.getgid()
    if libc.unshare(NEW_USER | NEW_NS | NEW_IPC | NEW_PID | NEW_NET):
        return []
    for name, text in {
        "setgroups": "deny",
        "uid_map": f"{me} {me} 1",
        "gid_map": f"{group} {group} 1",
    }.items():
        with contextlib.suppress(OSError), open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    return ["processes", "network", *(["files"] if seal(libc, folder.encode()) else [])]


def seal(libc: ctypes.CDLL, folder: bytes) -> bool:
    """Make all mounts read-only but the one folder."""

    def change(path: bytes, flags: int, add: int, remove: int) -> bool:
        attributes = (ctypes.c_uint64 * 4)(add, remove, 0, 0)
        size = ctypes.sizeof(attributes)
        return bool(libc.syscall(MOUNT_SETATTR, AT_FDCWD, path, flags, attributes, size) == 0)

    return (
        libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None) == 0
        and libc.mount(folder, folder, None, MS_BIND, None) == 0
        and change(b"/", AT_RECURSIVE, READ_ONLY, 0)
        and change(folder, 0, 0, READ_ONLY)
    )


def die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def born(work: Callable[[], None]) -> int:
    """A child that does ``work``; how it ended, as a shell would say it."""
    alive, held = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(held)
        die_with_parent()
        if select.select([alive], [], [], 0)[0]:  # it ended before this one could ask for that
            os._exit(1)
        os.close(alive)
        work()
        os._exit(0)
    os.close(alive)
    _, status = os.waitpid(pid, 0)
    os.close(held)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def received(control: int, size: int) -> bytes:
    found = b""
    while len(found) < size and (piece := os.read(control, size - len(found))):
        found += piece
    return found


def main() -> None:
    control, folder = int(sys.argv[1]), os.path.realpath(os.getcwd())
    die_with_parent()
    if os.getppid() != int(sys.argv[2]):
        os._exit(1)
    job = json.loads(received(control, int.from_bytes(received(control, 8), "big")))
    signal.alarm(job["limits"]["seconds"] + 5)
    guards = isolate(folder)

    def work() -> None:
        read, write, leave = os.read, os.write, os._exit
        os.chdir(folder)  # by the path, to stand on the mount that may be written
        limit(job["limits"])
        forbid(folder)
        report = json.dumps({**judge(job), "guards": guards}).encode()
        write(control, report + b"\n" + read(control, TOKEN))
        leave(0)

    code = born(lambda: os._exit(born(work))) if guards else born(work)
    with contextlib.suppress(OSError):
        os.write(control, b"\0%d" % code)
    os._exit(0)


if __name__ == "__main__":
    main()
