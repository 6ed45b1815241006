"""When an agent has to come to its end, and how: with the answer now, or with a message. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from langchain.agents.middleware import ModelRequest, ModelResponse
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage
from langchain_core.utils.function_calling import convert_to_openai_tool

from reflectkit import Budget, Request
from reflectkit.budget.tokens import Counter

from .._messages import calls_in, from_langchain
from .._pieces import Pieces
from .._records import before_a_call
from ._hooks import answer_in
from ._room import Plan, Room

__all__ = ["NOW", "Terms", "answered", "ended", "plan", "written"]

#: what the last request ends with
NOW: Final = (
    "The budget is nearly spent. Do not call any more tools: give your final answer now, in a few "
    "sentences."
)
_SPENT: Final = "The token budget is spent ({by}), and there is no answer yet."
_SILENT: Final = "The token budget is nearly spent, and the model gave no answer."
#: blocks that are calls, in the shapes of several vendors
_CALLS: Final = ("tool_call", "tool_use", "function_call", "invalid_tool_call", "tool_call_chunk")
_LEFT_OUT: Final = "[{length} characters left out]"
#: tokens kept for the last answer, where the budget does not say
_FLOOR: Final = 256
#: tokens that a turn of tools may bring into the next prompt, beside the model's own
_RESULTS: Final = 128
#: an answer that may call tools is not asked for with fewer tokens than these
_LEAST: Final = 48
#: the share of the time after which the answer is asked for
_SOON: Final = 0.25
#: characters that remain of a tool's result which does not fit
_KEPT: Final = (400, 80, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How calls are planned. ``wanted``: the most that an answer may have for other reasons;
    ``how``: what becomes of a run whose budget is nearly spent; ``unseen``: tokens that prompts of
    this model were found to have beside what is counted."""

    counter: Counter
    budget: Budget | None
    wanted: int
    how: str
    unseen: int = 0

    def prompt(self, counted: Request) -> int:
        """Tokens of a prompt at most."""
        return self.counter.prompt_upper(counted) + self.unseen

    def fits(self, prompt: int) -> bool:
        """It keeps to the budget's limit on prompts."""
        capped = self.budget.prompt if self.budget else None
        return capped is None or prompt <= capped


def plan(request: ModelRequest[Any], room: Room, terms: Terms) -> Plan | None:
    """The call that can be made with what is left; None if there is none."""
    if (room.time is not None and room.time <= 0) or (room.calls is not None and room.calls < 1):
        return None
    counted = _counted(request)
    prompt = terms.prompt(counted)
    goes_on = terms.how == "answer" and bool(request.tools)
    most = terms.wanted if room.tokens is None else min(terms.wanted, room.tokens - prompt)
    if goes_on and room.tokens is not None:
        # the next prompt holds this one, its answer and results; the last answer comes after it
        floor = _floor(terms.budget, room)
        most = min(most, (room.tokens - 2 * prompt - floor - _RESULTS) // 2)
    least = min(_LEAST if goes_on else 1, terms.wanted)
    soon = goes_on and (room.calls == 1 or (room.time is not None and room.time < _SOON))
    if terms.fits(prompt) and most >= least and not soon:
        return Plan(request=request, counted=counted, prompt=prompt, completion=most, least=least)
    return _last(request, room, terms) if terms.how == "answer" else None


def _counted(request: ModelRequest[Any]) -> Request:
    """What is sent, as far as it counts: turns and tools."""
    head = [request.system_message] if request.system_message else []
    turns = from_langchain([*head, *request.messages], vendor="")
    tools = [t if isinstance(t, dict) else convert_to_openai_tool(t) for t in request.tools]
    return Request(messages=turns, extra={"tools": tools} if tools else {})


def _floor(budget: Budget | None, room: Room) -> int:
    if budget and budget.output_floor:
        return budget.output_floor
    whole = budget.total if budget and budget.total else room.tokens or 4 * _FLOOR
    return min(_FLOOR, whole // 4)


def _last(request: ModelRequest[Any], room: Room, terms: Terms) -> Plan | None:
    """The answer now, without tools; results that do not fit are shortened."""
    for kept in (None, *_KEPT):
        messages: list[AnyMessage] = [*_shortened(request.messages, kept), HumanMessage(NOW)]
        asked = request.override(messages=messages, tools=[], tool_choice=None)
        counted = _counted(asked)
        prompt = terms.prompt(counted)
        most = terms.wanted if room.tokens is None else min(terms.wanted, room.tokens - prompt)
        least = min(_LEAST, terms.wanted) if kept != _KEPT[-1] else 1
        if most >= least and terms.fits(prompt):
            return Plan(request=asked, counted=counted, prompt=prompt, completion=most, last=True)
    return None


def _shortened(messages: Sequence[AnyMessage], kept: int | None) -> list[AnyMessage]:
    if kept is None:
        return list(messages)
    return [_result(m, kept) if isinstance(m, ToolMessage) else m for m in messages]


def _result(message: ToolMessage, kept: int) -> ToolMessage:
    text = str(message.text)
    note = _LEFT_OUT.format(length=len(text) - kept)
    if len(text) <= kept + len(note):
        return message
    return message.model_copy(update={"content": f"{text[:kept]} {note}".strip()})


def answered(response: ModelResponse[Any], made: Plan) -> ModelResponse[Any]:
    """The response; the last answer of a run is one, and calls no tool, not even in its text."""
    answer = answer_in(response.result)
    if not made.last or answer is None:
        return response
    if before_a_call(answer.text).strip():
        content, end = _without_calls(answer.content), "answer"
    elif best := _best(made.request.messages):
        content, end = best, "answer"
    else:
        content, end = _SILENT, "end"
    final = answer.model_copy(
        update={
            "content": content,
            "tool_calls": [],
            "invalid_tool_calls": [],
            "response_metadata": {**answer.response_metadata, "token_budget": end},
        }
    )
    return replace(response, result=[final])


def _without_calls(content: Any) -> Any:
    if isinstance(content, str):
        return before_a_call(content)
    kept = [b for b in content if isinstance(b, str) or b.get("type") not in _CALLS]
    return [
        {**b, "text": before_a_call(b["text"])}
        if isinstance(b, dict) and b.get("type") == "text"
        else b
        for b in kept
    ]


def ended(request: ModelRequest[Any], room: Room, how: str) -> ModelResponse[Any]:
    """What a run ends with where no call can be paid: with ``answer`` what was said last."""
    text = _best(request.messages) if how == "answer" else ""
    said = text or _SPENT.format(by=room.by)
    told = {"token_budget": "end", "stopped_by": room.by}
    return ModelResponse(result=[AIMessage(said, response_metadata=told)])


def _best(messages: Sequence[AnyMessage]) -> str:
    """The last words of the model since the question."""
    for message in reversed(messages):
        if isinstance(message, HumanMessage) and message.content != NOW:
            return ""
        if isinstance(message, AIMessage) and (text := message.text.strip()):
            return text
    return ""


def written(answer: AIMessage) -> str:
    """All that a model has written, as text to be counted."""
    said = [piece.text for piece in Pieces().read(answer)]
    return "".join([*said, *(c.name + c.arguments for c in calls_in(answer))])
