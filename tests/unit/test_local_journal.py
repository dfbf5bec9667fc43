"""The journal in SQLite: order, bounds, durability, and what is said when an entry cannot be kept."""

from __future__ import annotations

import collections
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bluegreen.cli.calls import run_or_why
from bluegreen.cli.views.history import Unread
from bluegreen.domain.cause import Cause
from bluegreen.domain.errors import JournalError, PlatformError
from bluegreen.domain.release import Body, Confirmed, Ended, Entry, Outcome, RollbackBegan, Staging, fold
from bluegreen.domain.stack import Slot
from bluegreen.platforms.local.journal import KEPT, LocalJournal
from bluegreen.platforms.local.layout import Layout
from bluegreen.platforms.local.store import create_store, open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bluegreen.platforms.local.store import Store

pytestmark = pytest.mark.slow  # an entry is on the disk before the next


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    found = Layout(tmp_path / "state")
    found.state.mkdir()
    return found


@pytest.fixture
def store(layout: Layout) -> Iterator[Store]:
    with create_store(layout) as opened:
        yield opened


def began(run: str) -> Entry:
    return Entry(run=run, at=1.5, body=RollbackBegan(to=Slot.BLUE, of="r-0", who="ann"))


def entry(run: str, body: Body) -> Entry:
    return Entry(run=run, at=2.5, body=body)


def test_entries_come_back_as_they_were_in_order(store: Store) -> None:
    journal = LocalJournal(store)
    cause = Cause(service="web", slot=Slot.GREEN, reason="crash loop", exit_code=1)
    wrote = [
        began("a"),
        entry("a", Staging(slot=Slot.GREEN)),
        entry("a", Ended(outcome=Outcome.FAILED, cause=cause, took=3.25)),
    ]
    journal.record(wrote[0])
    journal.record(began("b"))
    for each in wrote[1:]:
        journal.record(each)

    assert list(journal.entries("a")) == wrote
    assert journal.runs(newest=5) == ("b", "a")
    assert journal.runs(newest=1) == ("b",)
    assert journal.entries("nobody") == ()
    run = fold(journal.entries("a"))
    assert run is not None
    assert run.outcome is Outcome.FAILED


def test_the_newest_runs_and_the_last_good_one_are_kept(store: Store) -> None:
    journal = LocalJournal(store)
    for number in range(KEPT + 5):
        journal.record(began(f"r-{number}"))
        outcome = Outcome.RELEASED if number in {1, 2} else Outcome.FAILED
        journal.record(entry(f"r-{number}", Ended(outcome=outcome)))

    newest = [f"r-{number}" for number in range(KEPT + 4, 4, -1)]
    assert list(journal.runs(newest=100)) == [*newest, "r-2"]
    assert len(journal.entries("r-2")) == 2


def test_a_full_disk_stops_the_step_and_loses_nothing(layout: Layout) -> None:
    with create_store(layout, pages=20) as store:
        journal = LocalJournal(store)
        journal.record(began("r-1"))
        long = Confirmed(slot=Slot.GREEN, how="x" * 20_000)
        journal.record(entry("r-1", long))
        with pytest.raises(JournalError, match=r"the journal of r-1: .*state\.db cannot be written: the disk is full"):
            collections.deque(map(journal.record, [entry("r-1", long)] * 20))
        kept = len(journal.entries("r-1"))
        with pytest.raises(JournalError) as told:
            journal.record(entry("r-1", long))
        assert told.value.mend == "make room, then try again"
        assert told.value.exit_code == 6

    with open_store(layout) as store:
        assert len(LocalJournal(store).entries("r-1")) == kept
        LocalJournal(store).record(entry("r-1", long))


def test_a_disk_that_refuses_writes_is_said(layout: Layout) -> None:
    """A real refusal of the system: the process may not make files longer than they are."""
    with create_store(layout):
        pass
    program = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from bluegreen.domain.errors import JournalError\n"
        "from bluegreen.domain.release import *; from bluegreen.domain.stack import Slot\n"
        "from bluegreen.platforms.local.journal import LocalJournal\n"
        "from bluegreen.platforms.local.layout import Layout; from bluegreen.platforms.local.store import open_store\n"
        "store = open_store(Layout(Path(sys.argv[1])))\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))\n"
        "try: LocalJournal(store).record(Entry(run='r', at=1.0, body=Confirmed(slot=Slot.BLUE, how='x' * 20000)))\n"
        "except JournalError as error: print(error, '|', error.mend)\n"
        "store.close()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(layout.state)], capture_output=True, text=True, check=False, timeout=30
    )

    assert done.stderr == ""
    assert done.stdout.startswith("the journal of r: ")
    assert "state.db cannot be used" in done.stdout
    assert done.stdout.count("\n") == 1


def test_an_entry_survives_the_death_of_its_writer(layout: Layout) -> None:
    with create_store(layout):
        pass
    program = (
        "import os, signal, sys; from pathlib import Path\n"
        "from bluegreen.domain.release import *; from bluegreen.domain.stack import Slot\n"
        "from bluegreen.platforms.local.journal import LocalJournal\n"
        "from bluegreen.platforms.local.layout import Layout; from bluegreen.platforms.local.store import open_store\n"
        "store = open_store(Layout(Path(sys.argv[1])))\n"
        "LocalJournal(store).record(Entry(run='r', at=1.0, body=Staging(slot=Slot.BLUE)))\n"
        "store.execute('BEGIN IMMEDIATE')\n"
        "store.execute(\"INSERT INTO entries (run, kind, entry) VALUES ('r', 'half', '')\")\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(layout.state)], check=False, timeout=30)

    assert done.returncode == -signal.SIGKILL
    with open_store(layout) as store:
        assert [each.body for each in LocalJournal(store).entries("r")] == [Staging(slot=Slot.BLUE)]


def test_a_folder_that_may_not_be_written_is_said(layout: Layout) -> None:
    with create_store(layout):
        pass
    layout.database.chmod(0o400)
    if os.access(layout.database, os.W_OK):
        layout.database.chmod(0o600)
        os.truncate(layout.database, 100)  # root may write everything: then what is damaged is said
    with pytest.raises(PlatformError, match=r"state\.db"), open_store(layout) as store:
        LocalJournal(store).record(began("r-1"))


def test_a_run_that_cannot_be_read_says_why_instead(store: Store) -> None:
    """Written by a newer version, or damaged; the runs beside it are read."""
    journal = LocalJournal(store)
    for run in ("a", "b", "c"):
        journal.record(began(run))
    store.execute("UPDATE entries SET entry = replace(entry, 'rollback_began', 'canaried') WHERE run = ?", "b")
    with pytest.raises(JournalError, match="an entry of b cannot be read: 'canaried' is none of began") as refused:
        journal.entries("b")
    assert run_or_why(journal, "b") == Unread(id="b", why=str(refused.value), mend=refused.value.mend)
    assert [run_or_why(journal, name) for name in ("a", "c")] == [fold(journal.entries(name)) for name in ("a", "c")]
    assert run_or_why(journal, "nobody") is None
