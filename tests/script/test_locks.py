"""The locks are those of pyproject.toml as it is now: ``scripts/lock`` was run after its last change."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from tests.script.kit import ROOT

from first_use.lock import canonical, parse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from first_use.lock import Pin

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
DEV = (ROOT / "requirements/dev.in").read_text().splitlines()
ASKED = {
    "kubernetes": PROJECT["dependencies"],
    "local": [*PROJECT["dependencies"], *EXTRAS["local"], *EXTRAS["load"]],
    "examples": [*PROJECT["dependencies"], *EXTRAS["examples"]],
    "notify": [*PROJECT["dependencies"], *EXTRAS["notify"]],
    "dev": [*PROJECT["dependencies"], *(each for extra in EXTRAS.values() for each in extra), *DEV],
}


def text(lock: str) -> str:
    return (ROOT / "requirements" / f"{lock}.lock").read_text()


def pins(lock: str) -> dict[str, Pin]:
    return {pin.name: pin for pin in parse(text(lock))}


def unmet(asked: Iterable[str], found: dict[str, Pin]) -> list[str]:
    """What is asked for and not locked, or locked in a version that is not wanted any more."""
    wanted = [Requirement(line) for line in asked if line.strip()]
    return [
        str(each)
        for each in wanted
        if (pin := found.get(canonical(each.name))) is None or not each.specifier.contains(pin.version)
    ]


@pytest.mark.parametrize("lock", ASKED)
def test_all_that_is_asked_for_is_locked(lock: str) -> None:
    assert unmet(ASKED[lock], pins(lock)) == [], "run scripts/lock"


@pytest.mark.parametrize("lock", ASKED)
def test_nothing_is_locked_that_nobody_asks_for(lock: str) -> None:
    """Each entry says by whom it is needed; those that say the project's own files are asked for there."""
    direct = {canonical(Requirement(line).name) for line in ASKED[lock] if line.strip()}
    entries = re.findall(r"^([A-Za-z0-9._-]+)==.*\n(?:    --.*\n)+((?:    #.*\n)+)", text(lock), re.MULTILINE)
    own = {canonical(name) for name, via in entries if "pyproject.toml" in via or "dev.in" in via}

    assert len(entries) == len(pins(lock))
    assert own == direct, "run scripts/lock"


@pytest.mark.parametrize("lock", ASKED)
def test_every_file_is_known_by_its_hash_and_no_host_by_its_name(lock: str) -> None:
    assert all(pin.hashes for pin in pins(lock).values())
    assert "://" not in text(lock)


@pytest.mark.parametrize("lock", ["local", "dev"])
def test_what_is_tested_is_what_is_used(lock: str) -> None:
    """The script's versions are those that every other suite runs with."""
    assert pins("kubernetes").items() <= pins(lock).items()


def test_a_stale_lock_is_found() -> None:
    """The checks above can fail: a new requirement, and a raised one."""
    found = pins("kubernetes")

    assert unmet(["click>=8.1"], found) == []
    assert unmet(["h11>=0.16", "click>=900"], found) == ["h11>=0.16", "click>=900"]
