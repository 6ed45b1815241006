"""Real servers of the embedded model, in processes and environments of their own."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from reflectkit.backends.nano import embedded_models
from reflectkit.backends.openai import OpenAIBackend

MODEL = "nano-reflect"
#: how vLLM is told that there is no card, and little memory
VLLM_HERE = {
    "VLLM_TARGET_DEVICE": "cpu",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_NO_USAGE_STATS": "1",
    "TORCHDYNAMO_DISABLE": "1",  # else it looks for a C++ compiler
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
}


@dataclass(frozen=True)
class Server:
    """Where a server is, what it calls the model, and its key."""

    url: str
    model: str
    key: str = ""

    def backend(self) -> OpenAIBackend:
        return OpenAIBackend(self.url, model=self.model, api_key=self.key or None)


def as_folder(
    python: str, tmp_path_factory: pytest.TempPathFactory, model: Path | None = None
) -> Path:
    """The embedded model, or another GGUF file like it, as a Hugging Face folder."""
    folder = tmp_path_factory.mktemp("hf") / MODEL
    script = Path(__file__).with_name("hf_folder.py")
    home = Path(sys.modules["reflectkit"].__file__ or "").parents[1]
    subprocess.run(
        [python, str(script), str(model or embedded_models()[MODEL]), str(folder)],
        check=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(home)},
    )
    return folder


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


@contextmanager
def running(
    command: list[str], log: Path, port: int, more: Mapping[str, str] | None = None
) -> Iterator[None]:
    offline = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", **(more or {})}
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=offline)
    try:
        _wait(process, port, log)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    limit = time.monotonic() + 240
    while time.monotonic() < limit and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.5)
    raise AssertionError(f"the server did not start:\n{log.read_text('utf-8', 'replace')[-3000:]}")


@contextmanager
def serve_vllm(
    python: str,
    tmp_path_factory: pytest.TempPathFactory,
    *options: str,
    path: Path | None = None,
    folder: Path | None = None,
) -> Iterator[Server]:
    """vLLM on the processor; ``path`` is where else its Python looks for packages."""
    folder = folder or as_folder(python, tmp_path_factory)
    port, key = free_port(), secrets.token_hex(16)
    command = [python, "-m", "vllm.entrypoints.openai.api_server", "--model", str(folder)]
    command += ["--served-model-name", MODEL, "--dtype", "float32", "--enforce-eager"]
    command += ["--max-model-len", "1024", "--max-num-seqs", "4", "--api-key", key]
    command += ["--host", "127.0.0.1", "--port", str(port), *options]
    here = {**VLLM_HERE, **({"PYTHONPATH": str(path)} if path else {})}
    with running(command, tmp_path_factory.mktemp("log") / "vllm.log", port, here):
        yield Server(f"http://127.0.0.1:{port}/v1", MODEL, key)
