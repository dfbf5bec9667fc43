"""The journal of runs, in the stack's database. An entry is on the disk when ``record`` returns."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bluegreen.domain.codec import from_plain, kind, to_plain
from bluegreen.domain.errors import JournalError, PlatformError
from bluegreen.domain.release import Began, Ended, Entry, RollbackBegan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bluegreen.platforms.local.store import Store

KEPT = 20
"""Runs that are kept; the newest one that is in effect is kept besides, however old."""

_RUNS = "SELECT run FROM entries GROUP BY run ORDER BY MIN(seq) DESC"


class LocalJournal:
    """ports.Journal over SQLite. It does not own the store."""

    def __init__(self, store: Store) -> None:
        """Entries are kept in ``store``."""
        self._store = store

    def record(self, *entries: Entry) -> None:
        """Append these entries of one run, all or none. Raises JournalError when they cannot be made durable."""
        try:
            with self._store.transaction():
                for entry in entries:
                    self._insert(entry)
        except PlatformError as error:
            raise JournalError(f"the journal of {entries[0].run}: {error}", mend=error.mend) from error

    def _insert(self, entry: Entry) -> None:
        text = json.dumps(to_plain(entry), separators=(",", ":"))
        self._store.execute(
            "INSERT INTO entries (run, kind, entry) VALUES (?, ?, ?)", entry.run, kind(type(entry.body)), text
        )
        if isinstance(entry.body, Began | RollbackBegan):
            self._forget_old()

    def entries(self, run: str) -> Sequence[Entry]:
        """All entries of a run in order; empty: no such run."""
        rows = self._store.rows("SELECT entry FROM entries WHERE run = ? ORDER BY seq", run)
        return tuple(_entry(text, run) for (text,) in rows)

    def runs(self, *, newest: int) -> Sequence[str]:
        """The ids of the newest runs, newest first."""
        return tuple(run for (run,) in self._store.rows(f"{_RUNS} LIMIT ?", newest))

    def _forget_old(self) -> None:
        old = [run for (run,) in self._store.rows(f"{_RUNS} LIMIT -1 OFFSET ?", KEPT)]
        good = self._last_good()
        for run in old:
            if run != good:
                self._store.execute("DELETE FROM entries WHERE run = ?", run)

    def _last_good(self) -> str:
        """The newest run whose images users are on, or were on last."""
        query = "SELECT run, entry FROM entries WHERE kind = ? ORDER BY seq DESC"
        for run, text in self._store.rows(query, kind(Ended)):
            body = _entry(text, run).body
            if isinstance(body, Ended) and body.outcome.in_effect:
                return run
        return ""


def _entry(text: str, run: str) -> Entry:
    try:
        return from_plain(Entry, json.loads(text))
    except ValueError as error:
        raise JournalError(
            f"an entry of {run} cannot be read: {error}", mend="use the version of bluegreen that wrote it"
        ) from error
