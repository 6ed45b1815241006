"""A real Redis server for each session, and each kind of ledger by name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from servers_of_ledgers import RedisServer


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server
