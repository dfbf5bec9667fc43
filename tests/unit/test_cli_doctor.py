"""``bluegreen doctor``: what it writes, and its exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from bluegreen.cli.doctor import code_of
from bluegreen.cli.views.doctor import doctor_lines, examined, told
from bluegreen.cli.views.json import fields
from bluegreen.cli.views.paper import Paper
from bluegreen.domain.errors import ExitCode
from bluegreen.domain.rules import Rule
from bluegreen.ports import Finding, Severity

PAGE = Path(__file__).parents[2] / "docs" / "doctor.md"


def finding(severity: Severity) -> Finding:
    return Finding(
        severity=severity,
        text="Service web is headless",
        mend="kubectl expose deployment web",
        rule=str(Rule.HEADLESS),
        why=Rule.HEADLESS.why,
    )


@pytest.mark.parametrize(
    ("severities", "code"),
    [
        ((), ExitCode.OK),
        ((Severity.NOTE, Severity.WARN), ExitCode.OK),
        ((Severity.REFUSE, Severity.WARN), ExitCode.NOT_FIT),
    ],
)
def test_only_what_refuses_a_release_fails_it(severities: tuple[Severity, ...], code: ExitCode) -> None:
    assert code_of([finding(severity) for severity in severities]) == code


def test_a_clean_stack_is_one_line() -> None:
    assert list(doctor_lines(Paper(), [])) == ["nothing refuses a release"]


def test_each_finding_says_why_and_what_mends_it_in_80_columns() -> None:
    lines = list(doctor_lines(Paper(), [finding(Severity.REFUSE), finding(Severity.NOTE)]))
    assert lines[0].startswith("refuses ")
    assert any(line.startswith("  why ") for line in lines)
    assert any("kubectl expose deployment web" in line for line in lines)
    assert lines[-1] == "1 finding would refuse a release; 1 note"
    assert all(len(line) <= 80 for line in lines)


def test_a_program_gets_the_rules_name_and_the_counts() -> None:
    found = [finding(Severity.REFUSE)]
    assert fields(told(found[0])) == {
        "severity": "refuse",
        "text": "Service web is headless",
        "mend": "kubectl expose deployment web",
        "rule": "headless-service",
        "why": Rule.HEADLESS.why,
    }
    assert fields(examined(found)) == {"refuse": 1, "warn": 0, "note": 0}


def test_rules_have_names_of_their_own_and_a_reason() -> None:
    assert len({str(rule) for rule in Rule}) == len(Rule)
    assert all(rule.why and not rule.why.endswith(".") for rule in Rule)


def test_the_page_of_rules_is_the_list_of_rules() -> None:
    rows = [line.split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    assert [(row[0].strip("| `"), row[3]) for row in rows] == [(str(rule), rule.why) for rule in Rule]
    assert all(len(row) == 5 for row in rows)
