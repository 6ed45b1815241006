"""How reflectkit is pointed at each recipe, and a question to try it with.

    python clients.py vllm "What is 221 / 13?"                         # a server on this machine
    python clients.py sglang --url http://gpu:30000/v1 "Is 221 prime?"

The key is read from REFLECTION_KEY.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Callable, Mapping

from reflectkit import Client
from reflectkit.backends.ollama import OllamaBackend
from reflectkit.backends.openai import OpenAIBackend

MODEL = "glaiveai/Reflection-Llama-3.1-70B"

#: The tags are special tokens: these servers leave them out of the text unless told not to. What a
#: client knows of the model sends the same; said here, it holds for every name the model has.
KEEP = {"skip_special_tokens": False, "spaces_between_special_tokens": False}

VLLM = "http://127.0.0.1:8000/v1"
SGLANG = "http://127.0.0.1:30000/v1"
LLAMA_CPP = "http://127.0.0.1:8080/v1"
OLLAMA = "http://127.0.0.1:11434/api"


def vllm(url: str = VLLM, key: str | None = None, model: str = MODEL) -> OpenAIBackend:
    """vLLM, in a container or a cluster too."""
    return OpenAIBackend(url, model=model, api_key=key, extra=KEEP, kind="vllm")


def sglang(url: str = SGLANG, key: str | None = None, model: str = MODEL) -> OpenAIBackend:
    """SGLang, which takes the same fields."""
    return OpenAIBackend(url, model=model, api_key=key, extra=KEEP, kind="sglang")


def ray(url: str = VLLM, key: str | None = None, model: str = MODEL) -> OpenAIBackend:
    """Ray Serve, which hands the fields on to vLLM."""
    return vllm(url, key, model)


def llama_cpp(
    url: str = LLAMA_CPP, key: str | None = None, model: str = "reflection-70b-gguf"
) -> OpenAIBackend:
    """llama.cpp, whose option --special keeps the tags; no field of a request does."""
    return OpenAIBackend(url, model=model, api_key=key, kind="llama.cpp")


def ollama(
    url: str = OLLAMA, key: str | None = None, model: str = "reflection-70b"
) -> OllamaBackend:
    """Ollama. Its context is small where nobody says otherwise: the recipe and this do."""
    return OllamaBackend(
        url, model=model, api_key=key, options={"num_ctx": 8192}, continues=True, keep_alive="1h"
    )


BACKENDS: Mapping[str, Callable[..., OpenAIBackend | OllamaBackend]] = {
    "vllm": vllm,
    "sglang": sglang,
    "ray": ray,
    "llama.cpp": llama_cpp,
    "ollama": ollama,
}


async def ask(name: str, question: str, url: str | None) -> None:
    """Prints thinking, reflections and answer as the parts of one reply."""
    given = {"url": url} if url else {}
    async with (
        BACKENDS[name](key=os.environ.get("REFLECTION_KEY"), **given) as backend,
        Client(backend, mode="trained", dialect="reflection") as client,
    ):
        reply = await client.ask(question)
    print(f"thinking: {reply.thinking}\nreflections: {len(reply.reflections)}\n\n{reply.output}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Ask a server that a recipe has started.")
    parser.add_argument("server", choices=sorted(BACKENDS))
    parser.add_argument("question")
    parser.add_argument("--url", help="where it listens; on this machine if not said")
    given = parser.parse_args()
    asyncio.run(ask(given.server, given.question, given.url))
