"""llama.cpp in this process: the one module that touches ``xllamacpp``.

An ``Engine`` is a loaded model. Backends with equal settings share one through a ``Lease`` each;
the last to let go closes it. Everything here blocks, so it is called from threads.
"""

from __future__ import annotations

import atexit
import ctypes
import http.client
import importlib
import json
import os
import secrets
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ..errors import BackendStatus, ConfigurationError

__all__ = ["Engine", "Lease", "Settings"]

#: the callback's answer True stops the generation
Sink = Callable[[dict[str, Any]], bool]

_QUIET, _CHATTY = 0, 3
_BATCH: Final = 512
_HTTP_SECONDS: Final = 60.0
#: a socket path may have 104 bytes on some systems
_LONGEST_PATH: Final = 100
#: seconds that a leaving process waits for answers under way to notice
_PATIENCE: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What makes two engines the same. ``context`` is tokens per answer under way."""

    path: Path
    name: str
    threads: int = 1
    context: int = 1024
    parallel: int = 4
    gpu_layers: int = 0
    special: bool = False
    #: the tokens that open thinking, and what is written when its budget is spent; closer first
    thinking: tuple[int, tuple[int, ...]] | None = None
    small: bool = False
    chat_template: str = ""
    verbose: bool = False
    unix: bool = field(default_factory=lambda: hasattr(socket, "AF_UNIX"))


class _Door:
    """Where llama.cpp's HTTP listener, which cannot be left out, is put.

    Best is a Unix socket in a folder that only this user may enter. Where there is none, it is a
    free port on the loopback interface. The key is demanded in both cases.
    """

    def __init__(self, unix: bool) -> None:
        self.key = secrets.token_hex(32)
        self.folder = _private_folder() if unix else None
        self.host = f"{self.folder}/llama.sock" if self.folder else "127.0.0.1"
        self.port = 0

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """The JSON answer to a request, with the key."""
        connection = _UnixConnection(self.host) if self.folder else self._tcp()
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        try:
            connection.request("POST", path, json.dumps(body), headers)
            return json.load(connection.getresponse())
        finally:
            connection.close()

    def _tcp(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.host, self.port, timeout=_HTTP_SECONDS)

    def remove(self) -> None:
        """Leave nothing behind on the disk."""
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_HTTP_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_HTTP_SECONDS)
        self.sock.connect(self._path)


def _private_folder() -> str | None:
    try:
        folder = tempfile.mkdtemp(prefix="reflectkit-")  # made with mode 0700
    except OSError:
        return None
    if len(os.fsencode(folder)) + len("/llama.sock") <= _LONGEST_PATH:
        return folder
    os.rmdir(folder)
    return None


class Engine:
    """A model loaded by llama.cpp. Thread-safe; ``chat`` may run in many threads at once."""

    def __init__(self, settings: Settings) -> None:
        self._lock = threading.RLock()
        self._active = 0
        self._closing = False
        self._door = _Door(settings.unix)
        self.closed = threading.Event()
        try:
            self._server: Any = _serve(settings, self._door)
        except BaseException:
            self._door.remove()
            raise
        if not self._door.folder:
            self._door.port = int(self._server.listening_address.rpartition(":")[2])

    def __repr__(self) -> str:
        return f"<Engine {'closed' if self.closed.is_set() else 'open'}, {self._active} active>"

    def chat(self, body: dict[str, Any], sink: Sink) -> None:
        """Answer; every JSON chunk goes to ``sink``. Returns at the end or when told to stop."""
        with self._busy():
            try:
                self._server.handle_chat_completions(body, lambda data: sink(data) or self._closing)
            except (ValueError, TypeError, RuntimeError) as error:  # so it says no to bad JSON
                raise BackendStatus(
                    f"llama.cpp refused the request: {error}", status=400, retryable=False
                ) from error

    def tokenize(self, text: str) -> tuple[int, ...]:
        """The token ids of ``text``; tags that are tokens count as one, nothing is added."""
        with self._busy():
            found = self._door.post("/tokenize", {"content": text, "parse_special": True})
            return tuple(found["tokens"])

    def count(self, text: str) -> int:
        """How many tokens ``text`` has."""
        return len(self.tokenize(text)) if text else 0

    def close(self) -> None:
        """Stop what is under way. The last user frees the model, here or in its own thread."""
        with self._lock:
            self._closing = True
            idle = self._active == 0
        if idle:
            self._free()

    def abandon(self) -> None:
        """After a fork, in the child: the threads are gone, so the server must never be freed."""
        self._closing = True
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._server))

    def _busy(self) -> _Busy:
        return _Busy(self)

    def enter(self) -> None:
        """Count one more call; refused once closing."""
        with self._lock:
            if self._closing:
                raise ConfigurationError("The embedded engine is closed.")
            self._active += 1

    def leave(self) -> None:
        """Count one call less; the last one after ``close`` frees the model."""
        with self._lock:
            self._active -= 1
            last = self._closing and self._active == 0
        if last:
            self._free()

    def _free(self) -> None:
        with self._lock:
            server, self._server = self._server, None
        del server  # joins llama.cpp's threads
        self._door.remove()
        self.closed.set()


class _Busy:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __enter__(self) -> None:
        self._engine.enter()

    def __exit__(self, *_: object) -> None:
        self._engine.leave()


def _way_out(error: ImportError) -> str:
    """What to do about a missing engine, or about a library of the system that it wants."""
    if "libgomp" in str(error):
        return "Install OpenMP: apt install libgomp1 (Debian), dnf install libgomp (Fedora)."
    return 'Install it with: pip install "reflectkit[local]"'


def _serve(settings: Settings, door: _Door) -> Any:
    try:
        xllamacpp = importlib.import_module("xllamacpp")
    except ImportError as error:
        raise ConfigurationError(
            f"The embedded engine cannot be loaded: {error}.", hint=_way_out(error)
        ) from error
    try:
        server = xllamacpp.Server(_params(xllamacpp, settings, door))
        # Its main loop may not run yet, and a server that is freed before it does hangs for good.
        # This question is answered by that loop.
        server.handle_metrics()
        return server
    except RuntimeError as error:
        raise ConfigurationError(
            f"llama.cpp could not load the model file {settings.path}.",
            hint="It may be of a kind that this build does not know, or too large for the memory; "
            "verbose=True shows what llama.cpp says, a smaller context needs less memory.",
        ) from error


def _params(xllamacpp: Any, settings: Settings, door: _Door) -> Any:
    params = xllamacpp.CommonParams()
    params.model.path = str(settings.path)
    params.model_alias = {settings.name}
    params.verbosity = _CHATTY if settings.verbose else _QUIET
    params.n_ctx = settings.context * settings.parallel
    params.n_parallel = settings.parallel
    params.n_batch = params.n_ubatch = _BATCH
    params.n_gpu_layers = settings.gpu_layers
    for pool in (params.cpuparams, params.cpuparams_batch):
        pool.n_threads = settings.threads
        pool.poll = 0  # waiting threads sleep instead of burning a core
    params.use_jinja = True
    params.chat_template = settings.chat_template
    params.special = settings.special
    params.reasoning_format = xllamacpp.common_reasoning_format.COMMON_REASONING_FORMAT_NONE
    params.cache_prompt = not settings.small  # a reused prompt is rounded a little differently
    params.cache_ram_mib = 0  # else up to 8 GiB of old prompts are kept
    if settings.thinking:  # what a budget for thinking counts between, and ends with
        start, closing = settings.thinking
        params.sampling.reasoning_budget_start = [start]
        params.sampling.reasoning_budget_end = [[closing[0]]]
        params.sampling.reasoning_budget_forced = list(closing)
    params.fit_params = False  # our numbers stand; llama.cpp must not guess others
    if settings.small:
        _full_precision(xllamacpp, params)
    _lock_door(params, door)
    return params


def _full_precision(xllamacpp: Any, params: Any) -> None:
    """Attention in 32 bits, as the model was trained: a small model can afford it, and then says
    the same as in other engines where two tokens are nearly as likely."""
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED


def _lock_door(params: Any, door: _Door) -> None:
    params.hostnames = [door.host]
    params.port = 0
    params.api_keys = [door.key]
    params.cors_origins = ""
    params.n_threads_http = 2
    params.ui = False
    params.endpoint_slots = params.endpoint_props = False
    params.endpoint_metrics = True  # counts alone; our way to wait for the server's main loop


# --- sharing -------------------------------------------------------------------------------------


class _Slot:
    """The engine of one group of equal settings, and the leases on it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.engine: Engine | None = None
        self.leases: set[int] = set()


class _Shared:
    """All engines of this process. Loading is shared by who needs the same model.

    It has to be one per process: two copies of a model would cost its memory twice.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._slots: dict[Settings, _Slot] = {}
        self._engines: list[Engine] = []
        self._forked = False

    def acquire(self, settings: Settings, lease: int) -> Engine:
        """The engine for ``settings``, loaded if nobody has it yet."""
        if self._forked:
            raise ConfigurationError(
                "This process was forked from one that had started the embedded engine.",
                hint='Use the start method "spawn" (multiprocessing.get_context("spawn")), or '
                "start the engine only in the child.",
            )
        with self._lock:
            slot = self._slots.setdefault(settings, _Slot())
        with slot.lock:
            slot.engine = slot.engine or self._load(settings)
            slot.leases.add(lease)
            return slot.engine

    def _load(self, settings: Settings) -> Engine:
        engine = Engine(settings)
        with self._lock:
            self._engines = [*self.engines(), engine]
        return engine

    def release(self, settings: Settings, lease: int) -> None:
        """Give a lease back; the last one closes the engine."""
        slot = self._slots[settings]
        with slot.lock:
            slot.leases.discard(lease)
            if slot.leases or slot.engine is None:
                return
            engine, slot.engine = slot.engine, None
        engine.close()

    def engines(self) -> list[Engine]:
        """Those that are open, or closing with an answer still under way."""
        return [engine for engine in self._engines if not engine.closed.is_set()]

    def at_exit(self) -> None:
        """Stop all before the interpreter goes: its threads would wake up in a dead process."""
        for engine in self.engines():
            engine.close()
            engine.closed.wait(_PATIENCE)

    def after_fork(self) -> None:
        """In the child: the engines are the parent's, and locks may be held by lost threads."""
        engines = self.engines()
        for engine in engines:
            engine.abandon()
        self._forked = self._forked or bool(engines)
        self._lock, self._slots, self._engines = threading.Lock(), {}, []


_SHARED: Final = _Shared()
atexit.register(_SHARED.at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_SHARED.after_fork)


class Lease:
    """One backend's share of an engine, taken at first use."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.RLock()
        self._engine: Engine | None = None
        self._released = False
        self._pid = os.getpid()

    @property
    def ready(self) -> Engine | None:
        """The engine, if it is there already and in this process."""
        return self._engine if self._pid == os.getpid() else None

    def take(self) -> Engine:
        """The engine; loads it if need be. Blocks."""
        with self._lock:
            if self._released:
                raise ConfigurationError("The backend is closed.", hint="Make a new one.")
            self._engine = self.ready or _SHARED.acquire(self._settings, id(self))
            self._pid = os.getpid()
            return self._engine

    def release(self) -> None:
        """Give it back. The last lease frees the model, once no answer is under way."""
        with self._lock:
            self._released = True
            if self.ready:
                _SHARED.release(self._settings, id(self))
            self._engine = None
