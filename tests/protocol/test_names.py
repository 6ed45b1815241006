"""Names of tags in letters that only a pattern without case takes for one another."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflectkit.protocol import Dialect, parse


@pytest.mark.parametrize("name", ["th\u0131nking", "th\u0130nking", "thin\u212aing", "THINKING"])
def test_letters_that_fold_oddly_do_not_crash(name: str) -> None:
    assert parse(f"<{name}>a</{name}><output>b</output>").output == "b"


@given(st.text(alphabet="iI\u0131\u0130sS\u017fkK\u212a\u03c3\u03a3\u03c2", min_size=1, max_size=3))
def test_every_name_of_a_users_own_is_read(name: str) -> None:
    dialect = Dialect("mine", {"thinking": {"open": [f"<{name}>"], "close": [f"</{name}>"]}}, "xml")
    for spelling in (name, name.lower(), name.upper()):
        text = f"<{spelling}>a</{spelling}>b"
        assert parse(text, dialect).source == text
