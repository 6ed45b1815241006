"""What the transformers backend does to its process: at start, at exit, on a fork, or bare."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from asking import ENDINGS

pytest.importorskip("torch")  # reflectkit[transformers]
pytest.importorskip("transformers")  # reflectkit[transformers]

START = """
import asyncio, os, sys, threading
from reflectkit.backends.transformers import TransformersBackend
from reflectkit.messages import Message, Request

ASK = Request(messages=(Message("user", "hi"),), temperature=0.0)
LOOP = Request(messages=(Message("user", "hi"),), temperature=0.0, prefix="loop", max_tokens=1900)

async def ask(backend, request=ASK):
    return "".join([c.text async for c in backend.stream(request)])

def make():
    return TransformersBackend(sys.argv[1], device_map="cpu", threads=1)
"""


def run(code: str, *paths: Path) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter; ``sys.argv[1:]`` are the paths."""
    return subprocess.run(
        [sys.executable, "-c", START + code, *map(str, paths)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )


def ran(code: str, *paths: Path) -> str:
    done = run(code, *paths)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("ending", ENDINGS)
def test_leaving_without_closing(markov_folder: Path, ending: str) -> None:
    """A program that forgets everything, with an answer under way, still ends, and soon."""
    code = f"""
async def main():
    global stream
    stream = backend.stream(LOOP)
    await anext(stream)
backend = make()
loop = asyncio.new_event_loop()
loop.run_until_complete(main())
import time
print(time.time(), flush=True)
{ending}
"""
    done = run(code, markov_folder)
    assert time.time() - float(done.stdout) < 8
    assert done.returncode in (0, 1, 3, -2), done.stderr
    assert "terminate called" not in done.stderr


def test_constructing_loads_no_torch(markov_folder: Path) -> None:
    code = "backend = make(); print('torch' in sys.modules, 'transformers' in sys.modules)"
    assert ran(code, markov_folder).split() == ["False", "False"]


@pytest.mark.parametrize("package", ["torch", "transformers"])
def test_without_a_package(markov_folder: Path, package: str) -> None:
    code = f"""
sys.modules[{package!r}] = None
try:
    make()
except Exception as error:
    print(type(error).__name__, error)
"""
    out = ran(code, markov_folder)
    assert out.startswith(f"ConfigurationError The package {package} is not installed.")
    assert 'pip install "reflectkit[transformers]"' in out


def test_with_a_broken_package(markov_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise ImportError('libcudart.so.13')")
    code = f"""
sys.path.insert(0, {str(tmp_path)!r})
try:
    asyncio.run(ask(make()))
except Exception as error:
    print(type(error).__name__, error)
"""
    out = ran(code, markov_folder)
    assert out.startswith("ConfigurationError The transformers backend cannot be loaded: libcudart")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_is_told_so(markov_folder: Path) -> None:
    """The thread is the parent's: the child would wait for ever. The parent goes on."""
    code = """
backend = make()
def in_child():
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        try:
            print(asyncio.run(ask(backend)), flush=True)
        except Exception as error:
            print(type(error).__name__, error, flush=True)
        os._exit(0)
    print(os.waitpid(child, 0)[1])
print(asyncio.run(ask(backend)))
in_child()
print(asyncio.run(ask(backend)))
asyncio.run(backend.aclose())
"""
    lines = ran(code, markov_folder).splitlines()
    assert lines[0] == lines[3]
    assert lines[0].startswith("<thinking>")
    assert lines[1].startswith("ConfigurationError This process was forked")
    assert lines[2] == "0"


BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "transformers_gpu.py"


def test_the_benchmark_runs_on_a_tiny_model() -> None:
    command = [sys.executable, str(BENCHMARK), "--tiny", "--json", "--rounds", "1"]
    command += ["--batches", "1", "3", "--tokens", "8", "--prompt", "16"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    result = json.loads(done.stdout)
    assert [row["batch"] for row in result["rows"]] == [1, 3]
    for row in result["rows"]:
        assert row["ratio"] == pytest.approx(row["reflectkit"] / row["generate"])


def test_the_benchmark_wants_a_gpu() -> None:
    torch = pytest.importorskip("torch")  # reflectkit[transformers]
    if torch.cuda.is_available():
        pytest.skip("there is one")
    done = subprocess.run([sys.executable, str(BENCHMARK)], capture_output=True, text=True)
    assert done.returncode == 2
    assert "--tiny" in done.stderr
