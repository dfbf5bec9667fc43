"""The report beside the load generator's count: when they agree, when not, and what a gap excuses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from agreement import SERVICE, SLACK_NS, Reports

if TYPE_CHECKING:
    from pathlib import Path


def report(*, answers: int = 700, errors: int = 0, gaps: int = 0, own: int = 0) -> dict[str, Any]:
    green = {"service": SERVICE, "slot": "green", "answers": [[200, answers - errors], [500, errors]]}
    blue = {"service": SERVICE, "slot": "blue", "answers": [[200, 9000]]}
    backend = {"service": "alfred-backend", "slot": "green", "answers": [[200, 5000]]}
    counted = {
        "since": 100.0,
        "until": 131.0,
        "latest": 131.5,
        "answered": [blue, green, backend],
        "gaps": ["g"] * gaps,
        "synthetic": own,
    }
    return {"id": "r-1", "target": "green", "counted": counted}


def span(*, least: int = 690, most: int = 710, errors: tuple[int, int] = (0, 0), name: str = "r-1") -> dict[str, Any]:
    return {"name": name, "least": least, "most": most, "least_errors": errors[0], "most_errors": errors[1]}


def beside(tmp_path: Path, given: dict[str, Any], *spans: dict[str, Any]) -> Any:
    reports = Reports(tmp_path / "spans.jsonl")
    reports.add(given)
    (found,) = reports.beside(spans)
    return found


@pytest.mark.parametrize(
    ("given", "spans", "holds"),
    [
        pytest.param(report(), [span()], True, id="between the two"),
        pytest.param(report(answers=690), [span()], True, id="at the least"),
        pytest.param(report(answers=689), [span()], False, id="too few: some were not counted"),
        pytest.param(report(answers=711), [span()], False, id="too many: some were counted twice"),
        pytest.param(report(answers=689, gaps=1), [span()], True, id="too few, and it says why"),
        pytest.param(report(answers=711, gaps=1), [span()], False, id="a gap adds nothing"),
        pytest.param(report(answers=715, own=5), [span()], True, id="five of bluegreen's own"),
        pytest.param(report(errors=3), [span(errors=(3, 4))], True, id="errors agree"),
        pytest.param(report(errors=2), [span(errors=(3, 4))], False, id="an error was not counted"),
        pytest.param(report(errors=5), [span(errors=(3, 4))], False, id="an error that nobody got"),
        pytest.param(
            report(), [span(least=345, most=350), span(least=345, most=360), span(least=9, most=9, name="r-2")], True,
            id="two generators, and another release's span",
        ),
    ],
)  # fmt: skip
def test_when_they_agree(tmp_path: Path, given: dict[str, Any], spans: list[dict[str, Any]], holds: bool) -> None:  # noqa: FBT001
    found = beside(tmp_path, given, *spans)
    assert found.holds is holds
    assert ("DISAGREE" in str(found)) is not holds


def test_how_much_cannot_be_known_is_told(tmp_path: Path) -> None:
    assert str(beside(tmp_path, report(errors=1), span(errors=(1, 1)))) == (
        "r-1 in green: agree; report 700, 5xx 1; load 690 to 710, 5xx 1 to 1"
    )
    assert "2 gaps, so not all is known" in str(beside(tmp_path, report(gaps=2), span()))
    assert "1 gap, so not all is known" in str(beside(tmp_path, report(gaps=1), span()))


def test_the_load_generator_is_asked_for_the_time_of_the_report(tmp_path: Path) -> None:
    reports = Reports(tmp_path / "spans.jsonl")
    reports.add(report())
    reports.add(report())
    reports.add({"id": "r-2", "target": "blue", "counted": None})
    (line,) = (tmp_path / "spans.jsonl").read_text().splitlines()
    assert json.loads(line) == {
        "name": "r-1",
        "slot": "green",
        "start_ns": 100_000_000_000,
        "until_ns": 131_000_000_000 - SLACK_NS,
        "latest_ns": 131_500_000_000,
    }
