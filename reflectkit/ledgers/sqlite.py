"""A ledger in an SQLite file: for the processes of one machine."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from os import PathLike, fspath
from typing import Any, Final

from ..budget.ledger import (
    Account,
    Books,
    Holding,
    parts_of,
)
from ..errors import ConfigurationError, LedgerError
from ._wire import order_from, order_value
from .shared import SharedLedger, Step

__all__ = ["SQLiteLedger", "SQLiteShelf"]

_VERSION: Final = 1
_TABLES: Final = f"""
CREATE TABLE accounts (
    key TEXT PRIMARY KEY, scope TEXT NOT NULL, begins INTEGER NOT NULL, ends INTEGER NOT NULL,
    spent INTEGER NOT NULL, reserved INTEGER NOT NULL, extra INTEGER NOT NULL, cap INTEGER
) WITHOUT ROWID;
CREATE INDEX accounts_of ON accounts (scope);
CREATE TABLE holdings (
    id TEXT PRIMARY KEY, state TEXT NOT NULL, deadline INTEGER NOT NULL, number INTEGER,
    body TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX deadlines ON holdings (deadline);
CREATE INDEX line ON holdings (number) WHERE number IS NOT NULL;
CREATE TABLE lines (id TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (id, key)) WITHOUT ROWID;
CREATE TABLE limits (
    key TEXT PRIMARY KEY, scope TEXT NOT NULL, most INTEGER NOT NULL
) WITHOUT ROWID;
PRAGMA user_version = {_VERSION};
"""
#: somebody else is writing: worth another try
_BUSY: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


class SQLiteShelf:
    """The rows of one transaction: accounts are read once and written back by ``save``."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._run = connection.execute
        self._known: dict[str, Account] = {}
        self._read: dict[str, tuple[Any, ...]] = {}
        self._waited_for: Counter[str] | None = None

    def account(self, key: str) -> Account | None:
        if key not in self._known:
            row = self._run(
                "SELECT key, begins, ends, spent, reserved, extra, cap FROM accounts WHERE key = ?",
                (key,),
            ).fetchone()
            if row is None:
                return None
            self._keep(row)
        return self._known[key]

    def _keep(self, row: tuple[Any, ...]) -> Account:
        key = row[0]
        if key not in self._known:
            self._known[key], self._read[key] = Account(*row), row
        return self._known[key]

    def open(self, account: Account) -> None:
        self._known[account.key] = account

    def close(self, key: str) -> None:
        self._known.pop(key, None)
        self._read.pop(key, None)
        self._run("DELETE FROM accounts WHERE key = ?", (key,))

    def accounts(self, scope: str) -> list[Account]:
        self.save()
        rows = self._run(
            "SELECT key, begins, ends, spent, reserved, extra, cap FROM accounts"
            " WHERE ? IN ('', scope)",
            (scope,),
        )
        return [self._keep(row) for row in rows.fetchall()]

    def save(self) -> None:
        """Write back the accounts that changed."""
        for key, a in self._known.items():
            row = (key, a.window, a.ends, a.spent, a.reserved, a.extra, a.cap)
            if self._read.get(key) != row:
                self._run(
                    "INSERT OR REPLACE INTO accounts"
                    " (key, begins, ends, spent, reserved, extra, cap, scope)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (*row, parts_of(key)[0]),
                )
                self._read[key] = row

    def holding(self, id: str) -> Holding | None:
        row = self._run(
            "SELECT id, state, deadline, body FROM holdings WHERE id = ?", (id,)
        ).fetchone()
        return _holding(row) if row else None

    def put(self, holding: Holding, keys: Collection[str] = ()) -> None:
        if keys:
            self._unline(holding.id)
            self._line(holding.id, keys)
        number = "(SELECT coalesce(max(number), 0) + 1 FROM holdings)" if keys else "NULL"
        self._run(
            "INSERT INTO holdings (id, state, deadline, body, number)"
            f" VALUES (?, ?, ?, ?, {number})"
            " ON CONFLICT (id) DO UPDATE SET state = excluded.state, deadline = excluded.deadline",
            (holding.id, holding.state, holding.deadline, _body(holding)),
        )

    def _line(self, id: str, keys: Collection[str]) -> None:
        self.waited_for().update(keys)
        self._run(
            f"INSERT INTO lines (id, key) VALUES {', '.join(['(?, ?)'] * len(keys))}",
            [part for key in keys for part in (id, key)],
        )

    def _unline(self, id: str) -> None:
        rows = self._run("DELETE FROM lines WHERE id = ? RETURNING key", (id,)).fetchall()
        waited = self.waited_for()
        waited -= Counter(key for (key,) in rows)

    def drop(self, holding: Holding) -> None:
        if holding.state == "waiting":
            self._unline(holding.id)
        self._run("DELETE FROM holdings WHERE id = ?", (holding.id,))

    def waiting(self) -> Iterable[Holding]:
        rows = self._run(
            "SELECT id, state, deadline, body FROM holdings WHERE number IS NOT NULL"
            " ORDER BY number"
        )
        return [_holding(row) for row in rows.fetchall()]

    def waited_for(self) -> Counter[str]:
        if self._waited_for is None:
            rows = self._run("SELECT key, count(*) FROM lines GROUP BY key")
            self._waited_for = Counter(dict(rows.fetchall()))
        return self._waited_for

    def overdue(self, now: int) -> Iterable[Holding]:
        rows = self._run(
            "SELECT id, state, deadline, body FROM holdings WHERE deadline <= ?"
            " ORDER BY deadline, id",
            (now,),
        )
        return [_holding(row) for row in rows.fetchall()]

    def limits(self, scope: str) -> dict[str, int]:
        rows = self._run("SELECT key, most FROM limits WHERE ? IN ('', scope)", (scope,))
        return dict(rows.fetchall())

    def limit(self, key: str, most: int | None) -> None:
        if most is None:
            self._run("DELETE FROM limits WHERE key = ?", (key,))
        else:
            self._run(
                "INSERT OR REPLACE INTO limits (key, scope, most) VALUES (?, ?, ?)",
                (key, parts_of(key)[0], most),
            )


def _body(holding: Holding) -> str:
    if holding.order is not None:
        return json.dumps(order_value(holding.order))
    return json.dumps([holding.amounts, holding.completion, holding.bound_by])


def _holding(row: tuple[Any, ...]) -> Holding:
    id, state, deadline, body = row
    value = json.loads(body)
    if state == "waiting":
        return Holding(id, state, deadline, order_from(value))
    return Holding(id, state, deadline, None, *value)


class SQLiteLedger(SharedLedger):
    """Keeps accounts in a file that any number of processes of one machine share.

    ``path``: made when it is not there; not on a network's drive, where SQLite's locks do not
    hold. ``ttl``: seconds after which the reservation of a dead process comes back. ``busy``:
    seconds to wait for the file while others write. Calls run on a thread of the ledger's own;
    ``aclose`` ends it. ``clock``: seconds since 1970, the same for all processes.

    Raises ``LedgerError`` where the file is no ledger, cannot be opened, or stays locked.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        ttl: float = 60.0,
        poll: float = 0.02,
        busy: float = 10.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(ttl=ttl, poll=poll)
        self._path = fspath(path)
        if not self._path or self._path.startswith(":") or "\0" in self._path:
            raise ConfigurationError(
                f"{self._path!r} is no file's name.", hint="For a ledger in memory: MemoryLedger()."
            )
        self.address = f"sqlite:{self._path}"
        self._busy = busy
        self._clock = clock
        self._thread: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None

    def __repr__(self) -> str:
        return f"SQLiteLedger({self._path!r})"

    async def aclose(self) -> None:
        """Close the file and end the thread. What is held comes back when it expires."""
        await super().aclose()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.submit(self._shut)
            await asyncio.to_thread(thread.shutdown)

    async def _perform(self, steps: list[Step]) -> list[Any]:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="reflectkit-ledger")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._transaction, steps)

    # -- on the thread

    def _transaction(self, steps: list[Step]) -> list[Any]:
        try:
            connection = self._connection = self._connection or self._open()
            self._patiently(lambda: connection.execute("BEGIN IMMEDIATE"))
            try:
                shelf = SQLiteShelf(connection)
                books, now = Books(shelf, self._ttl), int(self._clock() * 1000)
                answers = [getattr(books, name)(*arguments, now) for name, arguments in steps]
                shelf.save()
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise self._failed(error) from error
        return answers

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=0, isolation_level=None)
        try:
            self._patiently(lambda: connection.execute("PRAGMA journal_mode = WAL"))
            # A crash of the machine, not of a process, may lose the latest moments.
            connection.execute("PRAGMA synchronous = NORMAL")
            self._patiently(lambda: connection.execute("BEGIN IMMEDIATE"))
            try:
                self._found(connection)
            finally:
                connection.execute("COMMIT")
        except BaseException:
            connection.close()
            raise
        return connection

    def _found(self, connection: sqlite3.Connection) -> None:
        """Make the tables in an empty file; refuse one that holds something else."""
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if version == 0 and tables == 0:
            for statement in _TABLES.split(";"):
                connection.execute(statement)
        elif version != _VERSION:
            raise LedgerError(
                f"{self._path!r} is an SQLite file, but no ledger of this version.",
                hint="Name another file.",
            )

    def _patiently(self, step: Callable[[], object]) -> None:
        """SQLite's own waiting sleeps ever longer, up to 100 ms; a ledger's steps take one."""
        until = time.monotonic() + self._busy
        while True:
            try:
                step()
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF not in _BUSY or time.monotonic() >= until:
                    raise
            time.sleep(random.uniform(0.0002, 0.002))

    def _failed(self, error: sqlite3.Error) -> LedgerError:
        busy = getattr(error, "sqlite_errorcode", 0) & 0xFF in _BUSY
        hint = (
            f"Another program has held the file for {self._busy:g} s: end it, or raise busy=."
            if busy
            else "See that the path is right, that it may be written, and that it is a ledger."
        )
        return LedgerError(f"{self._path!r}: {error}.", hint=hint, retryable=busy)

    def _shut(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
