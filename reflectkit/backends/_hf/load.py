"""From a name, a folder or a loaded pair to a model that is ready; every fault a typed error."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ...errors import BackendError, ConfigurationError, ReflectKitError
from ...models import profile_for
from .ask import Sampling
from .row import Habits
from .text import Text
from .worker import Loaded

if TYPE_CHECKING:
    from ...protocol import Dialect

__all__ = ["Source", "check_installed", "load"]

_CONTEXT: Final = 8192
_INSTALL: Final = 'Install it with: pip install "reflectkit[transformers]"'
#: words for where layers go that are no devices
_PLANS: Final = ("auto", "balanced", "balanced_low_0", "sequential", "disk", "meta")
_MEMORY: Final = ("out of memory", "not enough memory", "can't allocate memory")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a model comes from, and how it is loaded."""

    model: Any
    name: str
    dialect: Dialect
    tokenizer: Any = None
    device_map: Any = None
    dtype: Any = None
    quantization_config: Any = None
    chat_template: str | None = None
    context: int | None = None
    threads: int | None = None
    local_files_only: bool = True
    trust_remote_code: bool = False
    more: Mapping[str, Any] = field(default_factory=dict, repr=False)


def check_installed() -> None:
    """Raises ``ConfigurationError`` if a package is missing; loads none."""
    for package in ("torch", "transformers"):
        if find_spec(package) is None:
            raise ConfigurationError(f"The package {package} is not installed.", hint=_INSTALL)


def load(source: Source) -> Loaded:
    """Load it. Raises ``ConfigurationError`` for what cannot work. Blocks, for minutes maybe."""
    try:
        from .batch import Runner
    except ImportError as error:
        raise ConfigurationError(
            f"The transformers backend cannot be loaded: {error}.", hint=_INSTALL
        ) from error
    if source.threads:
        _set_threads(source.threads)
    model, tokenizer = _pair(source)
    model.eval()
    _check_vocabulary(model, tokenizer)
    text = Text(tokenizer, source.chat_template)
    habits = Habits(
        name=source.name,
        text=text,
        context=_context(model.config, source.context),
        dialect=source.dialect,
        ends=_ends(model, tokenizer, text, source.name),
        sampling=_sampling(getattr(model, "generation_config", None)),
    )
    return Loaded(Runner(model), habits)


def _set_threads(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)


def _pair(source: Source) -> tuple[Any, Any]:
    if not isinstance(source.model, str | os.PathLike):
        model, tokenizer = source.model
        return model, tokenizer
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    target = os.fspath(source.model)
    shared = {
        "local_files_only": source.local_files_only,
        "trust_remote_code": source.trust_remote_code,
    }
    devices = source.device_map
    if devices is None and torch.cuda.is_available():
        devices = "cuda:0"
    _check_devices(devices)
    given = {
        "dtype": source.dtype or "auto",
        "device_map": devices,
        "quantization_config": source.quantization_config,
        **source.more,
    }
    given = {name: value for name, value in given.items() if value is not None}
    words = {k: v for k, v in source.more.items() if k in ("revision", "token", "cache_dir")}
    try:
        tokenizer = source.tokenizer
        if tokenizer is None or isinstance(tokenizer, str | os.PathLike):
            tokenizer = AutoTokenizer.from_pretrained(tokenizer or target, **shared, **words)
        model = AutoModelForCausalLM.from_pretrained(target, **shared, **given)
    except Exception as error:
        raise _refused(error, source, target) from error
    return model, tokenizer


def _refused(error: Exception, source: Source, target: str) -> ReflectKitError:
    lines = [line for line in str(error).splitlines() if line.strip()]
    said = f"{type(error).__name__}: {lines[0][:500] if lines else 'no reason given'}"
    for secret in (v for k, v in source.more.items() if k == "token" and isinstance(v, str)):
        said = said.replace(secret, "***")
    if any(word in str(error).lower() for word in _MEMORY) or isinstance(error, MemoryError):
        return BackendError(
            f"There is not enough memory for {target!r} ({said}).",
            hint="Use a smaller dtype=, a quantization_config=, or spread it over more devices "
            '(device_map="auto").',
        )
    hint = "Look at the name of the folder, and that it holds config.json, weights and tokenizer."
    if source.local_files_only and not Path(target).exists():
        hint = (
            "Only files on this machine are used: give the path of a folder, or let the model be "
            "downloaded with local_files_only=False."
        )
    if isinstance(error, ImportError):
        hint = f"A package is missing. {_INSTALL}"
    return ConfigurationError(f"{target!r} could not be loaded ({said}).", hint=hint)


def _check_devices(devices: Any) -> None:
    import torch

    wanted = devices.values() if isinstance(devices, Mapping) else [devices]
    for device in {str(d): d for d in wanted if d is not None}.values():
        if isinstance(device, str) and device in _PLANS:
            continue
        try:
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError, TypeError) as error:
            raise ConfigurationError(
                f"The device {device!r} that device_map asks for cannot be used here.",
                hint=_devices_hint(),
            ) from error


def _devices_hint() -> str:
    import torch

    count = torch.cuda.device_count()
    if not count:
        return 'There is no GPU that this torch can use: leave device_map out, or say "cpu".'
    return f"There are {count} GPUs, from cuda:0 to cuda:{count - 1}."


def _check_vocabulary(model: Any, tokenizer: Any) -> None:
    """A token without a row would end a GPU's whole process."""
    rows = model.get_input_embeddings().weight.shape[0]
    highest = max(tokenizer.get_vocab().values(), default=0)
    if highest >= rows:
        raise ConfigurationError(
            f"The tokenizer has tokens up to {highest}, and the model has {rows} rows for them.",
            hint="Model and tokenizer do not belong together, or tokens were added without "
            "resizing the model: use a repaired upload.",
        )


def _context(config: Any, wanted: int | None) -> int:
    trained = getattr(config.get_text_config(decoder=True), "max_position_embeddings", None)
    if wanted and trained and wanted > trained:
        raise ConfigurationError(
            f"context is {wanted}, and the model was trained for {trained} tokens."
        )
    return wanted or min(trained or _CONTEXT, _CONTEXT)


def _ends(model: Any, tokenizer: Any, text: Text, name: str) -> frozenset[int]:
    """The tokens that end a turn: the model's, the tokenizer's, and those of a known model."""
    settings = getattr(model, "generation_config", None)
    found: set[int] = set()
    for ids in (
        getattr(settings, "eos_token_id", None),
        getattr(model.config, "eos_token_id", None),
        getattr(tokenizer, "eos_token_id", None),
    ):
        found |= {ids} if isinstance(ids, int) else set(ids or ())
    return frozenset(found | set(text.special(profile_for(name).stop_ids)))


def _sampling(settings: Any) -> Sampling:
    """The model's own advice, for requests that leave it to the model."""
    if not getattr(settings, "do_sample", False):
        return Sampling()
    neutral = Sampling(temperature=1.0)
    found = {
        name: value
        for name in Sampling.__slots__
        if (value := getattr(settings, name, None)) is not None
    }
    return Sampling(**{**{n: getattr(neutral, n) for n in Sampling.__slots__}, **found})
