"""Validators by pydantic, made of whatever a user calls a type."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = ["adapter_of"]

_OURS = __name__.partition(".")[0]


def adapter_of(type_: Any) -> TypeAdapter[Any]:
    """A validator of ``type_``. Raises ``ConfigurationError`` for what cannot be validated."""
    from pydantic import PydanticSchemaGenerationError, PydanticUserError, TypeAdapter

    try:
        adapter = TypeAdapter(type_)
        if not adapter.pydantic_complete:  # it names types that are known where it is used alone
            adapter.rebuild(_types_namespace=_namespace())
    except (PydanticSchemaGenerationError, PydanticUserError, TypeError, NameError) as error:
        raise ConfigurationError(
            f"{type_!r} cannot be validated: {str(error).splitlines()[0]}",
            hint="Pass a pydantic model, or a type that pydantic's TypeAdapter takes.",
        ) from error
    return adapter


def _namespace() -> dict[str, Any]:
    """The names that our caller sees."""
    frame = sys._getframe()
    while frame.f_globals.get("__name__", "").partition(".")[0] == _OURS and frame.f_back:
        frame = frame.f_back
    return {**frame.f_globals, **frame.f_locals}
