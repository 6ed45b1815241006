"""What is known of each kind of server, as data: how it is recognised and what it can do.

Facts about llama.cpp, vLLM and transformers were seen on the servers themselves (tests/engines asks
them again); those about hosted services are from their public API references.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

from ..errors import ConfigurationError, MissingCapability
from ..messages import Effort, ReasoningBudget, Request

__all__ = [
    "KINDS",
    "MESSAGES",
    "OLLAMA",
    "UNKNOWN",
    "Continues",
    "Knobs",
    "ServerKind",
    "Tokenizer",
    "merged",
    "naming_one",
    "recognised",
]

#: How a server goes on from ``Request.prefix``: not at all; with vLLM's and SGLang's two flags; by
#: itself from a trailing assistant message, which it repeats in its answer (llama.cpp).
Continues = Literal["no", "flags", "trailing"]

#: The keys that lead to a field of the body.
Path = tuple[str, ...]

_EFFORTS: Final = get_args(Effort)


@dataclass(frozen=True, slots=True, kw_only=True)
class Knobs:
    """The fields with which a server is told how much to think. An empty path: it has none.

    ``efforts``: the words that it knows. ``on`` and ``off``: the values of its switch.
    ``least``: the smallest budget that it takes, in tokens. ``either``: a budget or an effort.
    ``one``: switch and effort are one field. ``beside``: what goes with a budget. ``caps``: a
    budget only limits thinking; it switches nothing on.
    """

    tokens: Path = ()
    effort: Path = ()
    switch: Path = ()
    efforts: tuple[str, ...] = _EFFORTS
    on: Any = True
    off: Any = False
    least: int = 0
    either: bool = False
    one: bool = False
    caps: bool = False
    beside: Mapping[str, Any] = field(default_factory=dict)

    @property
    def paths(self) -> dict[str, Path]:
        """The field for each part of a ``ReasoningBudget``."""
        return {"tokens": self.tokens, "effort": self.effort, "enabled": self.switch}

    @property
    def names(self) -> frozenset[str]:
        """Which parts of a ``ReasoningBudget`` it takes."""
        return frozenset(name for name, path in self.paths.items() if path)

    def fields(self, request: Request, server: str) -> dict[str, Any]:
        """The fields for ``request.reasoning``.

        Raises ``MissingCapability`` for what the server has no field for, ``ConfigurationError``
        for a combination that it refuses, or that leaves no token for the answer.
        """
        wanted = request.reasoning
        if wanted is None or wanted == ReasoningBudget():
            return {}
        wanted = self._in_its_words(wanted)
        self._check(wanted, request, server)
        found: dict[str, Any] = {}
        if wanted.tokens is not None:
            _put(found, self.tokens, wanted.tokens)
            found = merged(found, self.beside)
        if wanted.effort is not None:
            _put(found, self.effort, wanted.effort)
        if wanted.enabled is not None and not (self.one and wanted.effort):
            _put(found, self.switch, self.on if wanted.enabled else self.off)
        _check_once(found, request.extra)
        return found

    def _in_its_words(self, wanted: ReasoningBudget) -> ReasoningBudget:
        """Off is an effort of none, and the reverse, where a server has only one of the two."""
        if wanted.enabled is False and not self.switch and self.effort and "none" in self.efforts:
            return ReasoningBudget(effort="none")
        if wanted.effort == "none" and self.switch and "none" not in self.efforts:
            return ReasoningBudget(enabled=False)
        return wanted

    def _check(self, wanted: ReasoningBudget, request: Request, server: str) -> None:
        for name in ("tokens", "effort", "enabled"):
            if getattr(wanted, name) is not None and name not in self.names:
                raise MissingCapability(
                    f"{server} has no field for how much to think in the form of {name}.",
                    capability=f"reasoning.{name}",
                    hint=self._way_out(),
                )
        room = request.max_tokens
        spent = wanted.tokens or 0
        faults = {
            f"effort={wanted.effort!r} is not among its words, {', '.join(self.efforts)}": (
                wanted.effort is not None and wanted.effort not in self.efforts
            ),
            "it takes tokens or an effort, not both": self.either
            and wanted.tokens is not None
            and wanted.effort is not None,
            f"a budget must be {self.least} tokens or more": 0 < spent < self.least,
            f"{spent} tokens of thinking leave none of max_tokens={room} for the answer": (
                room is not None and spent >= room
            ),
        }
        if found := [fault for fault, true in faults.items() if true]:
            raise ConfigurationError(
                f"{server} would refuse this reasoning budget: {'; '.join(found)}.",
                hint="Change reasoning= or max_tokens=.",
            )

    def _way_out(self) -> str:
        if self.names:
            return f"It takes: {', '.join(sorted(self.names))}."
        return "Say which server it is (kind=...), or put the server's own field into extra."


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokenizer:
    """The routes on which a server tokenizes, from its root.

    ``text``: the field for a text; ``flags`` go with it. ``chat``: the route that counts a chat
    request; its answer has the number under ``counted``. ``render``: the route that writes a chat
    request out as the prompt's text; "" where token ids are turned back by ``back``.
    """

    route: str = "/tokenize"
    text: str = "prompt"
    flags: Mapping[str, Any] = field(default_factory=lambda: {"add_special_tokens": False})
    chat: str = "/tokenize"
    counted: str = "count"
    render: str = ""
    back: str = "/detokenize"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerKind:
    """One kind of server. ``host``: how its address ends, ``owner``: how it signs its models.

    ``running``: what makes it report usage in every chunk. ``seeds``, ``tools``, ``images``: it
    takes them, or may; what a model makes of them is its own. ``names_tools``: it can be told which
    tool has to be called; others take that for no choice at all, and do not say so.
    """

    name: str
    host: str = ""
    owner: str = ""
    continues: Continues = "no"
    running: Mapping[str, Any] = field(default_factory=dict)
    seeds: bool = True
    tools: bool = True
    names_tools: bool = True
    images: bool = True
    tokenizer: Tokenizer | None = None
    knobs: Knobs = Knobs()


_TEMPLATE: Final = ("chat_template_kwargs", "enable_thinking")
_EFFORT: Final = ("reasoning_effort",)
_USUAL: Final = ("none", "minimal", "low", "medium", "high")
_RUNNING: Final = {"stream_options": {"include_usage": True, "continuous_usage_stats": True}}

_KNOWN: Final = (
    ServerKind(
        name="vllm",
        owner="vllm",
        continues="flags",
        running=_RUNNING,
        tokenizer=Tokenizer(),
        # the budget needs a server with --reasoning-parser or --reasoning-config; others say so
        knobs=Knobs(tokens=("thinking_token_budget",), effort=_EFFORT, switch=_TEMPLATE, caps=True),
    ),
    ServerKind(
        name="sglang",
        owner="sglang",
        continues="flags",
        running=_RUNNING,
        tokenizer=Tokenizer(),
        knobs=Knobs(effort=_EFFORT, switch=_TEMPLATE),
    ),
    ServerKind(
        name="llama.cpp",
        owner="llamacpp",
        continues="trailing",
        names_tools=False,
        running={"timings_per_token": True},
        tokenizer=Tokenizer(
            text="content",
            flags={"add_special": False, "parse_special": True},
            chat="/v1/chat/completions/input_tokens",
            counted="input_tokens",
            render="/apply-template",
            back="",
        ),
        knobs=Knobs(tokens=("reasoning_budget_tokens",), switch=_TEMPLATE, caps=True),
    ),
    ServerKind(
        name="ollama",
        owner="library",
        knobs=Knobs(effort=_EFFORT, efforts=("none", "low", "medium", "high")),
    ),
    ServerKind(name="transformers", seeds=False),
    ServerKind(
        name="openai",
        host="api.openai.com",
        knobs=Knobs(effort=_EFFORT, efforts=(*_USUAL, "xhigh")),
    ),
    ServerKind(
        name="openrouter",
        host="openrouter.ai",
        knobs=Knobs(
            tokens=("reasoning", "max_tokens"),
            effort=("reasoning", "effort"),
            efforts=(*_USUAL, "xhigh"),
            switch=("reasoning", "enabled"),
            either=True,
        ),
    ),
    ServerKind(
        name="deepseek",
        host="api.deepseek.com",
        seeds=False,
        images=False,
        knobs=Knobs(
            switch=("thinking", "type"),
            efforts=(),
            on="enabled",
            off="disabled",
        ),
    ),
    ServerKind(
        name="dashscope",
        host="aliyuncs.com",
        knobs=Knobs(
            tokens=("thinking_budget",),
            switch=("enable_thinking",),
            efforts=(),
            beside={"enable_thinking": True},
        ),
    ),
    ServerKind(
        name="gemini",
        host="generativelanguage.googleapis.com",
        knobs=Knobs(
            tokens=("extra_body", "google", "thinking_config", "thinking_budget"),
            effort=_EFFORT,
            efforts=_USUAL,
            either=True,
        ),
    ),
)

#: Anthropic's messages API.
MESSAGES: Final = Knobs(
    tokens=("thinking", "budget_tokens"),
    beside={"thinking": {"type": "enabled"}},
    least=1024,
    switch=("thinking", "type"),
    on="adaptive",
    off="disabled",
    effort=("output_config", "effort"),
    efforts=("low", "medium", "high", "max"),
)
#: Ollama's own API: one field says whether, or how hard.
OLLAMA: Final = Knobs(
    switch=("think",), effort=("think",), efforts=("low", "medium", "high"), one=True
)
#: Every kind by its name.
KINDS: Final[Mapping[str, ServerKind]] = {kind.name: kind for kind in _KNOWN}
#: A server that is none of them: nothing beyond the common API is asked of it.
UNKNOWN: Final = ServerKind(name="unknown")


def recognised(*, host: str = "", owners: frozenset[str] = frozenset()) -> ServerKind | None:
    """The kind with this host, or that signs its models so; None if neither says anything."""
    for kind in _KNOWN:
        named = kind.host and (host == kind.host or host.endswith("." + kind.host))
        if named or kind.owner in owners - {""}:
            return kind
    return None


def merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Both, and objects under the same name merged in turn; ``other`` wins."""
    found = dict(one)
    for name, value in other.items():
        mine = found.get(name)
        if isinstance(mine, Mapping) and isinstance(value, Mapping):
            value = merged(mine, value)
        found[name] = value
    return found


def _put(fields: dict[str, Any], path: Path, value: object) -> None:
    for name in path[:-1]:
        fields = fields.setdefault(name, {})
    fields[path[-1]] = value


def _check_once(found: Mapping[str, Any], extra: Mapping[str, Any]) -> None:
    """The same field in ``extra`` would make it a guess which of the two is meant."""
    for name in found.keys() & extra.keys():
        one, other = found[name], extra[name]
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            _check_once(one, other)
            continue
        raise ConfigurationError(
            f"{name} is in extra, and reasoning= says it too.", hint="Leave one of them out."
        )


def naming_one(fields: dict[str, Any]) -> dict[str, Any]:
    """A tool that is chosen by name, where a server can only force some tool: it is offered alone.

    Raises ``ConfigurationError`` for a name that no tool has.
    """
    choice = fields.get("tool_choice")
    if not isinstance(choice, Mapping):
        return fields
    name = (choice.get("function") or {}).get("name")
    tools = [t for t in fields.get("tools") or () if (t.get("function") or {}).get("name") == name]
    if not tools:
        raise ConfigurationError(f"tool_choice names {name!r}, and no tool is called that.")
    return {**fields, "tools": tools, "tool_choice": "required"}
