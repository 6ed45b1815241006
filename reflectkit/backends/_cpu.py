"""Can this processor run the shipped llama.cpp? Asked before it is loaded, which would kill us.

The x86-64 builds of ``xllamacpp`` use AVX2 instructions without looking; on an older processor
the process dies of an illegal instruction, with no chance to say why.
"""

from __future__ import annotations

import platform
import sys
from pathlib import Path
from typing import Final

from ..errors import ConfigurationError

__all__ = ["check_cpu", "cpu_flags"]

_NEEDED: Final = ("avx2", "fma", "bmi2", "f16c")
_X86: Final = frozenset({"x86_64", "amd64", "x64"})
#: Windows names one of the four in its own way; the others came with the same processors
_WINDOWS_AVX2: Final = 40


def check_cpu(machine: str | None = None, flags: frozenset[str] | None = None) -> None:
    """Raise ``ConfigurationError`` if the processor lacks what the build needs.

    Where the flags cannot be read (None) the processor is taken to be able.
    """
    if (machine or platform.machine()).lower() not in _X86:
        return
    flags = cpu_flags() if flags is None else flags
    missing = [name for name in _NEEDED if name not in flags] if flags else []
    if missing:
        raise ConfigurationError(
            f"This processor cannot run the embedded engine: it lacks {', '.join(missing)}.",
            hint="Use a server instead (Client with a base_url), or a processor of 2013 or later.",
        )


def cpu_flags() -> frozenset[str] | None:
    """The instruction sets of an x86-64 processor, or None where nothing tells."""
    if sys.platform == "win32":
        return _windows_flags()
    try:
        return parse_cpuinfo(Path("/proc/cpuinfo").read_text("utf-8", "replace"))
    except OSError:
        return None


def parse_cpuinfo(text: str) -> frozenset[str] | None:
    """The first line of flags in the text of Linux's ``/proc/cpuinfo``."""
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "flags":
            return frozenset(value.split())
    return None


def _windows_flags() -> frozenset[str] | None:
    import ctypes

    kernel = getattr(ctypes, "windll").kernel32  # noqa: B009  # exists on Windows alone
    return frozenset(_NEEDED if kernel.IsProcessorFeaturePresent(_WINDOWS_AVX2) else ("x86",))
