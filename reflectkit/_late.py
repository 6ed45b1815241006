"""Names of a package that are fetched from their modules when they are first used."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

__all__ = ["late"]


def late(package: str, homes: Mapping[str, Iterable[str]]) -> Callable[[str], Any]:
    """The ``__getattr__`` of a package.

    ``homes``: module -> the names that come from it. A module that lists itself is a name as it is.
    """
    home = {name: module for module, names in homes.items() for name in names}

    def fetched(name: str) -> Any:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        from importlib import import_module

        module = import_module(f"{package}.{home[name]}")
        value = module if name == home[name] else getattr(module, name)
        vars(sys.modules[package])[name] = value
        return value

    return fetched
