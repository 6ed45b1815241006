"""The embedded model: a real language model in this process, with no server, key or download.

llama.cpp runs it, so the same backend runs any other GGUF file, a quantised Reflection 70B too.
It needs the extra ``reflectkit[local]``.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..errors import BackendStatus, BackendWireError, ConfigurationError, MissingCapability
from ..messages import Chunk, Request, Usage
from ..models.embedded import embedded_models
from ..models.gguf import Header, read_header
from ._cpu import check_cpu
from ._kinds import Knobs, naming_one
from ._local import check_at_least, check_text
from ._wire import ChunkReader, body, read_error, read_timings
from .base import Capabilities

if TYPE_CHECKING:
    from threading import Thread

    from ._llama import Engine
    from ._relay import Relay

    Data = dict[str, Any]

__all__ = ["NanoBackend", "embedded_models"]

#: Every knob of llama.cpp's sampler at the value that does nothing, in the order in which other
#: servers apply them: a request then means what it says, and ``Request.extra`` may turn any.
_NEUTRAL: Final[Mapping[str, Any]] = {
    "samplers": ["penalties", "dry", "temperature", "top_k", "typ_p", "top_p", "min_p", "xtc"],
    "top_k": 0,
    "top_p": 1.0,
    "min_p": 0.0,
    "typical_p": 1.0,
    "repeat_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "dry_multiplier": 0.0,
    "xtc_probability": 0.0,
    "dynatemp_range": 0.0,
    "mirostat": 0,
}
#: text is never split on llama.cpp's side, and every chunk says how many tokens there were
_WIRE: Final[Mapping[str, Any]] = {"reasoning_format": "none", "timings_per_token": True}
#: markers of dialects that are more than one token, by the token that shows them
_CHANNELS: Final = ("<|channel|>", "<|channel>")
_CONTROL: Final = 3
#: a line break, as byte-level vocabularies spell it
_NEWLINE: Final = "\N{LATIN CAPITAL LETTER C WITH DOT ABOVE}"
_KNOBS: Final = Knobs(tokens=("reasoning_budget_tokens",), caps=True)
_ENDS: Final = ("tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id")
_SMALL: Final = 64 << 20
_CONTEXT: Final = 8192
#: 2**32 - 1 means "any seed" to llama.cpp
_SEEDS: Final = 0xFFFFFFFF


class NanoBackend:
    """Runs an embedded model, or the GGUF file at a path, in this process.

    ``threads``: processor threads to compute with (default: one for a small model, else up to
    eight). ``context``: tokens that one prompt and its answer may have together (default: what the
    model was trained for, at most 8192). ``parallel``: answers computed at the same time; further
    ones wait; each takes the memory of a whole context. ``gpu_layers``: layers to put on a GPU,
    where the installed llama.cpp has one (-1: all). ``chat_template``: Jinja, in place of the
    file's own. ``verbose`` lets llama.cpp write its log to stderr, for the whole process.

    The constructor raises ``ConfigurationError`` for a name or a file that cannot work, a missing
    package, or a processor that is too old. The model is loaded at first use, in a thread, and
    shared by all backends with equal settings.
    """

    #: the model's name; "" only in a report of why there is none
    model = ""

    def __init__(
        self,
        model: str | os.PathLike[str] = "nano-reflect",
        *,
        threads: int | None = None,
        context: int | None = None,
        parallel: int = 4,
        gpu_layers: int = 0,
        chat_template: str | None = None,
        verbose: bool = False,
    ) -> None:
        check_at_least(threads=(threads, 1), context=(context, 32), parallel=(parallel, 1))
        check_at_least(gpu_layers=(gpu_layers, -1))
        shipped = embedded_models()
        self._embedded = model in shipped
        self.path = shipped[str(model)] if self._embedded else _find(model, shipped)
        self.model = str(model) if self._embedded else self.path.stem
        header = read_header(self.path)
        _check_template(header, chat_template)
        _check_engine()
        self._calls = "tools" in (chat_template or header.chat_template)
        self.context = _context(header, context)
        self._ends = _visible_ends(header)
        thinking = _thinking_tokens(header)
        self._knobs = _KNOBS if thinking else Knobs()
        from ._llama import Lease, Settings

        settings = Settings(
            path=self.path.resolve(),
            name=self.model,
            threads=threads or _default_threads(self.path),
            context=self.context,
            parallel=parallel,
            gpu_layers=gpu_layers,
            special=bool(self._ends),
            thinking=thinking,
            small=_is_small(self.path),
            chat_template=chat_template or "",
            verbose=verbose,
        )
        self._lease = Lease(settings)
        self._jobs: dict[Thread, Relay[Data]] = {}
        self._finalizer = weakref.finalize(self, self._lease.release)

    def __repr__(self) -> str:
        return f"NanoBackend({self.model!r})"

    @property
    def capabilities(self) -> Capabilities:
        """What llama.cpp does with this model. A budget for thinking needs tags of one token,
        tools a chat template that knows them."""
        return Capabilities(
            continues_prefix=True,
            reports_usage=True,
            seeds=True,
            tools=self._calls,
            reasoning=self._knobs.names,
            caps_thinking=self._knobs.caps,
        )

    async def stream(self, request: Request, /) -> AsyncIterator[Chunk]:
        """Answer ``request``; closing the generator stops llama.cpp at its next token.

        Raises ``BackendStatus`` (status 400) when the prompt does not fit into the context or
        llama.cpp refuses the request, ``ConfigurationError`` for an empty prompt, a file that
        cannot be loaded, or a closed backend, ``MissingCapability`` for images, and for tools where
        the model's chat template does not know them.
        """
        wire = self._body(request)
        relay = self._start(await self._engine(), wire)
        reader = ChunkReader()
        try:
            while (batch := await relay.batch()) is not None:
                for chunk in _read(reader, batch):
                    yield chunk
            yield _last(reader, one_call=wire.get("parallel_tool_calls") is False)
        finally:
            relay.cancelled = True

    async def tokenize(self, text: str) -> tuple[int, ...]:
        """The model's own token ids for ``text``; a tag that is a token counts as one."""
        from ._relay import in_thread

        engine = await self._engine()
        return await in_thread(lambda: engine.tokenize(text))

    @property
    def count(self) -> Callable[[str], int] | None:
        """Counts a text's tokens as the model does, in about a millisecond.

        None while the model is not loaded: counting must not make anybody wait for that.
        """
        engine = self._lease.ready
        return engine.count if engine else None

    async def load(self) -> None:
        """Load the model now rather than at the first request."""
        await self._engine()

    async def aclose(self) -> None:
        """Stop every answer under way and give the model back; the last user frees it."""
        from ._relay import in_thread

        jobs = dict(self._jobs)
        for relay in jobs.values():
            relay.cancelled = True

        def wait() -> None:
            for thread in jobs:
                thread.join()
            self._lease.release()

        await in_thread(wait)
        self._finalizer.detach()

    async def __aenter__(self) -> NanoBackend:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _engine(self) -> Engine:
        from ._relay import in_thread

        engine = self._lease.ready
        return engine if engine else await in_thread(self._lease.take)

    def _start(self, engine: Engine, wire: Data) -> Relay[Data]:
        from asyncio import get_running_loop

        from ._relay import Relay, start

        relay: Relay[Data] = Relay(get_running_loop())
        thread = start(lambda: engine.chat(wire, relay.put), relay)
        self._jobs = {t: r for t, r in self._jobs.items() if t.is_alive()} | {thread: relay}
        return relay

    def _body(self, request: Request) -> Data:
        check_text(request, "The embedded engine")
        standing = {**_NEUTRAL, **_WIRE}
        if self._embedded and request.temperature is None:
            standing["temperature"] = 0.0
        if request.top_p is not None:
            standing["top_p"] = request.top_p
        if request.seed is not None:
            standing["seed"] = request.seed % _SEEDS
        standing |= self._knobs.fields(request, repr(self))
        if self._ends:
            standing["stop"] = [*request.stop, *self._ends]
        wire = body(request, model=self.model, extra=standing)
        if wire.get("tools"):
            self._check_tools()
        return naming_one(wire)

    def _check_tools(self) -> None:
        if not self._calls:
            raise MissingCapability(
                f"The model {self.model} was not made for tools: its chat template ignores them.",
                capability="tools",
                hint='Use model="nano-tools", or a file whose chat template lists tools.',
            )


# --- before --------------------------------------------------------------------------------------


def _find(model: str | os.PathLike[str], shipped: Mapping[str, Path]) -> Path:
    text = os.fspath(model)
    if not text or (isinstance(model, str) and not _looks_like_path(text)):
        names = ", ".join(shipped) or "none in this installation"
        raise ConfigurationError(
            f"There is no embedded model {text!r}.",
            hint=f"There are: {names}. A model file is named by its path, ending in .gguf.",
        )
    return Path(text).expanduser()


def _looks_like_path(text: str) -> bool:
    separators = [s for s in (os.sep, os.altsep, "/") if s]
    return text.endswith(".gguf") or any(s in text for s in separators) or Path(text).exists()


def _check_template(header: Header, chat_template: str | None) -> None:
    if not (chat_template or header.chat_template):
        raise ConfigurationError(
            f"The model file {header.path} has no chat template.",
            hint="Pass the model's own as chat_template=; llama.cpp would have to guess one.",
        )


def _check_engine() -> None:
    from importlib.util import find_spec

    if find_spec("xllamacpp") is None:
        raise ConfigurationError(
            "The embedded engine, xllamacpp, is not installed.",
            hint='Install it with: pip install "reflectkit[local]"',
        )
    check_cpu()


def _context(header: Header, wanted: int | None) -> int:
    trained = header.context or max(wanted or 0, _CONTEXT)
    if wanted and wanted > trained:
        raise ConfigurationError(
            f"context is {wanted}, and {header.path.name} was trained for {trained} tokens."
        )
    return wanted or min(trained, _CONTEXT)


def _is_small(path: Path) -> bool:
    return path.stat().st_size < _SMALL


def _default_threads(path: Path) -> int:
    """One for a small model, where a second thread only waits for the first."""
    if _is_small(path):
        return 1
    able = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(able or 1, 8)


def _markers() -> Iterator[str]:
    """What the known dialects mark sections with, where a single token can be it."""
    from ..protocol import DIALECTS

    yield from _CHANNELS
    for dialect in DIALECTS.values():
        for section in dialect.sections.values():
            for marker in (*section.open, *section.close):
                yield from (f"<{marker}>", f"</{marker}>") if dialect.match == "xml" else (marker,)


def _thinking_tokens(header: Header) -> tuple[int, tuple[int, ...]] | None:
    """The token that opens thinking, and those that end it and lead into the answer.

    A model whose thinking is only closed may go on thinking behind the tag, so the answer's tag is
    written too where the dialect has one.
    """
    from ..protocol import DIALECTS
    from ..protocol.render import marks

    ids = {token: i for i, token in enumerate(header.array("tokenizer.ggml.tokens"))}
    for dialect in DIALECTS.values():
        opener, closer = marks("thinking", dialect)
        if opener in ids and closer in ids:
            answer = (_NEWLINE, marks("output", dialect)[0], _NEWLINE)
            return ids[opener], (ids[closer], *(ids[t] for t in answer if t in ids))
    return None


def _visible_ends(header: Header) -> tuple[str, ...]:
    """The spellings of the end tokens, where control tokens have to be shown to show the tags.

    llama.cpp then writes the end of the turn into the text too: as stop strings they are cut off.
    """
    tokens = header.array("tokenizer.ggml.tokens")
    kinds = header.array("tokenizer.ggml.token_type")
    control = {t for t, kind in zip(tokens, kinds, strict=False) if kind == _CONTROL}
    if control.isdisjoint(_markers()):
        return ()
    ids = {header.number(key) for key in _ENDS if header.get(key) is not None}
    return tuple(tokens[i] for i in sorted(ids) if i < len(tokens))


# --- after ---------------------------------------------------------------------------------------


def _read(reader: ChunkReader, batch: Sequence[Data]) -> Iterator[Chunk]:
    """One chunk for a run of texts: what came at once is parsed at once."""
    texts: list[str] = []
    usage: Usage | None = None
    fault: Data | None = None
    for data in batch:
        if "error" in data:
            fault = data
            break
        usage = read_timings(data.get("timings")) or usage
        texts += [chunk.text for chunk in reader.read(data)]
    if texts:
        yield Chunk("".join(texts), usage=usage)
    if fault:
        raise _refusal(fault)


def _last(reader: ChunkReader, *, one_call: bool) -> Chunk:
    """The last chunk. llama.cpp's grammars do not keep all models to one call: the first counts."""
    last = reader.finish()
    if last.finish is None:
        raise BackendWireError(
            "The answer was cut off: the embedded engine was closed.",
            hint="Close the backend after its last answer.",
        )
    return replace(last, tool_calls=last.tool_calls[:1]) if one_call else last


def _refusal(data: Data) -> BackendStatus:
    error, fault = data["error"], read_error(data)
    words, status = (fault.message, fault.code) if fault else ("no reason given", None)
    hint = ""
    if isinstance(error, dict) and "n_ctx" in error:
        words = (
            f"The prompt has {error['n_prompt_tokens']} tokens, "
            f"and the context has room for {error['n_ctx']}."
        )
        hint = "Shorten the messages, or make the backend with a larger context=."
    return BackendStatus(words, status=status, retryable=False, hint=hint)
