"""README, docs and --help say what is: targets, commands, options, links and the demo's last line exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bluegreen.domain import finding
from bluegreen.domain.errors import ExitCode

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("README.md")])
MAKEFILE = (ROOT / "Makefile").read_text() + (ROOT / "testbed/testbed.mk").read_text()
COMMANDS = {path.stem for path in (ROOT / "src/bluegreen/cli").glob("*.py")}


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


def without_code(page: Path) -> str:
    """A pattern may look like a link."""
    return re.sub(r"`[^`\n]*`", "", page.read_text())


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", without_code(page)):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def anchors(page: Path) -> set[str]:
    """Where a link into the page can lead: its headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_link_into_a_page_finds_its_heading(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", without_code(page)):
        assert anchor in anchors(page.parent / target if target else page), f"{target}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_make_target_exists(page: Path) -> None:
    for target in re.findall(r"`?make (?:-s )?([a-z-]+)\b(?=`|\s+#|\n)", page.read_text()):
        assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), target


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_command_exists(page: Path) -> None:
    for command in re.findall(r"(?:^|`)(?:\$ )?bluegreen ([a-z]+)\b", page.read_text(), re.MULTILINE):
        assert command in COMMANDS, command


def test_ci_runs_the_readmes_own_test_command() -> None:
    assert "\nmake test " in (ROOT / "README.md").read_text()
    assert (ROOT / ".ci/run").read_text().rstrip().endswith("exec make test")


def test_the_readmes_demo_ends_with_the_line_that_the_demo_prints() -> None:
    shown = re.search(r"^demo: .*$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert shown
    assert re.fullmatch(r"demo: requests=\d{5,} failed=0 answered_badly=[1-9]\d* rolled_back=2", shown[0])


def test_the_readmes_demo_has_the_lines_of_each_report_beside_the_count() -> None:
    line = r"^r-[0-9a-f]{8} in (?:blue|green): agree; report \d+, 5xx \d+; load \d+ to \d+, 5xx \d+ to \d+$"
    switched = 4
    assert len(re.findall(line, (ROOT / "README.md").read_text(), re.MULTILINE)) == switched


def test_exit_codes_have_one_meaning_each() -> None:
    assert len({code.meaning for code in ExitCode}) == len(ExitCode)


@pytest.mark.parametrize(
    "rule",
    [
        finding.ERROR_SHARE,
        finding.OVERHEAD,
        finding.CRASH,
        finding.NO_READY_POD,
        finding.FALLBACK,
        finding.GROSS,
        finding.SILENCE,
        finding.SYNTHETIC,
    ],
)
def test_what_to_do_names_every_rule_that_rolls_back(rule: str) -> None:
    page = (ROOT / "docs/what-to-do.md").read_text()
    part = page.partition("\n### 3\n")[2].partition("\n### ")[0]
    assert [row for row in part.splitlines() if row.startswith("| ") and rule in row.split(" | ")[0]]
