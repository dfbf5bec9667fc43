"""Whose files are whose in a state folder, and the room that is set aside in it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from bluegreen.domain.errors import NotStarted, UsageError
from bluegreen.domain.stack import Slot
from bluegreen.platforms.local import reserve
from bluegreen.platforms.local.dataplane import DataPlane
from bluegreen.platforms.local.envoy import Front
from bluegreen.platforms.local.layout import Layout
from bluegreen.platforms.local.store import create_store, open_store


def test_a_folder_without_anything_of_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(UsageError, match=r"no state folder: it holds thesis\.txt, but nothing of bluegreen"):
        Layout(tmp_path).refuse_strange()


def test_an_empty_folder_and_half_of_a_start_are_not_refused(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.refuse_strange()
    (tmp_path / "logs").mkdir()
    (tmp_path / "lock").touch()
    layout.refuse_strange()


def test_what_somebody_has_put_there_outlives_the_removal(tmp_path: Path) -> None:
    state = tmp_path / "state"
    layout = Layout(state)
    layout.logs.mkdir(parents=True)
    (layout.logs / "agent.log").touch()
    layout.database.touch()
    (state / "notes.txt").touch()
    (state / "envoy").symlink_to(tmp_path)

    assert layout.remove() == ("envoy", "notes.txt")
    assert sorted(path.name for path in state.iterdir()) == ["envoy", "notes.txt"]

    (state / "notes.txt").unlink()
    (state / "envoy").unlink()
    assert layout.remove() == ()
    assert not state.exists()


@pytest.mark.parametrize("record", ["", "/", "/tmp", "/tmp/\n", "bluegreen-0-abc", "\x00"])
def test_a_record_of_the_sockets_that_was_cut_counts_for_nothing(tmp_path: Path, record: str) -> None:
    """The folder that it names is removed by ``down``."""
    (tmp_path / "sockets").write_text(record)
    assert Layout(tmp_path).runtime.name.startswith("bluegreen-")
    assert Layout(tmp_path).runtime.is_absolute()


def test_the_recorded_folder_of_the_sockets_is_used(tmp_path: Path) -> None:
    (tmp_path / "sockets").write_text("/run/user/1/bluegreen-1-0123456789ab\n")
    assert str(Layout(tmp_path).runtime) == "/run/user/1/bluegreen-1-0123456789ab"


@pytest.mark.parametrize("base", ["/run/user/0", "relative", "/there/is/none", "{long}", ""])
def test_sockets_lie_where_they_can_and_outlive_a_login(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, base: str
) -> None:
    """The folder of a login is removed with its last session, and a stack serves on."""
    long = tmp_path / ("long" * 25)
    long.mkdir()
    (tmp_path / "relative").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_RUNTIME_DIR", base.format(long=long))
    assert Layout(tmp_path / "state").runtime.parent == Path("/tmp")


def test_sockets_lie_in_a_folder_that_was_chosen_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    with TemporaryDirectory(dir="/tmp") as short:
        monkeypatch.setenv("XDG_RUNTIME_DIR", short)
        assert Layout(Path("state")).runtime.parent == Path(short)


def test_the_longest_path_of_a_socket_is_none_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 2**32 - 2)
    with TemporaryDirectory(dir="/tmp") as folder:
        base = Path(folder) / ("x" * (44 - len(folder)))
        base.mkdir()
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(base))
        socket = Layout(Path("state")).supervisor
        assert socket.parent.parent == base
        assert len(f"{socket}.4194304") < 104


AS_NOBODY = """
import os, sys; from pathlib import Path
from bluegreen.domain.errors import PlatformError
from bluegreen.platforms.local.control import Asked, down, up
from bluegreen.platforms.local.layout import Layout; from bluegreen.platforms.local.store import open_store
layout = Layout(Path(sys.argv[1]))
asked = Asked(stack=None, images=Path("/"), ports={}, who="a test")
if os.getuid() == 0:
    os.setresuid(65534, 65534, 65534)
for command in (
    lambda: open_store(layout),
    lambda: up(asked, layout=layout, clock=None, emit=print, until=0),
    lambda: down(layout=layout, clock=None, emit=print, who="a test"),
):
    try:
        command()
    except PlatformError as error:
        print(error)
"""


def test_a_folder_that_another_account_has_closed_is_told_as_that() -> None:
    """As after ``sudo bluegreen up``: it was a fault of ours, with the exit code of a release that is held."""
    with TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        state = Path(folder) / "state"
        state.mkdir()
        (state / "state.db").touch()
        state.chmod(0o700 if os.getuid() == 0 else 0)
        done = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, str(state)], capture_output=True, text=True, check=False, timeout=20
        )
        said = f"{state} is closed to you: it belongs to {state.owner()}"
        state.chmod(0o700)
    assert done.stdout.splitlines() == [said] * 3, done.stderr


def test_an_empty_database_is_only_looked_at(tmp_path: Path) -> None:
    """What a start leaves that was killed there: a look must not make it into something that ``up`` cannot use."""
    layout = Layout(tmp_path)
    layout.database.touch()
    with pytest.raises(NotStarted, match=r"state\.db is empty"):
        open_store(layout)
    assert layout.database.stat().st_size == 0
    with create_store(layout) as store:
        assert not store.has_stack()


def test_the_reserve_is_real_room_and_is_given_up_once(tmp_path: Path) -> None:
    reserve.keep(tmp_path)
    reserve.keep(tmp_path)
    assert (tmp_path / reserve.NAME).stat().st_blocks * 512 >= reserve.SIZE
    assert reserve.give_up(tmp_path)
    assert not reserve.give_up(tmp_path)


def test_a_lost_route_goes_where_the_others_go(tmp_path: Path) -> None:
    fronts = [
        Front(
            service=name,
            public_port=port,
            preview_ports=((Slot.BLUE, port + 1), (Slot.GREEN, port + 2)),
            health_path="/",
        )
        for name, port in (("backend", 20_000), ("gateway", 20_010))
    ]
    plane = DataPlane(folder=tmp_path, admin=tmp_path / "none", fronts=fronts)
    plane.prepare()
    assert [plane.read_route(front.service).slot for front in fronts] == [None, None]
    for front in fronts:
        plane.write_route(front.service, to=Slot.GREEN, fallback=None, fence="w-1", expect=None)
    (tmp_path / "envoy" / "rds" / "gateway.json").unlink()
    plane.prepare()
    assert plane.read_route("gateway").slot is Slot.GREEN
