"""Structured output: objects from answers or from forced tool calls, corrected until they fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from langchain_core.exceptions import OutputParserException
from langchain_core.messages import AIMessage
from langchain_core.runnables import Runnable, RunnableLambda, RunnableMap, RunnablePassthrough
from langchain_core.utils.function_calling import convert_to_json_schema, convert_to_openai_tool
from pydantic import BaseModel

from reflectkit import ReflectKitError

from ._calling import CallFits, checked
from ._errors import Misconfigured, translated

if TYPE_CHECKING:
    from .chat_models import ChatReflectKit

__all__ = ["structured"]

_METHODS: Final = ("json_schema", "json_mode", "function_calling")
Read = Callable[[AIMessage], str]


def structured(
    model: ChatReflectKit,
    schema: Any,
    *,
    method: str,
    include_raw: bool,
    strict: bool | None,
    more: dict[str, Any],
) -> Runnable[Any, Any]:
    """See ``ChatReflectKit.with_structured_output``."""
    try:
        return _structured(model, schema, method, include_raw, strict, more)
    except ReflectKitError as error:
        raise translated(error) from error.__cause__


def _structured(
    model: ChatReflectKit,
    schema: Any,
    method: str,
    include_raw: bool,
    strict: bool | None,
    more: dict[str, Any],
) -> Runnable[Any, Any]:
    if method not in _METHODS:
        raise Misconfigured(
            f"There is no method {method!r}.", hint=f"Use one of {', '.join(_METHODS)}."
        )
    if more:
        raise Misconfigured(f"There is no argument {sorted(more)[0]!r} for structured output.")
    name = convert_to_openai_tool(schema)["function"]["name"]
    wanted = _type_of(schema)
    said: dict[str, Any] = {"method": method} | ({"strict": strict} if strict is not None else {})
    traced = {"kwargs": said, "schema": schema}
    read: Read = _answer
    if method == "function_calling":
        bound = model.bind_tools(
            [schema],
            tool_choice=name,
            strict=strict,
            call_fits=CallFits(name, wanted),
            ls_structured_output_format=traced,
        )
        read = _arguments(name)
    else:
        asked = _asked(model, schema, wanted, method, strict)
        bound = model.bind(**asked, ls_structured_output_format=traced)
    parser = _parser(schema, wanted, read)
    if not include_raw:
        return bound | parser
    parsed = RunnablePassthrough.assign(
        parsed=itemgetter("raw") | parser, parsing_error=lambda _: None
    )
    none = RunnablePassthrough.assign(parsed=lambda _: None)
    return RunnableMap(raw=bound) | parsed.with_fallbacks([none], exception_key="parsing_error")


def _is_model(schema: Any) -> bool:
    return isinstance(schema, type) and issubclass(schema, BaseModel)


def _type_of(schema: Any) -> Any:
    """What answers are checked against: a pydantic model itself, of all else the JSON schema."""
    return schema if _is_model(schema) else convert_to_json_schema(schema)


def _asked(
    model: ChatReflectKit, schema: Any, wanted: Any, method: str, strict: bool | None
) -> dict[str, Any]:
    """What is bound to the model for an answer in JSON."""
    asked: dict[str, Any] = {}
    if method == "json_schema":
        asked["output_type"] = wanted
    else:
        from reflectkit.verify import Schema

        given = model.verify or ()
        asked["verify"] = [*([given] if callable(given) else given), Schema(wanted)]
    plain = model._clients.mode(model.mode) == "plain"  # a grammar leaves no room for sections
    if model.constrain or (model.constrain is None and plain):
        asked["response_format"] = _format(schema, method, strict)
    return asked


def _format(schema: Any, method: str, strict: bool | None) -> dict[str, Any]:
    if method == "json_mode":
        return {"type": "json_object"}
    described = convert_to_json_schema(schema, strict=strict)
    inner: dict[str, Any] = {"name": described.get("title") or "answer", "schema": described}
    return {"type": "json_schema", "json_schema": inner | ({"strict": strict} if strict else {})}


def _answer(message: AIMessage) -> str:
    return str(message.text)


def _arguments(name: str) -> Read:
    def read(message: AIMessage) -> str:
        for call in message.tool_calls:
            if call["name"] == name:
                return json.dumps(call["args"], ensure_ascii=False)
        for bad in message.invalid_tool_calls:
            if bad["name"] == name:
                return bad["args"] or ""
        raise OutputParserException(
            f"The model did not call {name!r}.", llm_output=str(message.text)
        )

    return read


def _parser(schema: Any, wanted: Any, read: Read) -> RunnableLambda[AIMessage, Any]:
    from reflectkit.verify import Schema

    check = Schema(wanted)

    def parse(message: AIMessage) -> Any:
        if message.response_metadata.get("finish_reason") == "content_filter":
            raise _refused(message)
        text = read(message)
        verdict = checked(check, text)
        if not verdict.ok:
            raise OutputParserException(verdict.feedback, llm_output=text)
        old = isinstance(schema, type) and hasattr(schema, "parse_obj") and not _is_model(schema)
        return schema.parse_obj(verdict.value) if old else verdict.value

    async def aparse(message: AIMessage) -> Any:
        return parse(message)  # without it, LangChain would use a thread

    return RunnableLambda(parse, afunc=aparse, name="parse")


def _refused(message: AIMessage) -> Exception:
    from langchain_core import exceptions

    said = "The server withheld the answer."
    kind = getattr(exceptions, "ModelRefusalError", None)
    if kind is None:  # releases that have no error for it
        return OutputParserException(said, llm_output=str(message.text))
    refusal: Exception = kind(said, raw_message=message)
    return refusal
