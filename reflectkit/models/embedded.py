"""The weights that are shipped with the package."""

from __future__ import annotations

from pathlib import Path

__all__ = ["embedded_models"]


def embedded_models() -> dict[str, Path]:
    """The weights that are shipped: name -> file. ``nano-x`` lies in ``x.gguf``."""
    from importlib.resources import files

    folder = Path(str(files("reflectkit.models").joinpath("weights")))
    return {f"nano-{path.stem}": path for path in sorted(folder.glob("*.gguf"))}
