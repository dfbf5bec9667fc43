"""The alert rules and the dashboard's queries, by Prometheus' own checker: what parses, fires and is silent."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from testbed.debian import promtool
from testbed.errors import Unavailable
from testbed.places import default_places
from tests.testbed.helpers import not_run, tell

if TYPE_CHECKING:
    from collections.abc import Iterator

TOOLS = Path(__file__).parents[2] / "tools"
RULES, TESTS = TOOLS / "prometheus/alfred-alerts.yaml", TOOLS / "prometheus/alfred-alerts.test.yaml"
DASHBOARD: dict[str, Any] = json.loads((TOOLS / "grafana/alfred-dashboard.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]


@pytest.fixture(scope="session")
def checker() -> Path:
    try:
        return promtool(into=default_places().cache / "debian", tell=tell)
    except Unavailable as error:
        not_run(error)


def run(checker: Path, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([checker, *words], cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.cluster
def test_the_rules_are_rules(checker: Path) -> None:
    done = run(checker, "check", "rules", RULES.name, cwd=RULES.parent)
    assert done.returncode == 0, done.stderr
    assert "SUCCESS: 6 rules found" in done.stdout


@pytest.mark.cluster
def test_every_alert_fires_when_it_should_and_only_then(checker: Path) -> None:
    done = run(checker, "test", "rules", TESTS.name, cwd=TESTS.parent)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("> 0.01", "> 0.5"),
        ("> 150", "> 5000"),
        ("== 0\n            and sum", "== 1\n            and sum"),
        ("up{", "down{"),
    ],
)
def test_a_rule_that_was_changed_is_noticed(checker: Path, tmp_path: Path, ours: str, theirs: str) -> None:
    """So the tests of the rules can fail."""
    text = RULES.read_text()
    assert ours in text
    (tmp_path / RULES.name).write_text(text.replace(ours, theirs))
    (tmp_path / TESTS.name).write_text(TESTS.read_text())
    assert run(checker, "test", "rules", TESTS.name, cwd=tmp_path).returncode != 0


def test_every_alert_is_tested() -> None:
    names = {line.split(":")[1].strip() for line in RULES.read_text().splitlines() if "- alert:" in line}
    assert len(names) == 6
    assert all(f"alertname: {name}" in TESTS.read_text() for name in names)


def queries() -> Iterator[str]:
    for panel in PANELS:
        for target in panel["targets"]:
            yield target["expr"]
    yield from (each["expr"] for each in DASHBOARD["annotations"]["list"] if "expr" in each)


@pytest.mark.cluster
def test_every_query_of_the_dashboard_is_one(checker: Path, tmp_path: Path) -> None:
    """As rules, for that is what the checker parses."""
    plain = [query.replace("$__rate_interval", "1m").replace("$namespace", "alfred") for query in queries()]
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(plain)]
    (tmp_path / "rules.json").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = run(checker, "check", "rules", "rules.json", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules)} rules found" in done.stdout
