"""Code that is run with tests: what passes, what is said of what fails, and what it may not do."""

from __future__ import annotations

import ast
import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

from drafts import draft_of
from reflectkit.errors import ConfigurationError, MissingCapability
from reflectkit.reply import Verdict
from reflectkit.verify import code as room
from reflectkit.verify._answer_code import found_in
from reflectkit.verify.code import Guards, RunsTests

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX system")

ADD = "def add(a, b):\n    return a + b"
TESTS = "assert add(2, 2) == 4\nassert add(1, 2) == 3\n"


def fenced(code: str, language: str = "python") -> str:
    return f"<thinking>easy</thinking>\n<output>\nHere:\n```{language}\n{code}\n```\n</output>"


async def judged(code: str, tests: str = TESTS, seconds: float = 20) -> Verdict:
    return await RunsTests(tests, timeout=seconds)(draft_of(fenced(code)))


def folders() -> set[str]:
    return {name for name in os.listdir(tempfile.gettempdir()) if name.startswith("tests-")}


@pytest.fixture(autouse=True)
def nothing_is_left(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """In a folder of its own: others run code at the same time."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("code")))
    yield
    assert folders() == set()


@pytest.fixture(params=["kernel", "hook alone"])
def guarded(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Also as it is where no namespaces are permitted."""
    if request.param == "hook alone":
        source = room._SCRIPT.read_text("utf-8")
        script = tmp_path / "sandbox.py"
        script.write_text(source.replace('if sys.platform != "linux":', "if True:", 1), "utf-8")
        assert script.read_text("utf-8") != source
        monkeypatch.setattr(room, "_SCRIPT", script)
    return str(request.param)


async def test_right_code_passes(guarded: str) -> None:
    verdict = await judged(ADD)
    assert (verdict.ok, verdict.by, verdict.name, verdict.feedback) == (True, "tool", "tests", "")
    if guarded == "hook alone":
        assert verdict.value == Guards()


async def test_wrong_code_is_told_what_came_instead() -> None:
    verdict = await judged("def add(a, b):\n    return a * b")
    assert verdict.ok is False
    assert "`assert add(1, 2) == 3` fails" in verdict.feedback
    assert "The two sides are 2 and 3." in verdict.feedback


FAULTS = [
    ("def add(a, b):\n    return a / 0", "return a / 0", "ZeroDivisionError: division by zero"),
    ("def add(a, b)\n    return a", "def add(a, b)", "SyntaxError: expected ':'"),
    ("import nowhere_to_be_found", "import nowhere_to_be_found", "ModuleNotFoundError"),
    ("def add(a, b):\n    return helper(a)", "return helper(a)", "NameError"),
    ("raise SystemExit", "raise SystemExit", "SystemExit"),
    ("def add(a, b):\n    return add(a, b)", "return add(a, b)", "RecursionError"),
]


@pytest.mark.parametrize(("code", "line", "says"), FAULTS, ids=lambda v: v[:20])
async def test_a_fault_is_pointed_at(code: str, line: str, says: str) -> None:
    draft = draft_of(fenced(code))
    verdict = await RunsTests(TESTS)(draft)
    assert verdict.ok is False
    assert says in verdict.feedback
    assert draft.transcript.source[verdict.start : verdict.end] == line


@pytest.mark.parametrize("code", ["", "x = 1", "def sub(a, b):\n    return a - b"])
async def test_missing_code_fails(code: str) -> None:
    assert (await judged(code)).ok is False


async def test_an_empty_answer_fails() -> None:
    verdict = await RunsTests(TESTS)(draft_of("<thinking>hm</thinking>"))
    assert (verdict.ok, verdict.feedback) == (False, "The answer has no code.")


TEST_TEXTS = [
    ("def test_add():\n    assert add(1, 1) == 2", True),
    ("def test_add():\n    assert add(1, 1) == 3", False),
    ("async def test_add():\n    assert add(1, 1) == 3", False),
    ("async def test_add():\n    import asyncio\n    await asyncio.sleep(0)", True),
    ("import unittest.mock\nassert add('a', 'b') == 'ab'", True),
    ("assert add(1, 1)", True),
    ("assert not add(1, 1), 'told so'", False),
    ("for n in range(3):\n    assert add(n, 1) == n + 1", True),
    ("assert all(add(n, n) == 2 * n for n in range(9))", True),
    ("import tempfile\nwith tempfile.TemporaryFile() as f:\n    f.write(b'x')", True),
    ("open('here.txt', 'w').write('x')\nassert open('here.txt').read() == 'x'", True),
]


@pytest.mark.parametrize(("tests", "passes"), TEST_TEXTS, ids=range(len(TEST_TEXTS)))
async def test_asserts_and_test_functions(tests: str, passes: bool) -> None:
    verdict = await judged(ADD, tests)
    assert verdict.ok is passes, verdict.feedback


async def test_old_sides_are_not_shown_for_another_assert() -> None:
    verdict = await judged(ADD, "assert add(1, 1) == 2\nassert not add(1, 2), 'no'")
    assert verdict.ok is False
    assert "sides" not in verdict.feedback


# --- what it may not do --------------------------------------------------------------------------

OUTSIDE = "/" + "tmp/reflectkit-was-here"
ATTACKS = {
    "exit at once": "import os\nos._exit(0)",
    "exit politely": "import sys\nsys.exit(0)",
    "exit at the first test": "import os\ndef add(a, b):\n    os._exit(0)",
    "exit later": (
        "import threading, os, time\nthreading.Timer(0, os._exit, [0]).start()\ntime.sleep(1)"
    ),
    "raise at exit": (
        "import atexit, os\natexit.register(os._exit, 0)\ndef add(a, b): raise KeyError"
    ),
    "close everything": "import os\nos.closerange(0, 300)\n" + ADD,
    "write reports": (
        "import os\nfor fd in range(3, 300):\n    try:\n"
        "        os.write(fd, b'{\"ok\": true, \"guards\": []}\\n' + b'0' * 32)\n"
        "    except OSError:\n        pass\nos._exit(0)"
    ),
    "flood the report": (
        "import os\nwhile True:\n    for fd in range(3, 300):\n        try:\n"
        "            os.write(fd, b'x' * 65536)\n        except OSError:\n            pass"
    ),
    "patch builtins": (
        "import builtins\nbuiltins.all = lambda *_: True\nbuiltins.abs = lambda *_: 0\n"
        "builtins.AssertionError = KeyError\ndef add(a, b): return 7"
    ),
    "patch the harness": (
        "import sys\nfor m in list(sys.modules.values()):\n"
        "    for n in ('judge', 'told', 'words'):\n"
        "        if hasattr(m, n):\n            setattr(m, n, lambda *_: {'ok': True})\n"
        "def add(a, b): return 7"
    ),
    "patch json": "import json\njson.dumps = lambda *_: '{\"ok\": true}'\ndef add(a, b): return 7",
    "swallow": "import sys\nsys.excepthook = lambda *_: None\ndef add(a, b): return 7",
    "send a socket out": "import socket\nsocket.socket().connect(('127.0.0.1', 9))",
    "look up a name": "import socket\nsocket.getaddrinfo('localhost', 80)",
    "fetch": "import urllib.request\nurllib.request.urlopen('http://127.0.0.1:9')",
    "write outside": f"open({OUTSIDE!r}, 'w')",
    "write outside with os": f"import os\nos.open({OUTSIDE!r}, os.O_CREAT | os.O_WRONLY)",
    "write up": "open('../reflectkit-was-here', 'w')",
    "link out": "import os\nos.symlink('/tmp', 'out')\nopen('out/reflectkit-was-here', 'w')",
    "remove outside": f"import os\nos.remove({__file__!r})",
    "list outside": "import os\nos.listdir('/')",
    "read outside": "open('/etc/passwd').read()",  # not this file: it may stand where Python looks
    "fork": "import os\nwhile True: os.fork()",
    "spawn": "import subprocess\nsubprocess.run(['true'])",
    "shell": "import os\nos.system('true')",
    "kill": "import os\nos.kill(os.getppid(), 9)",
    "memory": "x = []\nwhile True: x.append(bytearray(1 << 24))",
    "big file": "with open('f', 'wb') as f:\n    while True: f.write(bytes(1 << 20))",
    "big repr": "class Big:\n    def __eq__(self, o): return False\n"
    "    def __repr__(self): return 'x' * (1 << 24)\ndef add(a, b): return Big()",
    "hostile repr": "class Bad(int):\n    def __repr__(self): raise KeyError\n"
    "    __str__ = __repr__\n    def __eq__(self, o): return False\ndef add(a, b): return Bad()",
    "hostile error": "class E(Exception):\n    def __str__(self): raise self\n"
    "def add(a, b): raise E",
    "crash": "import ctypes\nctypes.string_at(0)",
    "unicode": "s = '\\ud800'\nraise ValueError(s)",
    "null": "x = 1\0",
}
ALL_TESTS = TESTS + "assert all([add(1, 1) == 2])\nassert abs(add(0, 5)) == 5\n"


def strays() -> list[Path]:
    """What attacks would have left; and whether this file is still there."""
    assert Path(__file__).exists()
    names = {Path(OUTSIDE), Path(tempfile.gettempdir()) / Path(OUTSIDE).name}
    return [path for path in names if path.exists()]


@pytest.mark.parametrize("attack", ATTACKS)
async def test_an_attack_does_not_pass_and_leaves_nothing(attack: str, guarded: str) -> None:
    before = perf_counter()
    verdict = await judged(ATTACKS[attack], ALL_TESTS, seconds=8)
    assert verdict.ok is False, verdict
    assert 10 < len(verdict.feedback) < 1500
    assert not strays()
    assert perf_counter() - before < 7


REFUSED = {
    "send a socket out": "the network",
    "look up a name": "the network",
    "write outside": "files outside",
    "read outside": "files outside",
    "list outside": "folders outside",
    "fork": "other processes",
    "spawn": "other processes",
    "shell": "other processes",
    "kill": "signals",
    "memory": "MemoryError",
    "big file": "File too large",
    "exit at once": "exit status 0",
    "crash": "SIGSEGV",
}


@pytest.mark.parametrize("attack", REFUSED)
async def test_what_was_refused_is_said(attack: str, guarded: str) -> None:
    verdict = await judged(ATTACKS[attack])
    assert REFUSED[attack] in verdict.feedback


async def test_a_loop_without_end_is_stopped_in_time() -> None:
    begun = perf_counter()
    verdict = await judged("while True: pass", seconds=1)
    assert verdict.feedback == "The code was stopped: it ran longer than 1 s."
    assert perf_counter() - begun < 4


async def test_much_output_is_no_fault() -> None:
    code = "import sys\nfor _ in range(200): print('x' * 100_000); sys.stderr.write('y' * 9999)\n"
    assert (await judged(code + ADD)).ok is True
    assert (await judged("import sys\nsys.stdout.close()\nsys.stderr.close()\n" + ADD)).ok is True


async def test_input_is_empty() -> None:
    assert "EOFError" in (await judged("input()")).feedback


async def test_the_environment_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    tests = "import os\nassert sorted(os.environ) == known()"
    names = ["HOME", "LC_ALL", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TMPDIR"]
    verdict = await judged(f"def known(): return {names}", tests)
    assert verdict.ok is True, verdict.feedback
    assert "sk-secret" not in repr(await judged("import os\nraise ValueError(dict(os.environ))"))


PLACES = [sys.prefix, sys.base_prefix, os.path.expanduser("~"), tempfile.gettempdir() + "/"]


@pytest.mark.parametrize(
    "code",
    [
        "import os\nraise ValueError(os.getcwd())",
        "import os, sys\nraise ValueError(os.__file__, sys.executable, sys.path, sys.argv)",
        "open('missing.txt')",
        "from math import nonsense",
        "import sys\nraise ValueError(sys._getframe(1).f_code.co_filename)",
    ],
)
async def test_no_path_of_this_machine_is_told(code: str) -> None:
    feedback = (await judged(code)).feedback
    assert [place for place in PLACES if len(place) > 1 and place in feedback] == []


NATIVE = {
    "write outside": (
        f"import ctypes\nc = ctypes.CDLL(None)\nassert c.creat({OUTSIDE.encode()!r}, 0o600) == -1\n"
    ),
    "connect": (
        "import ctypes, struct\nc = ctypes.CDLL(None)\ns = c.socket(2, 1, 0)\n"
        "a = struct.pack('<H', 2) + struct.pack('>H', {port}) + bytes([127, 0, 0, 1]) + bytes(8)\n"
        "assert c.connect(s, a, 16) == -1\n"
    ),
    "stay behind": (
        "import ctypes\nc = ctypes.CDLL(None)\n"
        "if c.fork() == 0:\n    c.setsid()\n    c.sleep(600)\n    c._exit(0)\n"
    ),
}


@pytest.mark.parametrize("attack", NATIVE)
async def test_native_code_is_held_by_the_kernel(attack: str) -> None:
    if (await judged(ADD)).value != Guards(network=True, files=True, processes=True):
        pytest.skip("this system permits no user namespaces")
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    before = sandboxes()
    async with server:
        verdict = await judged(NATIVE[attack].replace("{port}", str(port)) + ADD)
    assert verdict.ok is True, verdict.feedback
    assert not strays()
    await asyncio.sleep(0.1)
    assert sandboxes() <= before


def sandboxes() -> set[str]:
    """Processes that run the script in this test's folder: others run it at the same time."""
    found, here = set(), os.path.realpath(tempfile.gettempdir())
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
            where = os.readlink(folder / "cwd")
        except OSError:
            continue
        if b"_sandbox.py" in command and where.startswith(here):
            found.add(folder.name)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("delay", [0, 0.01, 0.05, 0.15, 0.4])
async def test_cancelled_it_leaves_no_process(delay: float) -> None:
    before = sandboxes()
    task = asyncio.ensure_future(judged("import time\ntime.sleep(600)", seconds=60))
    await asyncio.sleep(delay)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sandboxes() <= before


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_it_ends_with_a_parent_that_is_killed() -> None:
    """No chance to clean up: the kernel ends what was started."""
    before = sandboxes()
    script = (
        "import asyncio\nfrom reflectkit.verify.code import RunsTests\n"
        "from reflectkit.protocol import parse\nfrom reflectkit.reply import Draft\n"
        "from reflectkit.messages import Request\n"
        "code = 'import time; time.sleep(99)'\n"
        "draft = Draft(request=Request(messages=()), transcript=parse(code))\n"
        "asyncio.run(RunsTests('x = 1', timeout=90)(draft))\n"
    )
    left = folders()
    env = {**os.environ, "TMPDIR": tempfile.gettempdir()}
    with subprocess.Popen([sys.executable, "-c", script], env=env) as parent:
        assert waited(lambda: len(sandboxes() - before) >= 2)
        parent.kill()
    assert waited(lambda: sandboxes() <= before)
    for name in folders() - left:
        shutil.rmtree(Path(tempfile.gettempdir()) / name)


def waited(condition: Callable[[], bool]) -> bool:
    """Whether it came true within ten seconds."""
    end = perf_counter() + 10
    while not condition() and perf_counter() < end:
        time.sleep(0.02)
    return condition()


async def test_the_event_loop_stays_free() -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticker = asyncio.ensure_future(tick())
    await judged("import time\ntime.sleep(1)\n" + ADD)
    ticker.cancel()
    assert ticks > 30


async def test_several_at_once() -> None:
    codes = [ADD if n % 2 else ADD.replace("+", "-") for n in range(6)]
    verdicts = await asyncio.gather(*map(judged, codes))
    assert [v.ok for v in verdicts] == [bool(n % 2) for n in range(6)]


# --- which code ----------------------------------------------------------------------------------

BLOCKS = {
    "all of it": "def add(a, b):\n    return a + b",
    "without a mark": f"Text.\n```\n{ADD}\n```\nText.",
    "tildes": f"~~~python\n{ADD}\n~~~",
    "never closed": f"Here:\n```python\n{ADD}\n",
    "in a list": "1. Do:\n\n   ```py\n   def add(a, b):\n       return a + b\n   ```\n2. Done.",
    "two parts": "```python\nadd = lambda a, b: plus(a, b)\n```\nand\n```python\n"
    "def plus(a, b): return a + b\n```",
    "corrected": f"```python\n{ADD.replace('+', '*')}\n```\nNo:\n```python\n{ADD}\n```",
    "with a broken one": f"```python\n{ADD}\n```\nUse:\n```python\n>>> add(1, 2)\n3\n```",
    "with a shell block": f"```sh\npip install x\n```\n```python\n{ADD}\n```\n```\n3\n```",
    "longer fence": f"````python\n{ADD}\ns = '''\n```\n'''\n````",
}


@pytest.mark.parametrize("which", BLOCKS)
async def test_the_code_is_found(which: str) -> None:
    verdict = await RunsTests(TESTS)(draft_of(f"<output>{BLOCKS[which]}</output>"))
    assert verdict.ok is True, verdict.feedback


@pytest.mark.parametrize("which", BLOCKS)
def test_lines_stay_where_they_were(which: str) -> None:
    text = BLOCKS[which]
    code = found_in(text).code
    assert ast.parse(code)
    for mine, theirs in zip(code.split("\n"), text.split("\n"), strict=False):
        assert mine in ("", theirs, theirs.strip(), theirs.removeprefix("   "))


ROW = {
    "prompt": "import math\n\ndef half(n):\n    return n / 2\n\n"
    'def area(r: float) -> float:\n    """Of a circle.\n    >>> area(0)\n    0.0\n    """\n',
    "test": "def check(candidate):\n    assert candidate(0) == 0\n"
    "    assert abs(candidate(2) - half(8 * math.pi)) < 1e-9\n",
    "entry_point": "area",
}
ANSWERS = [
    ("```python\ndef area(r):\n    return math.pi * r * r\n```", True),
    ("    return math.pi * r * r\n", True),
    ("    s = r * r\n    return math.pi * s\n", True),
    ("return math.pi * r * r", True),
    ("s = r * r\nreturn math.pi * s", True),
    (
        "```python\nfrom math import pi\n\ndef area(r: float) -> float:\n    return pi * r**2\n```",
        True,
    ),
    ("```python\ndef area(r):\n    return r * r\n```", False),
    ("    return r * r", False),
    ("I cannot.", False),
    ("pass", False),
]


@pytest.mark.parametrize(("answer", "passes"), ANSWERS)
async def test_rows_like_those_of_humaneval(answer: str, passes: bool) -> None:
    verdict = await RunsTests.humaneval(ROW)(draft_of(f"<output>{answer}</output>"))
    assert verdict.ok is passes, verdict.feedback


async def test_a_fault_in_a_completion_is_pointed_at() -> None:
    draft = draft_of("<output>    s = r * r\n    return s / 0\n</output>")
    verdict = await RunsTests.humaneval(ROW)(draft)
    assert draft.transcript.source[verdict.start : verdict.end] == "return s / 0"


@pytest.mark.parametrize(
    ("tests", "options", "says"),
    [
        ("assert add(", {}, "no valid Python"),
        ("", {}, "no tests"),
        ("# nothing\n", {}, "no tests"),
        ("import unittest\nclass T(unittest.TestCase):\n    pass", {}, "Test classes"),
        ("def test_x(tmp_path): pass", {}, "arguments"),
        ("import pytest\n@pytest.fixture\ndef test_x(): pass", {}, "decorated"),
        ("assert True", {"language": "rust"}, "not 'rust'"),
        ("assert True", {"timeout": 0}, "timeout"),
        ("assert True", {"timeout": float("inf")}, "timeout"),
        ("assert True", {"memory_mb": 1}, "memory_mb"),
    ],
)
def test_what_cannot_be_run_is_refused(tests: str, options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(says)):
        RunsTests(tests, **options)


def test_a_row_without_tests_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="entry_point"):
        RunsTests.humaneval({"prompt": "def f():"})


def test_without_posix_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reflectkit.verify.code.os.name", "nt")
    with pytest.raises(MissingCapability, match="WSL"):
        RunsTests(TESTS)
