"""llama.cpp's server from the recipe's own command line, with the embedded model in its place."""

from __future__ import annotations

import json
import re
import secrets
import shlex
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from recipes import SERVING

#: what the options of the command line are called inside
OPTIONS: Mapping[str, Callable[[Any, str], None]] = {
    "--alias": lambda p, v: setattr(p, "model_alias", {v}),
    "--special": lambda p, v: setattr(p, "special", True),
    "--jinja": lambda p, v: setattr(p, "use_jinja", True),
    "--chat-template-file": lambda p, v: setattr(p, "chat_template", (SERVING / v).read_text()),
    "--reasoning-format": lambda p, v: setattr(p, "reasoning_format", reasoning(v)),
    "-c": lambda p, v: setattr(p, "n_ctx", int(v)),
    "-np": lambda p, v: setattr(p, "n_parallel", int(v)),
    "--temp": lambda p, v: setattr(p.sampling, "temp", float(v)),
    "--top-p": lambda p, v: setattr(p.sampling, "top_p", float(v)),
    "--top-k": lambda p, v: setattr(p.sampling, "top_k", int(v)),
    "--min-p": lambda p, v: setattr(p.sampling, "min_p", float(v)),
    "--cache-ram": lambda p, v: setattr(p, "cache_ram_mib", int(v)),
    "--cors-origins": lambda p, v: setattr(p, "cors_origins", v),
    "--no-ui": lambda p, v: setattr(p, "ui", False),
    "--host": lambda p, v: setattr(p, "hostnames", [usual(v)]),
}
#: what cannot be had here: the weights, a card, a port that is surely free
ELSEWHERE = {"--model", "-ngl", "--port"}

xllamacpp = pytest.importorskip("xllamacpp")  # reflectkit[local]


def reasoning(name: str) -> Any:
    """What llama.cpp calls this way of telling of reasoning."""
    return getattr(xllamacpp.common_reasoning_format, f"COMMON_REASONING_FORMAT_{name.upper()}")


def usual(value: str) -> str:
    """What a variable with a default is where nobody sets it."""
    found = re.fullmatch(r"\$\{\w+:-(.*)\}", value)
    return found[1] if found else value


def command(script: str) -> list[tuple[str, str]]:
    """The options of the script's one command, each with its value or ""."""
    joined = script.replace("\\\n", " ")
    (line,) = [each for each in joined.splitlines() if each.startswith("exec ")]
    words = shlex.split(line.removesuffix('"$@"'))[2:]
    found: list[tuple[str, str]] = []
    for word in words:
        if word.startswith("-") and not word[1:].isdigit():
            found.append((word, ""))
        else:
            found[-1] = (found[-1][0], word)
    return found


@dataclass(frozen=True)
class Llama:
    """A server under way."""

    root: str
    key: str

    def post(self, path: str, body: Mapping[str, object]) -> Any:
        request = urllib.request.Request(self.root + path, json.dumps(body).encode())
        request.add_header("Authorization", f"Bearer {self.key}")
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)


@contextmanager
def serve(model: Path, *, without: str = "") -> Iterator[Llama]:
    """The recipe; ``without``: one of its options left out."""
    params, key = xllamacpp.CommonParams(), secrets.token_hex(16)
    for option, value in command((SERVING / "llama.cpp" / "serve.sh").read_text("utf-8")):
        if option not in ELSEWHERE and option != without:
            OPTIONS[option](params, value)
    params.model.path, params.port, params.api_keys = str(model), 0, [key]
    params.verbosity, params.fit_params = 0, False
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(params)
    yield Llama(server.listening_address, key)
    del server
