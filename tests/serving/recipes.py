"""Where the recipes are, and what their template must give."""

from __future__ import annotations

import struct
from pathlib import Path

from reflectkit.backends.base import Backend
from reflectkit.backends.nano import embedded_models
from reflectkit.messages import Message, Request
from reflectkit.models import profile_for
from reflectkit.models.gguf import read_header

SERVING = Path(__file__).resolve().parents[2] / "cookbook" / "serving"

#: one row of the training data, as the model's authors wrote it
LAYOUT = profile_for("glaiveai/Reflection-Llama-3.1-70B").layout + "{response}<|eot_id|>"


def _turns(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"role": role, "content": text} for role, text in pairs]


TURNS = {
    "system": _turns(("system", "Reflect."), ("user", "What is 2 + 2?")),
    "no system": _turns(("user", "What is 2 + 2?")),
    "turns": _turns(
        ("system", "Reflect."),
        ("user", "What is 2 + 2?"),
        ("assistant", "<thinking>2 + 2 is 4</thinking>\n<output>4</output>"),
        ("user", "And 3 + 3?"),
    ),
    "spaces": _turns(("system", "\n two lines \n"), ("user", "  {{ 1 }} “é” 日本\n\n")),
}


def written(turns: list[dict[str, str]], *, asked: bool) -> str:
    """The layout, turn by turn; ``asked``: with the head of the answer to come."""
    text = ""
    for turn in turns:
        gap = "" if turn["role"] == "system" else "\n\n"
        text += (
            f"<|start_header_id|>{turn['role']}<|end_header_id|>{gap}{turn['content']}<|eot_id|>"
        )
    return text + "<|start_header_id|>assistant<|end_header_id|>\n\n" * asked


def with_special_tags(folder: Path) -> Path:
    """The embedded model with its tags as control tokens, as Reflection 70B has them."""
    source = embedded_models()["nano-reflect"]
    header, data = read_header(source), bytearray(source.read_bytes())
    key = b"tokenizer.ggml.token_type"
    start = data.index(key) + len(key) + 4 + 4 + 8  # behind its kind, its items' kind, their number
    for at, token in enumerate(header.array("tokenizer.ggml.tokens")):
        if token.strip("</>") in {"thinking", "reflection", "output"} and token[-1] == ">":
            assert struct.unpack_from("<i", data, start + 4 * at) == (4,)
            struct.pack_into("<i", data, start + 4 * at, 3)
    (folder / "special.gguf").write_bytes(data)
    return folder / "special.gguf"


async def goes_on(backend: Backend, *stop: str) -> None:
    """An answer that begins with a mistake is gone on with, and the mistake is found."""
    asked = Request(
        messages=(Message("user", "What is (2 + 2) * 7?"),),
        prefix="<thinking>\n2 + 2 = 5\n",
        temperature=0.0,
        max_tokens=200,
        stop=stop,
    )
    text = "".join([chunk.text async for chunk in backend.stream(asked)])
    assert text.startswith("<reflection>2 + 2 is 4, not 5."), text
    assert text.rstrip().endswith("</output>"), text
