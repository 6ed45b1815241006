"""Where numpy and SciPy come from."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ...errors import MissingCapability

__all__ = ["needed"]


def needed(module: str) -> Any:
    """The module. Raises ``MissingCapability`` where the extra is not installed."""
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingCapability(
            f"Statistics need {module.partition('.')[0]}.",
            capability="statistics",
            hint="pip install 'reflectkit[compare]'",
        ) from error
