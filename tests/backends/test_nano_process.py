"""What the embedded engine does to its process: at start, at exit, on a fork, on an old machine."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from asking import ENDINGS
from reflectkit.backends._cpu import check_cpu, cpu_flags, parse_cpuinfo
from reflectkit.errors import ConfigurationError

START = """
import asyncio, os, sys, threading
from reflectkit.backends.nano import NanoBackend
from reflectkit.messages import Message, Request

ASK = Request(messages=(Message("user", "hi"),), temperature=0.0)
LOOP = Request(messages=(Message("user", "hi"),), temperature=0.0, prefix="loop")

async def ask(backend, request=ASK):
    return "".join([c.text async for c in backend.stream(request)])
"""


def run(code: str, *paths: Path, seconds: float = 30) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter; ``sys.argv[1:]`` are the paths."""
    command = [sys.executable, "-c", START + code, *map(str, paths)]
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)


def ran(code: str, *paths: Path) -> str:
    done = run(code, *paths)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "nothing of llama.cpp's may reach the user's terminal"
    return done.stdout


def test_quiet_from_start_to_end(markov: Path) -> None:
    out = ran("print(asyncio.run(ask(NanoBackend(sys.argv[1]))))", markov)
    assert out.startswith("<thinking>")


def test_quiet_when_loading_fails(tmp_path: Path, markov: Path) -> None:
    """The reason is in the error, not in a log that nobody asked for."""
    odd = tmp_path / "odd.gguf"
    odd.write_bytes(markov.read_bytes().replace(b"llama-bpe", b"llama-bpx"))
    code = """
try:
    asyncio.run(ask(NanoBackend(sys.argv[1])))
except Exception as error:
    print(type(error).__name__, error)
"""
    assert ran(code, odd).startswith("ConfigurationError llama.cpp could not load")


def test_it_can_be_loud(markov: Path) -> None:
    """The checks above can fail: with ``verbose`` something is written."""
    done = run("asyncio.run(ask(NanoBackend(sys.argv[1], verbose=True)))", markov)
    assert done.returncode == 0
    assert "load" in done.stderr


def test_importing_it_loads_no_engine() -> None:
    code = "print('xllamacpp' in sys.modules, 'asyncio' in sys.modules)"
    late = code.replace("import asyncio", "")
    start = "import sys\nfrom reflectkit.backends.nano import NanoBackend\n"
    done = subprocess.run(
        [sys.executable, "-c", start + late], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_leaving_without_closing(endless: Path, ending: str) -> None:
    """A program that forgets everything, with an answer under way, still ends, and soon."""
    code = f"""
async def main():
    global stream
    stream = backend.stream(LOOP)
    await anext(stream)
backend = NanoBackend(sys.argv[1], context=16_384)
loop = asyncio.new_event_loop()
loop.run_until_complete(main())
print("here", flush=True)
{ending}
"""
    began = time.monotonic()
    done = run(code, endless)
    assert done.stdout == "here\n"
    assert done.returncode in (0, 1, 3, -2), done.stderr
    assert "terminate called" not in done.stderr
    assert time.monotonic() - began < 8


def test_the_first_token_comes_early(markov: Path) -> None:
    """From the start of the process, on a machine that has other things to do."""
    code = """
async def first():
    async for chunk in NanoBackend(sys.argv[1]).stream(ASK):
        return chunk.text
print(asyncio.run(first()))
"""
    began = time.monotonic()
    assert ran(code, markov).startswith("<thinking>")
    assert time.monotonic() - began < 3


FORK = """
def in_child(work):
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        try:
            print(work(), flush=True)
        except Exception as error:
            print(type(error).__name__, error, flush=True)
        os._exit(0)  # as multiprocessing's children leave
    print(os.waitpid(child, 0)[1])

backend = NanoBackend(sys.argv[1])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
class TestFork:
    def test_before_the_model_is_loaded(self, markov: Path) -> None:
        """The child may do all it wants."""
        out = ran(FORK + "in_child(lambda: asyncio.run(ask(backend)))", markov)
        assert out.splitlines()[0].startswith("<thinking>")
        assert out.splitlines()[1] == "0"

    def test_after_the_model_was_closed(self, markov: Path) -> None:
        code = """
asyncio.run(ask(backend)); asyncio.run(backend.aclose())
in_child(lambda: asyncio.run(ask(NanoBackend(sys.argv[1]))))
"""
        out = ran(FORK + code, markov)
        assert out.splitlines()[0].startswith("<thinking>")
        assert out.splitlines()[1] == "0"

    @pytest.mark.parametrize("whose", ["backend", "NanoBackend(sys.argv[1])"])
    def test_while_the_model_is_loaded(self, markov: Path, whose: str) -> None:
        """The child would hang: it is told so instead, it ends well, and the parent goes on."""
        code = f"""
asyncio.run(ask(backend))
in_child(lambda: asyncio.run(ask({whose})))
print(asyncio.run(ask(backend)))
"""
        lines = ran(FORK + code, markov).splitlines()
        assert lines[0].startswith("ConfigurationError This process was forked")
        assert "spawn" in lines[0]
        assert lines[1] == "0"
        assert lines[2].startswith("<thinking>")


def test_without_the_package(markov: Path) -> None:
    code = """
sys.modules["xllamacpp"] = None
try:
    NanoBackend(sys.argv[1])
except Exception as error:
    print(type(error).__name__, error)
"""
    out = ran(code, markov)
    assert out.startswith("ConfigurationError")
    assert 'pip install "reflectkit[local]"' in out


def test_without_a_library_of_the_system(markov: Path, tmp_path: Path) -> None:
    broken = "raise ImportError('libgomp.so.1: cannot open shared object file')"
    (tmp_path / "xllamacpp.py").write_text(broken)
    code = f"""
sys.path.insert(0, {str(tmp_path)!r})
try:
    asyncio.run(ask(NanoBackend(sys.argv[1])))
except Exception as error:
    print(type(error).__name__, error)
"""
    out = ran(code, markov)
    assert out.startswith("ConfigurationError The embedded engine cannot be loaded: libgomp")
    assert "apt install libgomp1" in out


class TestProcessor:
    OLD = frozenset({"sse4_2", "avx"})
    NEW = OLD | {"avx2", "fma", "bmi2", "f16c"}

    def test_one_without_avx2(self) -> None:
        with pytest.raises(ConfigurationError, match="lacks avx2, fma") as caught:
            check_cpu("x86_64", self.OLD)
        assert "base_url" in caught.value.hint
        with pytest.raises(ConfigurationError, match="lacks fma"):
            check_cpu("AMD64", self.NEW - {"fma"})

    def test_those_that_can(self) -> None:
        check_cpu("x86_64", self.NEW)
        check_cpu("arm64", frozenset({"neon"}))
        check_cpu()

    def test_what_the_kernel_says(self) -> None:
        found = parse_cpuinfo("processor : 0\nflags\t\t: fpu avx2\nflags : x\n")
        assert found == frozenset({"fpu", "avx2"})
        assert parse_cpuinfo("Features : neon\n") is None
        flags = cpu_flags()
        assert flags is None or "fpu" in flags or sys.platform == "win32"
