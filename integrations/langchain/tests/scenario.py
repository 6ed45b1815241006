"""A loopback server of the OpenAI API that answers as the standard suite's questions demand.

It is a real HTTP server in a thread; only its words are written here. It thinks in the field
``reasoning_content``, calls the tools that it is offered with arguments that fit, and writes JSON
that fits the schema that it is given.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from reflectkit.testing import LoopbackServer, Served, refusal

USAGE = {
    "prompt_tokens": 40,
    "completion_tokens": 12,
    "prompt_tokens_details": {"cached_tokens": 8},
    "completion_tokens_details": {"reasoning_tokens": 5},
}
#: what a thread of a server holds: its answers may be replaced while it runs
Answer = Callable[[Any], Served]


@contextmanager
def serving(*answers: Any, **options: Any) -> Iterator[LoopbackServer]:
    """A ``LoopbackServer`` in a thread of its own, so that synchronous tests can ask it."""
    loop = asyncio.new_event_loop()
    server = LoopbackServer(*answers, **options)
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result()
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def summed(chunks: Iterable[Any]) -> Any:
    """The message that chunks add up to, one after the other."""
    first, *rest = chunks
    for chunk in rest:
        first = first + chunk
    return first


def event(delta: Mapping[str, Any], **more: Any) -> bytes:
    """One chunk of a stream."""
    choice = {"index": 0, "delta": delta, "finish_reason": more.pop("finish", None)}
    return _line({"choices": [choice], **more})


def _line(data: Mapping[str, Any]) -> bytes:
    whole = {"object": "chat.completion.chunk", **data}
    return b"data: " + json.dumps(whole, ensure_ascii=False).encode() + b"\n\n"


def answer(
    *texts: str,
    thinking: tuple[str, ...] = (),
    field: str = "reasoning_content",
    calls: tuple[tuple[str, str], ...] = (),
    usage: Mapping[str, Any] | None = USAGE,
    twice: bool = False,
    model: str = "loopback",
) -> Served:
    """A stream of thinking, texts and tool calls (name, arguments), each in pieces; usage last."""
    deltas: list[Any] = [{"role": "assistant", "content": None}]
    deltas += [{field: piece} for piece in thinking]
    deltas += [{"content": piece} for piece in texts]
    for index, (name, arguments) in enumerate(calls):
        head = {"index": index, "id": f"call_{index}", "type": "function"}
        deltas.append({"tool_calls": [{**head, "function": {"name": name, "arguments": ""}}]})
        for piece in re.findall(r".{1,7}", arguments, re.DOTALL):
            deltas.append({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    figures = {"usage": usage} if usage else {}
    steps = [event(delta, model=model) for delta in deltas]
    finish = "tool_calls" if calls else "stop"
    steps.append(event({}, finish=finish, model=model, **(figures if twice else {})))
    if usage:
        steps.append(_line({"choices": [], "model": model, **figures}))
    return Served((*steps, b"data: [DONE]\n\n"), headers={"Content-Type": "text/event-stream"})


def exact(received: Any) -> Served:
    """What the question demands."""
    body = received.json
    if fault := _fault(body):
        return refusal(400, fault)
    more: Any = {"thinking": ("They ask ", "this."), "model": body["model"]}
    if tool := _tool(body):
        return answer(calls=((tool["name"], _arguments(tool, _said(body))),), **more)
    schema = _schema(body)
    if schema is not None:
        text = json.dumps(_instance(schema), ensure_ascii=False)
        return answer(text[:5], text[5:], **more)
    return answer("Hello ", "there.", **more)


def _fault(body: Mapping[str, Any]) -> str:
    """What a careful server would refuse."""
    turns = body["messages"]
    known = {c["id"] for t in turns for c in t.get("tool_calls", ())}
    if any(t["role"] == "tool" and t["tool_call_id"] not in known for t in turns):
        return "a tool's result without its call"
    texts = (p.get("type") for t in turns if isinstance(t["content"], list) for p in t["content"])
    odd = [t for t in texts if t not in ("text", "image_url", "input_audio", "file")]
    return f"an unknown content part {odd[0]}" if odd else ""


def _said(body: Mapping[str, Any]) -> str:
    turns = [t["content"] for t in body["messages"] if t["role"] == "user"]
    last = turns[-1] if turns else ""
    return last if isinstance(last, str) else " ".join(p.get("text", "") for p in last)


def _tool(body: Mapping[str, Any]) -> Any:
    """The tool that is to be called now."""
    tools = {t["function"]["name"]: t["function"] for t in body.get("tools") or ()}
    choice = body.get("tool_choice", "auto")
    if isinstance(choice, dict):
        return tools[choice["function"]["name"]]
    answered = body["messages"][-1]["role"] == "tool"
    if not tools or choice == "none" or (choice == "auto" and answered):
        return None
    return next(iter(tools.values()))


def _arguments(tool: Mapping[str, Any], said: str) -> str:
    found = _instance(tool.get("parameters") or {})
    if "input" in found:
        found["input"] = int((re.findall(r"\((\d+)\)", said) or ["3"])[0])
    if "customer_name" in found:
        found["customer_name"] = (re.findall(r"'([^']+)'", said) or [""])[0]
    return json.dumps(found, ensure_ascii=False)


def _schema(body: Mapping[str, Any]) -> Any:
    wanted = body.get("response_format") or {}
    if wanted.get("type") == "json_schema":
        return wanted["json_schema"]["schema"]
    if wanted.get("type") == "json_object":
        names = re.findall(r"'(\w+)'", _said(body))
        return {"properties": {name: {"type": "string"} for name in names}}
    head, _, schema = _said(body).partition("JSON that fits this schema, and nothing else:\n")
    return json.loads(schema) if schema and head else None


def _instance(schema: Mapping[str, Any]) -> Any:
    """Something that fits."""
    for many in ("anyOf", "oneOf", "allOf"):
        if many in schema:
            return _instance(schema[many][0])
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type", "object"):
        case "object":
            return {name: _instance(inner) for name, inner in schema.get("properties", {}).items()}
        case "array":
            return []
        case "integer" | "number":
            return 3
        case "boolean":
            return True
        case "null":
            return None
    return "some words"
