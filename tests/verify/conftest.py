"""Drafts to be judged."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reflectkit.reply import Draft
from verify_drafts import made

Drafted = Callable[..., Draft]


@pytest.fixture(scope="session")
def draft() -> Drafted:
    """A draft whose output is the text, or whose source it is with ``tags=False``."""
    return made
