"""docs/reference is what the program is: written by ``make docs``, and stale as soon as the program says more."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from scripts.reference import PAGES

from bluegreen.cli.group import COMMANDS
from bluegreen.cli.views.history import history_fields
from bluegreen.cli.views.json import fields
from bluegreen.domain.errors import ExitCode
from bluegreen.domain.report import report_of
from bluegreen.platforms.kubernetes.rights import RIGHTS
from bluegreen.testing import Rehearsal

FOLDER = Path(__file__).parents[2] / "docs" / "reference"


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_what_the_program_says(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == PAGES[name](), "stale: `make docs` writes it anew"


def test_there_is_no_other_page() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(PAGES)


def test_nothing_is_left_out() -> None:
    """Said by what a reader looks for, not by the code that writes the pages."""
    commands, codes, rights = (PAGES[name]() for name in ("commands.md", "exit-codes.md", "rights.md"))
    assert [name for name in COMMANDS if f"\n## bluegreen {name}" not in commands] == []
    assert [code for code in ExitCode if f"| {int(code)} | `{code.name}` | {code.meaning} |" not in codes] == []
    assert [right for right in RIGHTS if f"| `{right.resource}`" not in rights or right.why not in rights] == []
    assert "`BLUEGREEN_DEPLOY_IMAGE`" in commands


def documented(line: str) -> set[str]:
    """The fields of a line of JSON, as the page has them."""
    section = PAGES["json.md"]().partition(f"### `{line}`\n")[2].partition("\n### ")[0]
    return set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))


def test_what_is_shown_of_a_run_has_the_fields_that_the_page_says() -> None:
    """Also whether it is a release or a rollback, which no other field tells."""
    rehearsal = Rehearsal()
    rehearsal.deploy("v2")
    rehearsal.rollback()
    run = rehearsal.last_run()
    assert documented("run") == set(fields(run))
    assert documented("report") == set(fields(report_of(run)))
    assert fields(run)["kind_of_run"] == "rollback"
    page = PAGES["json.md"]()
    assert [name for name in history_fields(run) if f"`{name}`" not in page.partition("`history`")[2][:300]] == []


def test_what_two_modules_call_alike_is_told_apart() -> None:
    """A finding has the judgement's outcome, not the release's."""
    finding = PAGES["json.md"]().partition("### `finding`\n")[2].partition("###")[0]
    assert "`pass`" in finding
    assert "released" not in finding
