"""Every command of the docs is run by a test, or stands in the register with the reason why not."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from tests.docs.kit import PAGES, ROOT, SHELL, Block, blocks, commands
from tests.docs.register import ELSEWHERE, HERE, NOT_RUN, ON_A_CLUSTER, SUITES, bare

from bluegreen.cli import main
from bluegreen.cli.calls import Calls
from bluegreen.domain.errors import BluegreenError, ExitCode

if TYPE_CHECKING:
    from pathlib import Path

COMMAND_WORDS = ("bluegreen ", "make ", "kubectl ", "helm ", "python ", "pip ", "devops/scripts/", "$ ", "curl ")
STARTS = "|".join(map(re.escape, COMMAND_WORDS))
README = ROOT / "README.md"


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def looks_like_commands(block: Block) -> bool:
    return any(line.strip().startswith(COMMAND_WORDS) for line in block.text.splitlines())


WITH_COMMANDS = [page for page in PAGES if commands(page)]


def listed(page: Path) -> set[str]:
    """Its commands, without their comments."""
    return {bare(command.text) for command in commands(page)}


RUN_BY_A_SUITE = {command for page in SUITES for command in listed(ROOT / page)}


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=name)
def test_its_commands_are_run(page: Path) -> None:
    left = listed(page) - {*ELSEWHERE, *NOT_RUN}
    if name(page) in HERE:
        left -= {bare(command.text) for command in commands(page, *HERE[name(page)])}
    elif name(page) in {*SUITES, *ON_A_CLUSTER}:
        left = set()
    assert left <= RUN_BY_A_SUITE, f"say in tests/docs/register.py who runs {left - RUN_BY_A_SUITE}"


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent.name != "reference"], ids=name)
def test_what_is_a_command_is_marked_as_one(page: Path) -> None:
    """Else it would be overlooked here, and not be coloured there."""
    unmarked = [block.text for block in blocks(page) if block.language == "" and looks_like_commands(block)]
    indented = [line for line in outside_blocks(page).splitlines() if re.match(rf"(?: {{4}}|\t)({STARTS})", line)]
    assert unmarked + indented == [], f"mark these blocks with one of {', '.join(SHELL)}"


def test_a_suite_of_its_own_reads_the_page() -> None:
    for page, suite in SUITES.items():
        assert page.rpartition("/")[2] in (ROOT / suite).read_text(), suite
        assert commands(ROOT / page), f"{page} has no command any more"


def test_what_another_test_runs_is_named_there() -> None:
    for command, test in ELSEWHERE.items():
        assert command in (ROOT / test).read_text(), test


def test_nothing_is_listed_that_no_page_has() -> None:
    every = {command for page in PAGES for command in listed(page)}
    assert set(ELSEWHERE) | set(NOT_RUN) <= every
    assert len(NOT_RUN) <= 2, "the list of what nobody runs is to be near empty"


def test_a_newcomer_needs_ten_commands() -> None:
    own = [block for block in blocks(README) if block.section.startswith("A stack of your own")]
    assert 1 + sum(len(block.commands) for block in own) <= 10, "with make demo"


def test_every_exit_code_has_its_next_step() -> None:
    sections = re.findall(r"^### (\d+)$", (ROOT / "docs/what-to-do.md").read_text(), re.MULTILINE)
    missing = {str(int(code)) for code in ExitCode} - set(sections)
    assert not missing, "docs/what-to-do.md says nothing of these"


class Deaf(Calls):
    """Takes every command line, and does nothing."""

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("_") or name == "stack":
            return super().__getattribute__(name)
        return taken


def taken(*args: object, **words: object) -> NoReturn:
    raise Taken("it would be done now")


class Taken(BluegreenError):
    """The command line was understood."""

    exit_code = ExitCode.OK


def outside_blocks(page: Path) -> str:
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def in_the_text(page: Path) -> list[str]:
    """The command lines of ours in a page's sentences and tables."""
    found = re.findall(r"`bluegreen ((?:--)?[a-z][^`]*)`", " ".join(outside_blocks(page).split()))
    return [line for line in found if not re.search(r"…|\.\.\.|\$|\[", line)]


LINES = sorted({(name(page), line) for page in PAGES for line in in_the_text(page) if page.parent.name != "reference"})
WORDS = {"SLOT": "blue", "RELEASE": "r-1a2b", "REF": "alfredai/backend:v2", "N": "5", "S": "5", "URL": "http://x"}


@pytest.mark.parametrize(("page", "line"), LINES)
def test_the_command_line_takes_it(
    page: str, line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What stands in a sentence is not run; it is a command line of this program all the same."""
    monkeypatch.chdir(tmp_path)
    code = main([WORDS.get(word, word) for word in shlex.split(line)], calls=Deaf())
    told = capsys.readouterr().err
    assert code == 0 or "no image was named" in told, f"{page}: bluegreen {line}: {told}"
