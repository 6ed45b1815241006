"""What tells one setting from another in the key of a cache: text, stable where it can be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

__all__ = ["identity"]


def identity(value: Any) -> Any:
    """The same for equal settings. Objects that only their address tells apart give that: their
    answers are then cached for this process alone, rather than mixed up."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, Mapping):
        return {str(k): identity(v) for k, v in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [identity(v) for v in value]
    if isinstance(value, type) or callable(value):
        return _named(value)
    if callable(dump := getattr(value, "model_dump", None)):
        return {type(value).__qualname__: identity(dump())}
    if is_dataclass(value):
        parts = {f.name: identity(getattr(value, f.name)) for f in fields(value)}
        return {type(value).__qualname__: parts}
    return _addressed(value)


def _named(value: Any) -> str:
    """A function or class of a module is known by its name; any other by its address."""
    name = getattr(value, "__qualname__", "")
    if not name or "<" in name or hasattr(value, "__self__"):
        return _addressed(value)
    fields_ = getattr(value, "model_json_schema", None)
    shape = f" {fields_()}" if callable(fields_) else ""
    return f"{value.__module__}.{name}{shape}"


def _addressed(value: Any) -> str:
    return f"{type(value).__qualname__} at {id(value):#x}"
