"""LangChain chat models that say what they are told to, each with one way of being a model."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import Field, PrivateAttr, SecretStr

_NUMBERS = itertools.count(1)

__all__ = ["NoAsync", "Spoken", "Streamed", "usage"]


def usage(prompt: int, written: int, **more: Any) -> dict[str, Any]:
    return {
        "input_tokens": prompt,
        "output_tokens": written,
        "total_tokens": prompt + written,
        **more,
    }


class Spoken(BaseChatModel):
    """Gives the next of ``says`` (a message, an error to raise), the last one for ever."""

    says: list[Any] = Field(default_factory=list)
    max_tokens: int | None = None
    temperature: float | None = None
    #: counters learn by a model's name, and what is told here is no model's
    model_name: str = Field(default_factory=lambda: f"spoken-{next(_NUMBERS)}")
    api_key: SecretStr = SecretStr("sk-very-secret")
    asked: list[dict[str, Any]] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "spoken"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": self.model_name}

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self.bind(tools=tools, **kwargs)

    def _next(self, messages: list[BaseMessage], kwargs: dict[str, Any]) -> AIMessage:
        number = min(len(self.asked), len(self.says) - 1)
        self.asked.append(
            {
                "messages": messages,
                "max_tokens": kwargs.get("max_tokens", self.max_tokens),
                "temperature": self.temperature,
                **{k: v for k, v in kwargs.items() if k != "max_tokens"},
            }
        )
        said = self.says[number]
        if isinstance(said, BaseException):
            raise said
        return said if isinstance(said, AIMessage) else AIMessage(said)

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any) -> Any:
        message = self._next(messages, kw).model_copy()
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _agenerate(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any
    ) -> Any:
        return self._generate(messages, stop, None, **kw)


class NoAsync(Spoken):
    """Has a thread's method alone, and takes its time."""

    seconds: float = 0.0
    _ended: threading.Event = PrivateAttr(default_factory=threading.Event)

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any) -> Any:
        time.sleep(self.seconds)
        found = super()._generate(messages, stop, None, **kw)
        self._ended.set()
        return found

    _agenerate = BaseChatModel._agenerate


class Streamed(Spoken):
    """Gives each of ``says``, a list of chunks, piece by piece; ``closed`` counts ends."""

    closed: list[str] = Field(default_factory=list)

    def _stream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any
    ) -> Iterator[ChatGenerationChunk]:
        for chunk in self._chunks(messages, kw):
            yield ChatGenerationChunk(message=chunk)

    async def _astream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        try:
            for chunk in self._chunks(messages, kw):
                yield ChatGenerationChunk(message=chunk)
            self.closed.append("over")
        except GeneratorExit:
            self.closed.append("early")
            raise

    def _chunks(self, messages: Any, kw: Any) -> Iterator[AIMessageChunk]:
        number = min(len(self.asked), len(self.says) - 1)
        self.asked.append({"messages": messages, "max_tokens": self.max_tokens, **kw})
        for said in self.says[number]:
            if isinstance(said, BaseException):
                raise said
            yield (said if isinstance(said, AIMessageChunk) else AIMessageChunk(said)).model_copy()
