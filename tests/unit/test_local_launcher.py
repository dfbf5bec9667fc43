"""The launcher's record of the newest Envoy, without an Envoy."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from bluegreen.platforms.local import reserve
from bluegreen.platforms.local.envoy_run import Handover, command, living

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def state(tmp_path: Path) -> Path:
    (tmp_path / "envoy").mkdir()
    (tmp_path / "envoy" / "bootstrap.json").write_text("{}")
    return tmp_path


def fill_the_disk(state: Path) -> None:
    """For the record alone, whose file cannot be written while this is there."""
    (state / "envoy" / f".running.{os.getpid()}").symlink_to("/dev/full")


def test_an_envoy_that_dies_on_a_full_disk_is_started_again_from_the_reserve(state: Path) -> None:
    """Users have nobody until then."""
    reserve.keep(state)
    fill_the_disk(state)

    command(state, handover=Handover())

    assert [launched.process.pid for launched in living(state)] == [os.getpid()]
    assert not (state / reserve.NAME).exists()


def test_without_a_reserve_nothing_is_left_of_the_try(state: Path) -> None:
    fill_the_disk(state)
    with pytest.raises(OSError, match="No space left on device"):
        command(state, handover=Handover())
    assert [path.name for path in (state / "envoy").iterdir()] == ["bootstrap.json"]
