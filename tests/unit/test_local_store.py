"""The record of a stack: read as one, whoever writes meanwhile."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from bluegreen.domain.image import ImageReference
from bluegreen.domain.plan import SlotSpec, WorkloadSpec
from bluegreen.domain.snapshot import Template
from bluegreen.domain.stack import Service, Slot, Stack
from bluegreen.platforms.local.layout import Layout
from bluegreen.platforms.local.store import Replica, Store, create_store

if TYPE_CHECKING:
    from pathlib import Path

ON_A_FULL_DISK = """
import sys; from pathlib import Path
from bluegreen.domain.errors import PlatformError
from bluegreen.platforms.local.layout import Layout; from bluegreen.platforms.local.store import open_store
layout = Layout(Path(sys.argv[1]))
try:
    with (layout.state / "ballast").open("wb", buffering=0) as ballast:
        while True:
            ballast.write(b"x" * 4096)
except OSError:
    pass
try:
    open_store(layout, resident=True)
except PlatformError as error:
    print(error)
with open_store(layout) as store:
    print(store.record().stack.name)
"""

STACK = Stack(name="shop", services=(Service(name="web", image="shop/web:v1", port=8000),))


def spec(revision: str) -> SlotSpec:
    work = WorkloadSpec(
        service="web", image=ImageReference.parse(f"shop/web:{revision}"), replicas=1, template=Template(settings=())
    )
    return SlotSpec(slot=Slot.GREEN, revision=revision, workloads=(work,))


def replica(revision: str) -> Replica:
    return Replica(program="web-green-0", service="web", slot=Slot.GREEN, port=8001, revision=revision, life=revision)


def test_a_record_is_of_one_instant_though_a_stage_writes_meanwhile(tmp_path: Path) -> None:
    """The agent would know the new replicas by the old settings, and go on with those."""
    layout = Layout(tmp_path)
    with (
        create_store(layout) as writer,
        closing(sqlite3.connect(layout.database, isolation_level=None)) as connection,
    ):
        writer.write_stack(STACK, images=tmp_path, fronts=())
        writer.write_slot(spec("v1"), (replica("v1"),))

        def stage(statement: str) -> None:
            if "FROM replicas" in statement:
                connection.set_trace_callback(None)
                writer.write_slot(spec("v2"), (replica("v2"),))

        connection.set_trace_callback(stage)
        reader = Store(connection, layout.database)

        found = reader.record()
        after = reader.record()

    assert [held.spec.revision for held in found.slots] == [each.revision for each in found.replicas]
    assert [held.spec.revision for held in after.slots] == ["v2"]
    assert [each.revision for each in after.replicas] == ["v2"]


def test_a_full_disk_and_a_dead_agent_keep_nobody_from_reading_the_record(tmp_path: Path) -> None:
    """Whoever opens it alone has to make the file that is shared with others, and there is no room for that."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system to fill")
    with create_store(Layout(tmp_path)) as store:
        store.write_stack(STACK, images=tmp_path, fronts=())
    small = 'mount -t tmpfs -o size=1m tmpfs "$1" && cp "$2" "$1/state.db" && exec "$3" -c "$4" "$1"'
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    words = [str(mounted), str(tmp_path / "state.db"), sys.executable, ON_A_FULL_DISK]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", small, "sh", *words], capture_output=True, text=True, check=False, timeout=30
    )
    if "unshare" in done.stderr:
        pytest.skip(f"this machine gives no mount namespace: {done.stderr.strip()}")
    resident, name = done.stdout.splitlines()
    assert "cannot be used" in resident, "an agent would keep everybody else out"
    assert name == "shop", done.stderr
