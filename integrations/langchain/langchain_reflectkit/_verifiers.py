"""What LangChain has that can judge an answer, as verifiers: runnables, tools, output parsers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from langchain_core.exceptions import OutputParserException
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import BaseLLMOutputParser
from langchain_core.outputs import ChatGeneration
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool

from reflectkit import Draft, Verdict
from reflectkit.verify import Verifier
from reflectkit.verify import runnable as from_runnable
from reflectkit.verify.callables import name_of

__all__ = ["HIDDEN", "Parses", "verifiers_of"]

#: what keeps a call out of ``stream_mode="messages"``
HIDDEN = "nostream"


def verifiers_of(given: Any, metadata: Mapping[str, Any] | None = None) -> list[Verifier]:
    """Verifiers from one or several of: reflectkit's own, functions, runnables, tools, parsers.

    What a runnable writes is not shown in the caller's streams.
    """
    several = given if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    return [_verifier(one, dict(metadata or {})) for one in several]


def _verifier(one: Any, metadata: dict[str, Any]) -> Verifier:
    if isinstance(one, BaseTool):
        return from_runnable(_Tool(one), name=one.name, by="tool")
    if isinstance(one, BaseLLMOutputParser):
        return Parses(one)
    if isinstance(one, Runnable):
        hidden = one.with_config(tags=[HIDDEN], metadata=metadata)
        return from_runnable(hidden, name=_name(one))
    return one  # type: ignore[no-any-return]  # the client checks it


def _name(one: Runnable[Any, Any]) -> str:
    return getattr(one, "name", None) or name_of(one)


class _Tool:
    """A tool that is given what its arguments are called by, of question, output and thinking."""

    def __init__(self, tool: BaseTool) -> None:
        self._tool = tool

    async def ainvoke(self, given: Mapping[str, str]) -> Any:
        wanted = self._tool.args
        asked = {name: text for name, text in given.items() if name in wanted}
        if not asked and len(wanted) == 1:
            asked = dict.fromkeys(wanted, given["output"])
        return await self._tool.ainvoke(asked, {"tags": [HIDDEN]})


class Parses:
    """Whether a LangChain output parser takes the answer; its object is the verdict's ``value``."""

    def __init__(self, parser: BaseLLMOutputParser[Any]) -> None:
        self._parser = parser
        self.name = name_of(parser)

    async def __call__(self, draft: Draft, /) -> Verdict:
        generation = ChatGeneration(message=AIMessage(draft.output))
        try:
            value = await self._parser.aparse_result([generation])
        except OutputParserException as error:
            return Verdict(ok=False, feedback=_said(error), by="schema", name=self.name)
        except ValueError as error:  # parsers of users' own
            return Verdict(ok=False, feedback=str(error), by="schema", name=self.name)
        return Verdict(ok=True, by="schema", name=self.name, value=value)


def _said(error: OutputParserException) -> str:
    """The parser's complaint without its links and without the text that it quotes."""
    words = error.observation or str(error)
    lines: Iterable[str] = words.splitlines()
    kept = [ln for ln in lines if "For troubleshooting" not in ln and "errors.pydantic" not in ln]
    said = "\n".join(kept).strip()
    quoted = (error.llm_output or "").strip()
    return said.replace(quoted, "the answer") if len(quoted) > 200 else said
