"""From a model's settings and the arguments of one call to reflectkit's options: no I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from langchain_core.utils.function_calling import convert_to_openai_tool

if TYPE_CHECKING:
    from reflectkit import Draft, Request, Verdict
    from reflectkit.correction import Policy

__all__ = ["CallFits", "SkippingCalls", "chosen_tool", "described", "options_of"]

#: What goes into the wire body as it is.
_TOOLS: Final = ("tools", "tool_choice", "parallel_tool_calls")
_WIRE: Final = (*_TOOLS, "response_format")
#: LangChain's words for forcing a tool -> the OpenAI API's
_CHOICES: Final[Mapping[object, str]] = {
    "auto": "auto",
    "none": "none",
    "any": "required",
    "required": "required",
    True: "required",
}
#: What LangChain hands on that says nothing to the model.
_IGNORED: Final = ("stream", "ls_structured_output_format", "strict")


def described(tools: Sequence[Any], strict: bool | None) -> list[dict[str, Any]]:
    """The tools as the OpenAI API has them."""
    return [convert_to_openai_tool(tool, strict=strict) for tool in tools]


def chosen_tool(choice: object, tools: Sequence[Mapping[str, Any]]) -> Any:
    """``tool_choice`` for the wire; None for none. Raises ``ConfigurationError`` for a name that
    no tool has."""
    if choice is None or choice is False:
        return None
    if isinstance(choice, Mapping):
        kind = choice.get("type")
        return _CHOICES[kind] if kind in ("any", "auto", "none") else dict(choice)
    if isinstance(choice, str | bool) and choice in _CHOICES:
        return _CHOICES[choice]
    names = [tool["function"]["name"] for tool in tools]
    if choice not in names:
        from ._errors import Misconfigured

        raise Misconfigured(
            f"tool_choice is {choice!r}, and no tool is called that.",
            hint=f'"auto", "any", "none", or one of {", ".join(names) or "no tools"}.',
        )
    return {"type": "function", "function": {"name": choice}}


def options_of(
    settings: Mapping[str, Any], stop: Sequence[str] | None, call: Mapping[str, Any]
) -> dict[str, Any]:
    """The options of one call. ``settings`` are the model's own: ``extra``, ``verify``,
    ``attempts``, ``policy``; ``call`` what was bound or passed. What reflectkit does not know it
    refuses by itself."""
    options = {name: value for name, value in call.items() if name not in _IGNORED}
    wire = {name: options.pop(name) for name in _WIRE if name in options}
    if not wire.get("tools"):  # an agent without tools binds none, and servers refuse an empty list
        wire = {name: value for name, value in wire.items() if name not in _TOOLS}
    wire |= options.pop("extra_body", None) or {}
    extra = {**(settings.get("extra") or {}), **(options.pop("extra", None) or {})}
    extra |= {name: value for name, value in wire.items() if value is not None}
    if extra:
        options["extra"] = extra
    if stop is not None:
        options["stop"] = tuple(stop)
    fits = options.pop("call_fits", None)
    known = {**settings, **options}
    # an agent's; what was asked for as a type is checked as one
    schema = None if "output_type" in options else _schema(extra.get("response_format"))
    if extra.get("tools"):
        options |= _with_tools(known, fits, schema)
    elif schema:
        options["verify"] = [*_verifiers(known), _fitting(schema)]
    return options


def _verifiers(settings: Mapping[str, Any]) -> list[Any]:
    given = settings.get("verify") or ()
    return [given] if callable(given) else list(given)


def _fitting(schema: Any) -> Any:
    from reflectkit.verify import Schema

    return Schema(schema)


def _with_tools(settings: Mapping[str, Any], fits: Any, schema: Any) -> dict[str, Any]:
    """A turn that calls tools is no answer: answers are judged, and asked for again, without it."""
    verifiers: list[Any] = [_Answers(v) for v in _verifiers(settings)]
    if fits is not None:
        verifiers.append(fits)
    if schema:
        verifiers.append(_Answers(_fitting(schema)))
    found: dict[str, Any] = {"verify": verifiers} if verifiers else {}
    if settings.get("policy") is not None:
        found["policy"] = SkippingCalls(settings["policy"])
    elif not verifiers:
        found["attempts"] = 1
    return found


def _schema(response_format: object) -> Any:
    if not isinstance(response_format, Mapping):
        return None
    inner = response_format.get("json_schema")
    return inner.get("schema") if isinstance(inner, Mapping) else None


class _Answers:
    """A verifier that has nothing to say of a turn that calls tools."""

    def __init__(self, verifier: Any) -> None:
        from reflectkit.verify.callables import name_of, runnable

        if not callable(verifier):
            verifier = runnable(verifier)
        self._verifier = verifier
        self.name = name_of(verifier)

    def __call__(self, draft: Draft, /) -> Any:
        return None if draft.transcript.tool_calls else self._verifier(draft)


class CallFits:
    """The answer calls ``name``, with arguments that fit ``schema``."""

    name: Final = "tool_call"

    def __init__(self, name: str, schema: Any) -> None:
        from reflectkit.verify import Schema

        self._tool = name
        self._schema = Schema(schema)

    def __call__(self, draft: Draft, /) -> Verdict:
        from reflectkit import Verdict

        calls = [c for c in draft.transcript.tool_calls if c.name == self._tool]
        if not calls:
            said = f"Call the tool {self._tool!r}; nothing else is an answer."
            return Verdict(ok=False, feedback=said, by="schema", name=self.name)
        return checked(self._schema, calls[0].arguments or "{}")


def checked(schema: Callable[[Draft], Any], text: str) -> Verdict:
    """What a ``Schema`` says of a text by itself."""
    from reflectkit import Draft, Request, Section, Transcript

    section = Section("output", text, 0, len(text))
    transcript = Transcript((section,), source=text)
    verdict: Verdict = schema(Draft(request=Request(messages=()), transcript=transcript))
    return verdict


class SkippingCalls:
    """A policy that leaves a turn as it is where it calls tools."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def flow(self, request: Request, /) -> Any:
        """See ``reflectkit.correction.Policy``."""
        from reflectkit.correction import conclude

        inner = self._policy.flow(request)
        try:
            step = next(inner)
            while True:
                attempt = yield step
                if getattr(getattr(attempt, "transcript", None), "tool_calls", ()):
                    inner.close()
                    return conclude([attempt], attempt)
                step = inner.send(attempt)
        except StopIteration as end:
            return end.value
