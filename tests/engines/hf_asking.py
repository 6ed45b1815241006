"""What the tests of the transformers backend ask, and how they look at it.

It needs torch and transformers: tests that import it skip where they are absent.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from reflectkit.messages import Message, Request
from requests40 import QUESTIONS, REFLECT

torch = pytest.importorskip("torch")  # reflectkit[transformers]
pytest.importorskip("transformers")  # reflectkit[transformers]

ASK = Request(messages=(Message("user", "hi"),), temperature=0.0)
LONG = replace(ASK, prefix="loop", max_tokens=2000)
REASONED = Request(
    messages=(Message("system", REFLECT), Message("user", QUESTIONS[0])),
    temperature=0.0,
    max_tokens=300,
)

Pair = tuple[Any, Any]


def generated(model: Any, tokenizer: Any, request: Request, **given: Any) -> str:
    """What ``generate`` of transformers itself says, greedily."""
    messages = [{"role": m.role, "content": m.text} for m in request.messages]
    ids = tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, return_tensors="pt", return_dict=False
    )
    made = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=request.max_tokens,
        pad_token_id=0,
        **given,
    )[0, ids.shape[1] :]
    return str(tokenizer.decode(made))


async def soon(true: Callable[[], bool]) -> bool:
    """Whether it comes true within ten seconds."""
    for _ in range(1000):
        if true():
            return True
        await asyncio.sleep(0.01)
    return False


def threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("reflectkit")]


class Faulty(torch.nn.Module):  # type: ignore[misc, name-defined]  # torch has no types here
    """Somebody's model that raises what it is given, one for each call (None: nothing)."""

    def __init__(self, model: Any, faults: list[Exception | None]) -> None:
        super().__init__()
        self._inner = [model]  # hidden from torch: it stays whose it was
        self.faults = list(faults)
        self.long_only: list[Exception | None] = []
        self.config, self.generation_config = model.config, model.generation_config

    def get_input_embeddings(self) -> Any:
        return self._inner[0].get_input_embeddings()

    def forward(self, input_ids: Any, past_key_values: Any, position_ids: Any, **given: Any) -> Any:
        prompts = self.long_only if input_ids.shape[1] > 1 else []
        fault = (prompts or self.faults or [None]).pop(0)
        if fault is not None:
            raise fault
        model = self._inner[0]
        new = "cache" in inspect.signature(model.forward).parameters
        given |= {"cache" if new else "past_key_values": past_key_values}
        return model(input_ids=input_ids, position_ids=position_ids, **given)
