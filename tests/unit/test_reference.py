"""docs/reference is what the program is: written by ``make docs``, and stale as soon as the program says more."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripts.reference import PAGES

from bluegreen.cli.group import COMMANDS
from bluegreen.domain.errors import ExitCode
from bluegreen.platforms.kubernetes.rights import RIGHTS

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


def test_what_two_modules_call_alike_is_told_apart() -> None:
    """A finding has the judgement's outcome, not the release's."""
    finding = PAGES["json.md"]().partition("### `finding`\n")[2].partition("###")[0]
    assert "`pass`" in finding
    assert "released" not in finding
