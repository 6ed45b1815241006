"""JSON while it streams in: the best object so far, after every piece, at linear cost."""

from __future__ import annotations

import json
import re
import types
from collections.abc import Iterator
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Final,
    Generic,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
)

from ..errors import ConfigurationError
from ..values.json_text import Machine, Repair, Rest
from ._adapter import adapter_of

if TYPE_CHECKING:
    from pydantic import BaseModel, TypeAdapter

__all__ = ["Partial", "PartialJSON"]

T = TypeVar("T")
_BEGIN: Final = re.compile(r"[{\[]")
#: A typed object is made anew when its text has grown by this share, and by so many characters.
_SHARE, _STEP = 8, 48


class PartialJSON:
    """The first JSON object or list of a text that comes in pieces.

    Prose and code fences around it are passed over, safe damage is mended as ``Schema`` does; what
    breaks is given up as a whole, and the next one is read. It knows nothing of I/O, and any way to
    cut the text gives the same result.
    """

    def __init__(self) -> None:
        self._machine: Machine | None = None
        self._rest: Rest | None = None
        self._length = 0

    @property
    def value(self) -> Any:
        """The object so far, or None. It grows in place: copy it to keep a state of it.

        A string may be unfinished; numbers and words appear when they are complete.
        """
        return self._machine.value if self._machine else None

    @property
    def complete(self) -> bool:
        """The value has been closed."""
        return self._machine is not None and self._machine.done

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """What was mended so far."""
        return tuple(self._machine.repairs) if self._machine else ()

    @property
    def open(self) -> tuple[Any, ...]:
        """The containers that are still growing, from the outermost in."""
        return tuple(self._machine.open) if self._machine else ()

    def feed(self, piece: str) -> Any:
        """Read the next piece; ``value`` as it is then. What follows the value is ignored."""
        at = 0
        while at < len(piece) and not self.complete:
            if self._rest is not None:
                at = self._pass_over(self._rest, piece, at)
            else:
                at = self._begin(piece, at) if self._machine is None else self._go_on(piece, at)
        self._length += len(piece)
        return self.value

    def _begin(self, piece: str, at: int) -> int:
        found = _BEGIN.search(piece, at)
        if found is None:
            return len(piece)
        self._machine = Machine(at=self._length + found.start())
        return found.start()

    def _go_on(self, piece: str, at: int) -> int:
        assert self._machine is not None
        stopped = self._machine.feed(piece, at)
        if self._machine.fault is not None:
            if self._machine.meant:
                self._rest = Rest(len(self._machine.open))
            self._machine = None
        return stopped

    def _pass_over(self, rest: Rest, piece: str, at: int) -> int:
        stopped = rest.feed(piece, at)
        if rest.over:
            self._rest = None
        return stopped


class Partial(Generic[T]):
    """A typed object that fills up while its JSON streams in: for display, before it is complete.

    ``type_``: a pydantic model, or anything that a ``TypeAdapter`` takes. Parts that are complete
    are validated; a model that is still growing is built without validation, and fields that have
    not come, or are not valid, are their default or None. So a partial object is not to be relied
    on: the complete one is validated as a whole by ``Schema``.

    A new object is made when the text has grown by an eighth, and at least by 48 characters, or
    has ended: so the cost of all of them together stays linear.
    """

    def __init__(self, type_: type[T] | Any) -> None:
        self._type = type_
        self._root = adapter_of(type_)
        self._json = PartialJSON()
        self._length = 0
        self._next = 0
        self._object: T | None = None
        self._ended = False

    @property
    def json(self) -> PartialJSON:
        """The untyped object beneath it."""
        return self._json

    @property
    def object(self) -> T | None:
        """The latest object; None before there is one."""
        return self._object

    def feed(self, piece: str) -> T | None:
        """Read the next piece. A new object, or None if none was made."""
        self._json.feed(piece)
        self._length += len(piece)
        ends = self._json.complete and not self._ended
        if self._json.value is None or self._ended or not (ends or self._length >= self._next):
            return None
        self._ended = self._json.complete
        self._next = self._length + max(_STEP, self._length // _SHARE)
        made = self._made()
        self._object = made if made is not None else self._object
        return made

    def _made(self) -> T | None:
        growing = {id(c) for c in self._json.open}
        return cast("T | None", _fill(self._type, self._json.value, growing, self._root))


def _fill(
    type_: Any, value: Any, growing: set[int], adapter: TypeAdapter[Any] | None = None
) -> Any:
    """``value`` as ``type_``: validated if it is complete, else as far as that is possible."""
    if id(value) not in growing:
        return _valid(adapter or type_, value)
    model = _model(type_)
    if model is not None and isinstance(value, dict):
        return _construct(model, value, growing)
    if isinstance(value, list):
        (inner, *_) = get_args(_bare(type_)) or (Any,)
        items = [_fill(inner, item, growing) for item in value]
        return [i for i in items if i is not None]
    arguments = get_args(_bare(type_))
    inner = arguments[1] if len(arguments) == 2 else Any
    return {key: _fill(inner, item, growing) for key, item in value.items()}


def _valid(type_: Any, value: Any) -> Any:
    from pydantic import TypeAdapter, ValidationError

    if type_ is Any:
        return value
    try:
        adapter = type_ if isinstance(type_, TypeAdapter) else _cached(type_)
        return adapter.validate_json(json.dumps(value)) if adapter is not None else value
    except (ValidationError, RecursionError):
        return None
    except Exception:  # noqa: BLE001  # validators are the user's own
        return None


_ADAPTERS: dict[Any, Any] = {}
_MOST_ADAPTERS: Final = 512


def _cached(type_: Any) -> Any:
    """Building an adapter costs more than using it a hundred times."""
    try:
        if type_ not in _ADAPTERS:
            if len(_ADAPTERS) >= _MOST_ADAPTERS:
                _ADAPTERS.clear()
            _ADAPTERS[type_] = adapter_of(type_)
        return _ADAPTERS[type_]
    except (TypeError, ConfigurationError):
        return None


def _bare(type_: Any) -> Any:
    """The type without ``Annotated`` and ``| None``."""
    while True:
        if get_origin(type_) is Annotated:
            type_ = get_args(type_)[0]
            continue
        if get_origin(type_) in (Union, types.UnionType):
            kinds = [a for a in get_args(type_) if a is not type(None)]
            if len(kinds) == 1:
                type_ = kinds[0]
                continue
        return type_


def _model(type_: Any) -> type[BaseModel] | None:
    from pydantic import BaseModel, RootModel

    found = _bare(type_)
    is_model = isinstance(found, type) and issubclass(found, BaseModel)
    return found if is_model and not issubclass(found, RootModel) else None


def _construct(model: type[BaseModel], value: dict[str, Any], growing: set[int]) -> BaseModel:
    known: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        key = next(
            (k for k in _spellings(name, field.alias, field.validation_alias) if k in value), None
        )
        if key is not None:
            whole = (
                Annotated[(field.annotation, *field.metadata)]
                if field.metadata
                else field.annotation
            )
            known[name] = _fill(whole, value[key], growing)
        elif field.is_required():
            known[name] = None
    return model.model_construct(_fields_set=set(known), **known)


def _spellings(name: str, *aliases: Any) -> Iterator[str]:
    yield from (a for a in aliases if isinstance(a, str))
    yield name
