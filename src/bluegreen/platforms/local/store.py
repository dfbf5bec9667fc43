"""What the stack on this machine is, in one SQLite file: the stack, its ports, what each slot holds, the journal.

Write-ahead log with synchronous=FULL: a commit is on the disk when it returns, and readers (status, the agent) never
hold up a writer. The file is bounded, so that no fault can fill the disk through it.
"""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

from bluegreen.domain.codec import from_plain, to_plain
from bluegreen.domain.errors import NotStarted, PlatformError
from bluegreen.domain.plan import SlotSpec, WorkloadSpec
from bluegreen.domain.stack import Slot, Stack
from bluegreen.domain.values import dataclass
from bluegreen.platforms.local.envoy import Front
from bluegreen.platforms.local.template import Seal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bluegreen.platforms.local.layout import Layout

T = TypeVar("T")

SCHEMA = 1
_PAGES = 16_384
"""64 MB in pages of 4 kB; twenty journalled runs are less than one."""
_BUSY_SECONDS = 5.0
_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE slots (slot TEXT PRIMARY KEY, spec TEXT NOT NULL, ended INTEGER NOT NULL) STRICT;
CREATE TABLE replicas (
    program TEXT PRIMARY KEY, service TEXT NOT NULL, slot TEXT NOT NULL, port INTEGER NOT NULL,
    revision TEXT NOT NULL, life TEXT NOT NULL, image_id TEXT NOT NULL
) STRICT;
CREATE TABLE sealed (mark TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE entries (
    seq INTEGER PRIMARY KEY, run TEXT NOT NULL, kind TEXT NOT NULL, entry TEXT NOT NULL
) STRICT;
CREATE INDEX entries_by_run ON entries (run, seq);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """One process that should run."""

    program: str
    service: str
    slot: Slot
    port: int
    revision: str
    life: str
    """Another one each time that the slot is staged, with the same revision too."""
    image_id: str = ""

    @property
    def pod(self) -> str:
        """Its identity for judgements: what was counted under another one is somebody else's."""
        return f"{self.program}@{self.life}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotRecord:
    """What a slot holds, or held when it was ended."""

    spec: SlotSpec
    ended: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """All that ``up`` and the stages have written."""

    stack: Stack
    images: Path
    fronts: tuple[Front, ...]
    slots: tuple[SlotRecord, ...]
    replicas: tuple[Replica, ...]

    def slot(self, slot: Slot) -> SlotRecord | None:
        """What the slot holds; None: nothing was ever staged there."""
        return next((record for record in self.slots if record.spec.slot is slot), None)

    def spec_of(self, slot: Slot, service: str) -> WorkloadSpec:
        """What the slot holds of the service. Raises KeyError when that is nothing."""
        held = self.slot(slot)
        for spec in held.spec.workloads if held is not None else ():
            if spec.service == service:
                return spec
        raise KeyError(service)

    def front(self, service: str) -> Front:
        """The service's ports. Raises KeyError for a stranger."""
        for front in self.fronts:
            if front.service == service:
                return front
        raise KeyError(service)

    def of_slot(self, slot: Slot, service: str | None = None) -> tuple[Replica, ...]:
        """The slot's replicas, of one service or of all."""
        return tuple(
            replica for replica in self.replicas if replica.slot is slot and service in {None, replica.service}
        )


class Store:
    """The database of one state folder. For one thread; close it."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        """Use ``open_store`` or ``create_store``."""
        self._db = connection
        self._path = path
        self._cached: tuple[tuple[int, int], Record] | None = None
        self._seal: Seal | None = None

    def __enter__(self) -> Self:
        """Close it at the end of the block."""
        return self

    def __exit__(self, *exc: object) -> None:
        """As ``close``."""
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    # --- what the stack is -----------------------------------------------------------------------------------------

    def version(self) -> tuple[int, int]:
        """Another value after each commit, ours or another process's; costs microseconds."""
        with self.errors():
            return int(self._db.execute("PRAGMA data_version").fetchone()[0]), self._db.total_changes

    def record(self) -> Record:
        """All of it. Raises NotStarted when ``up`` never got that far, PlatformError when it cannot be read."""
        version = self.version()
        if self._cached is None or self._cached[0] != version:
            self._cached = (version, self._read())
        return self._cached[1]

    def has_stack(self) -> bool:
        """Whether ``record`` has something to say."""
        return self._meta("stack") is not None

    def _read(self) -> Record:
        with self._instant():
            slots = self._db.execute("SELECT spec, ended FROM slots ORDER BY slot").fetchall()
            replicas = self._db.execute(
                "SELECT program, service, slot, port, revision, life, image_id FROM replicas ORDER BY rowid"
            ).fetchall()
            stack, images, fronts = (self._meta(name) for name in ("stack", "images", "fronts"))
        if stack is None:
            raise NotStarted(f"the stack in {self._path.parent} was never started", mend="bluegreen up")
        return Record(
            stack=self._raised(Stack, stack),
            images=Path(images or ""),
            fronts=tuple(self._raised(Front, front) for front in json.loads(fronts or "[]")),
            slots=tuple(SlotRecord(spec=self._raised(SlotSpec, spec), ended=bool(ended)) for spec, ended in slots),
            replicas=tuple(map(_replica, replicas)),
        )

    @contextmanager
    def _instant(self) -> Iterator[None]:
        """All reads of the block see the same commits, whoever writes meanwhile."""
        with self.errors():
            self._db.execute("BEGIN")
            try:
                yield
            finally:
                self._roll_back()

    def _meta(self, name: str) -> str | None:
        with self.errors():
            row = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def _raised(self, wanted: type[T], text: str) -> T:
        try:
            return from_plain(wanted, json.loads(text))
        except ValueError as error:
            raise _damaged(self._path, str(error)) from error

    # --- writes: each is one transaction ---------------------------------------------------------------------------

    def write_stack(self, stack: Stack, *, images: Path, fronts: Sequence[Front]) -> None:
        """Record what ``up`` was given."""
        with self.transaction():
            self._write_meta("stack", _text(stack))
            self._write_meta("images", str(images))
            self._write_meta("fronts", json.dumps([_text(front) for front in fronts]))

    def write_slot(self, spec: SlotSpec, replicas: Sequence[Replica]) -> None:
        """Record what a slot shall hold; durable when it returns."""
        with self.transaction():
            self._db.execute("INSERT OR REPLACE INTO slots VALUES (?, ?, 0)", (spec.slot, _text(spec)))
            self._db.execute("DELETE FROM replicas WHERE slot = ?", (spec.slot,))
            self._db.executemany(
                "INSERT INTO replicas VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(r.program, r.service, r.slot, r.port, r.revision, r.life, r.image_id) for r in replicas],
            )

    def write_ended(self, slot: Slot) -> None:
        """Record that nothing of the slot shall run; what it held stays on record."""
        with self.transaction():
            self._db.execute("UPDATE slots SET ended = 1 WHERE slot = ?", (slot,))
            self._db.execute("DELETE FROM replicas WHERE slot = ?", (slot,))

    def _write_meta(self, name: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    # --- secrets ---------------------------------------------------------------------------------------------------

    def seal(self) -> Seal:
        """The seal of this stack, made when the store was."""
        if self._seal is None:
            self._seal = Seal(key=bytes.fromhex(self._meta("seal") or ""))
        return self._seal

    def keep_sealed(self, values: Mapping[str, str]) -> None:
        """Remember what the marks stand for."""
        if not values:
            return
        with self.transaction():
            self._db.executemany("INSERT OR REPLACE INTO sealed VALUES (?, ?)", values.items())

    def sealed(self) -> dict[str, str]:
        """What the marks stand for."""
        with self.errors():
            return dict(self._db.execute("SELECT mark, value FROM sealed").fetchall())

    # --- the journal's rows ----------------------------------------------------------------------------------------

    def rows(self, query: str, *values: str | int) -> list[tuple[str, ...]]:
        """The rows of a query about entries."""
        with self.errors():
            return self._db.execute(query, values).fetchall()

    def execute(self, statement: str, *values: str | int) -> None:
        """One statement inside the caller's transaction."""
        self._db.execute(statement, values)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of the block, durably, or none of it. Raises PlatformError."""
        with self.errors():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._roll_back()
                raise
            self._commit()

    def _commit(self) -> None:
        try:
            self._db.execute("COMMIT")
        except sqlite3.Error:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Say in our own words what SQLite could not do."""
        try:
            yield
        except sqlite3.Error as error:
            raise _translated(self._path, error) from error


def open_store(layout: Layout, *, pages: int = _PAGES, resident: bool = False) -> Store:
    """Open what ``up`` has made. ``resident``: to keep it open, beside others.

    Raises NotStarted when there is nothing, PlatformError when it is damaged.
    """
    layout.refuse_closed()
    if not layout.database.exists():
        raise _missing(layout)
    if layout.database.stat().st_size == 0:  # only looked at: SQLite would write into it
        raise NotStarted(
            f"the stack in {layout.state} was never started: its {layout.database.name} is empty", mend="bluegreen up"
        )
    try:
        return _connected(layout.database, pages=pages)
    except PlatformError as error:
        if resident or not _has_no_room_to_share(error.__cause__):
            raise
    return _connected(layout.database, pages=pages, alone=True)


def create_store(layout: Layout, *, pages: int = _PAGES) -> Store:
    """Open it, or make it. Raises PlatformError."""
    layout.database.touch(mode=0o600)
    return _connected(layout.database, pages=pages, make=True)


def _connected(path: Path, *, pages: int, make: bool = False, alone: bool = False) -> Store:
    """``alone``: nobody else can use it meanwhile, and no room is needed for what is shared with others."""
    try:
        connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
    except sqlite3.Error as error:
        raise _translated(path, error) from error
    store = Store(connection, path)
    try:
        if alone:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        _set_up(store, connection, path, pages=pages, make=make)
    except BaseException:
        store.close()
        raise
    return store


def _has_no_room_to_share(error: BaseException | None) -> bool:
    """As on a full disk when the agent, which keeps the shared file, is dead. A rollback needs neither."""
    return getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_IOERR_SHMSIZE


def _set_up(store: Store, connection: sqlite3.Connection, path: Path, *, pages: int, make: bool) -> None:
    with store.errors():
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA max_page_count = {pages:d}")
        if make and _blank(connection):
            _make_tables(connection)
        found = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if found > SCHEMA:
        raise PlatformError(
            f"{path} was written by a newer bluegreen (schema {found}, this one knows {SCHEMA})",
            mend="use that version, or another folder by --state",
        )
    if found < SCHEMA:
        raise _damaged(path, "it was never finished")


def _blank(connection: sqlite3.Connection) -> bool:
    """Whether nothing was ever made in it: a start that was killed before that is begun again."""
    version = connection.execute("PRAGMA user_version").fetchone()
    return (version, connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()) == ((0,), (0,))


def _make_tables(connection: sqlite3.Connection) -> None:
    """All at once: a database that was killed here is empty, and is made again."""
    key = f"INSERT INTO meta VALUES ('seal', '{os.urandom(32).hex()}');"  # noqa: S608 - hexadecimal, and ours
    connection.executescript(f"BEGIN IMMEDIATE; {_TABLES} {key} PRAGMA user_version = {SCHEMA:d}; COMMIT;")


def _replica(row: tuple[str, str, str, int, str, str, str]) -> Replica:
    program, service, slot, port, revision, life, image_id = row
    return Replica(
        program=program,
        service=service,
        slot=Slot(slot),
        port=port,
        revision=revision,
        life=life,
        image_id=image_id,
    )


def _text(value: object) -> str:
    return json.dumps(to_plain(value), separators=(",", ":"))


def _missing(layout: Layout) -> PlatformError:
    if layout.state.is_dir() and any(layout.state.iterdir()):
        layout.refuse_strange()
        return _damaged(layout.database, "it is missing, though the folder holds other files")
    return NotStarted(f"no stack was started in {layout.state}", mend="bluegreen up, or name its folder by --state")


def _damaged(path: Path, why: str) -> PlatformError:
    return PlatformError(
        f"the state in {path} is damaged: {why}",
        mend=f"put {path.name} back from a copy, or start again: bluegreen down --purge, then bluegreen up",
    )


def _translated(path: Path, error: sqlite3.Error) -> PlatformError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return _damaged(path, str(error))
    if code == sqlite3.SQLITE_FULL:
        return PlatformError(f"{path} cannot be written: the disk is full", mend="make room, then try again")
    if code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}:
        return PlatformError(f"{path} cannot be written: {error}", mend="check the owner and the rights of the folder")
    return PlatformError(f"{path} cannot be used: {error}", mend="check the disk and the rights of the folder")
