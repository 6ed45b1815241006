"""A model in this process, run by transformers: any causal language model, on any device.

It needs the extra ``reflectkit[transformers]``.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError
from ..messages import Chunk, Request
from ..models import profile_for
from ..protocol.dialects import find_dialect
from ._hf.ask import ask
from ._hf.load import Source, check_installed, load
from ._hf.memory import Memory, memory
from ._hf.worker import Worker
from ._local import check_at_least
from .base import Capabilities

if TYPE_CHECKING:
    from ..protocol import Dialect
    from ._hf.worker import Loaded

__all__ = ["Memory", "TransformersBackend", "memory"]


class TransformersBackend:
    """Runs a causal language model in this process with transformers.

    ``model``: a folder, a name on the Hugging Face hub, or a pair of a loaded model and its
    tokenizer. Nothing is fetched from the network unless ``local_files_only`` is False.
    ``device_map``: where the layers go, as transformers has it ("auto", "cpu", {"": 0}, ...);
    None is the first GPU if there is one, else the processor. ``dtype``: numbers to compute with
    ("bfloat16", ...; None: as the weights are stored). ``quantization_config``, and ``load`` with
    anything else, go to ``from_pretrained``. ``tokenizer``: another than the model's own.
    ``chat_template``: Jinja, in place of the tokenizer's. ``max_batch``: answers at the same time;
    further ones wait. ``context``: tokens that one prompt and its answer may have together
    (default: what the model was trained for, at most 8192). ``threads``: of the processor, for
    all that torch does in this process (default: its own choice). ``thinking_cap`` and
    ``thinking_min``: how many tokens of thinking an answer may and must have, where a request says
    nothing.
    ``dialect``: how the model marks thinking (default: as known for its name). ``name``: under
    which it is known, where the folder's says nothing.

    One thread owns the model: it loads it at first use and ends with ``aclose``. The constructor
    raises ``ConfigurationError`` for a missing package or folder and for numbers that cannot work.
    """

    capabilities = Capabilities(
        continues_prefix=True,
        reports_usage=True,
        seeds=True,
        reasoning=frozenset({"tokens"}),
        caps_thinking=True,
        counts_tokens=True,
    )

    def __init__(
        self,
        model: str | os.PathLike[str] | tuple[Any, Any],
        *,
        device_map: Any = None,
        dtype: Any = None,
        quantization_config: Any = None,
        tokenizer: Any = None,
        chat_template: str | None = None,
        max_batch: int = 8,
        context: int | None = None,
        threads: int | None = None,
        thinking_cap: int | None = None,
        thinking_min: int = 0,
        dialect: str | Dialect | None = None,
        name: str = "",
        local_files_only: bool = True,
        trust_remote_code: bool = False,
        load: Mapping[str, Any] | None = None,
    ) -> None:
        check_at_least(max_batch=(max_batch, 1), context=(context, 32), threads=(threads, 1))
        check_at_least(thinking_cap=(thinking_cap, 0), thinking_min=(thinking_min, 0))
        check_installed()
        self.model = name or _name(model)
        self._cap, self._least = thinking_cap, thinking_min
        source = Source(
            model=_checked(model),
            name=self.model,
            dialect=find_dialect(dialect or profile_for(self.model).dialect),
            tokenizer=tokenizer,
            device_map=device_map,
            dtype=dtype,
            quantization_config=quantization_config,
            chat_template=chat_template,
            context=context,
            threads=threads,
            local_files_only=local_files_only,
            trust_remote_code=trust_remote_code,
            more=dict(load or {}),
        )
        self._worker = Worker(_loader(source), max_batch)
        self._finalizer = weakref.finalize(self, self._worker.close)

    def __repr__(self) -> str:
        return f"TransformersBackend({self.model!r})"

    async def stream(self, request: Request, /) -> AsyncIterator[Chunk]:
        """Answer ``request``; closing the generator stops its row at the next token.

        Raises ``BackendStatus`` (status 400) when the prompt does not fit into the context or the
        chat template refuses it, ``BackendError`` when the model fails or memory runs out,
        ``ConfigurationError`` for an empty prompt, a model that cannot be loaded, or a closed
        backend, ``MissingCapability`` for images, tools and grammars.
        """
        from asyncio import get_running_loop

        from ._relay import Relay

        asked = ask(request, cap=self._cap, least=self._least)
        relay: Relay[Chunk] = Relay(get_running_loop())
        try:
            self._worker.submit(relay, asked)
            while (batch := await relay.batch()) is not None:
                yield _merged(batch)
        finally:
            relay.cancelled = True

    async def tokenize(self, text: str) -> tuple[int, ...]:
        """The model's own token ids for ``text``; a tag that is a token counts as one."""
        from ._relay import in_thread

        loaded = await self._loaded()
        return tuple(await in_thread(lambda: loaded.habits.text.encode(text)))

    async def count_tokens(self, request: Request) -> int:
        """The tokens that ``request`` has as a prompt, its template and prefix included."""
        from ._relay import in_thread

        asked, text = ask(request), (await self._loaded()).habits.text
        return len(await in_thread(lambda: text.encode(text.render(asked) + asked.prefix)))

    @property
    def count(self) -> Callable[[str], int] | None:
        """Counts a text's tokens as the model does.

        None while the model is not loaded: counting must not make anybody wait for that.
        """
        loaded = self._worker.loaded
        return (lambda text: len(loaded.habits.text.encode(text))) if loaded else None

    @property
    def context(self) -> int | None:
        """Tokens that a prompt and its answer may have together; None before it is loaded."""
        loaded = self._worker.loaded
        return loaded.habits.context if loaded else None

    async def load(self) -> None:
        """Load the model now rather than at the first request."""
        await self._loaded()

    async def aclose(self) -> None:
        """Stop every answer under way, end the thread and let go of the model."""
        from ._relay import in_thread

        await in_thread(self._worker.wait)
        self._finalizer.detach()

    async def __aenter__(self) -> TransformersBackend:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _loaded(self) -> Loaded:
        if (loaded := self._worker.loaded) is not None:
            return loaded
        from asyncio import get_running_loop

        from ._relay import Relay

        relay: Relay[Loaded] = Relay(get_running_loop())
        try:
            self._worker.submit(relay)
            found = await relay.batch()
        finally:
            relay.cancelled = True
        if not found:
            raise ConfigurationError("The backend was closed while it loaded its model.")
        return found[0]


def _loader(source: Source) -> Callable[[], Loaded]:
    return lambda: load(source)


def _merged(chunks: Sequence[Chunk]) -> Chunk:
    """One chunk for what came at once."""
    last = chunks[-1]
    text = "".join(chunk.text for chunk in chunks)
    return Chunk(text, usage=last.usage, finish=last.finish, model=last.model)


def _name(model: Any) -> str:
    if not isinstance(model, str | os.PathLike):
        config = getattr(model[0], "config", None) if _is_pair(model) else None
        model = getattr(config, "name_or_path", "") or "model"
    text = os.fspath(model)
    return Path(text).resolve().name if Path(text).exists() else text


def _is_pair(model: object) -> bool:
    return isinstance(model, Sequence) and len(model) == 2


def _checked(model: Any) -> Any:
    if not isinstance(model, str | os.PathLike):
        if _is_pair(model) and hasattr(model[0], "forward") and hasattr(model[1], "decode"):
            return model
        raise ConfigurationError(
            f"model is a {type(model).__name__}.",
            hint="Give a folder, a name on the hub, or a pair: (model, tokenizer).",
        )
    text = os.fspath(model)
    path = Path(text).expanduser()
    if text and path.is_dir():
        if not (path / "config.json").exists():
            raise ConfigurationError(
                f"The folder {text} holds no config.json.",
                hint="Name the folder that save_pretrained wrote; a GGUF file runs in NanoBackend.",
            )
        return path
    parts = text.split("/")
    named = 1 <= len(parts) <= 2 and all(parts) and not text.startswith((".", "~"))
    if not named or path.exists() or isinstance(model, os.PathLike):
        raise ConfigurationError(
            f"There is no folder {text!r}.",
            hint="Name a folder with config.json, weights and tokenizer, or a model on the hub.",
        )
    return text
