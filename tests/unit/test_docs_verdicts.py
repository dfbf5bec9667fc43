"""docs/verdicts.md has every cause and every named hiccup as the code has them, and its numbers."""

from __future__ import annotations

from pathlib import Path

from bluegreen.domain.health import graces
from bluegreen.domain.health.hiccups import HICCUPS
from bluegreen.domain.health.reasons import MEANINGS

PAGE = Path(__file__).parents[2] / "docs" / "verdicts.md"


def rows(title: str) -> list[str]:
    """The table of a section, without its head."""
    section = PAGE.read_text().partition(f"## {title}\n")[2].partition("\n## ")[0]
    return [line for line in section.splitlines() if line.startswith("|")][2:]


def test_every_cause_is_told_as_the_code_has_it() -> None:
    assert rows("The causes") == [f"| {one.reason} | {one.means} | {one.told} | {one.advice} |" for one in MEANINGS]


def test_every_named_hiccup_is_told() -> None:
    expected = [f"| a message that speaks of a {one.name} | {one.why} |" for one in HICCUPS]
    assert rows("What is no doom")[: len(expected)] == expected


def test_the_numbers_in_its_sentences() -> None:
    page = PAGE.read_text()
    assert f"stayed so for {graces.STEADY:g} s" in page
    assert f'"Its end number {graces.RESTARTS_ALLOWED + 1}"' in page
