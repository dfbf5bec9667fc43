"""The built-in stack is kept twice: as an app file for people, and as values for a rollback."""

from __future__ import annotations

from pathlib import Path

from bluegreen.appfile import load as load_module
from bluegreen.appfile import load_app
from bluegreen.wiring.built_in import alfred


def test_both_say_the_same() -> None:
    assert alfred() == load_app(Path(load_module.__file__).parent / "alfred.yaml").stack
