"""The one place that runs a GGUF file: llama.cpp in this process."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import xllamacpp  # type: ignore[import-untyped, unused-ignore]  # it has none

Message = dict[str, str]


class Engine:
    """Chat completions of one GGUF file on one or more threads."""

    def __init__(self, path: Path, threads: int = 1, slots: int = 1, context: int = 1024) -> None:
        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.n_ctx = context * slots
        params.n_parallel = slots
        params.cpuparams.n_threads = threads
        params.cpuparams_batch.n_threads = threads
        params.use_jinja = True
        params.hostnames, params.port = ["127.0.0.1"], 0
        params.api_keys = [secrets.token_hex(32)]  # its listener is not for others
        params.verbosity = 0
        params.warmup = False
        self._server = xllamacpp.Server(params)

    def chat(
        self,
        messages: list[Message],
        temperature: float = 0.0,
        seed: int = 0,
        limit: int = 450,
        watch: Callable[[dict[str, Any]], None] | None = None,
    ) -> tuple[str, int]:
        """The text of an answer and its number of tokens."""
        request = {
            "messages": messages, "temperature": temperature, "seed": seed, "max_tokens": limit,
            "top_k": 0, "top_p": 1.0, "min_p": 0.0,
            "stream": watch is not None,
        }  # fmt: skip
        if watch is None:
            found = self._server.handle_chat_completions(request)
            return found["choices"][0]["message"]["content"] or "", found["usage"][
                "completion_tokens"
            ]
        self._server.handle_chat_completions(request, watch)
        return "", 0

    def complete(
        self,
        prompt: str,
        temperature: float = 0.0,
        seed: int = 0,
        probabilities: int = 0,
        limit: int = 400,
    ) -> tuple[str, list[dict[str, float]]]:
        """A raw continuation; for every token the log probabilities of the likeliest ones."""
        request = {
            "prompt": prompt, "temperature": temperature, "seed": seed, "n_predict": limit,
            "top_k": 0, "top_p": 1.0, "min_p": 0.0,
            "n_probs": probabilities, "special": True,
        }  # fmt: skip
        found = self._server.handle_completions(request)
        choice = found["choices"][0]
        shown = (choice.get("logprobs") or {}).get("content", [])
        each = [{t["token"]: t["logprob"] for t in s["top_logprobs"]} for s in shown]
        return choice["text"], each
