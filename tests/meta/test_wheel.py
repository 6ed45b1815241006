"""Which package is under test: in the wheel stage it must be the installed one."""

from __future__ import annotations

import os
import sysconfig
from importlib import metadata, resources
from pathlib import Path

import pytest

import reflectkit

STAGE = "REFLECTKIT_TEST_INSTALLED"


def is_installed(module_file: str, site_packages: str) -> bool:
    return Path(module_file).resolve().is_relative_to(Path(site_packages).resolve())


@pytest.mark.skipif(STAGE not in os.environ, reason="only `make wheel` tests an installed wheel")
def test_the_wheel_is_what_is_tested() -> None:
    assert is_installed(reflectkit.__file__, sysconfig.get_path("purelib"))


def test_a_shadowing_source_folder_is_found(tmp_path: Path) -> None:
    site = tmp_path / "site-packages"
    assert not is_installed(str(tmp_path / "reflectkit" / "__init__.py"), str(site))
    assert is_installed(str(site / "reflectkit" / "__init__.py"), str(site))


def test_types_are_shipped() -> None:
    assert resources.files("reflectkit").joinpath("py.typed").is_file()


def test_the_version_is_the_distributions() -> None:
    assert metadata.version("reflectkit").count(".") == 2
