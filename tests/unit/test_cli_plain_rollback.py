"""The rollback's own reading of its line beside click's: where it reads a line at all, both say the same."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bluegreen.cli import commands, main
from bluegreen.cli.calls import Calls
from bluegreen.cli.plain_rollback import Line, line_of
from bluegreen.cli.session import Format, Kind, Session
from bluegreen.domain.errors import BluegreenError, ExitCode
from bluegreen.domain.stack import Slot

if TYPE_CHECKING:
    from bluegreen.cli.calls import Emit

PLAIN = [
    "rollback",
    "rollback --to blue",
    "rollback --to=green",
    "rollback --to blue --to green",
    "rollback --reason slow",
    "rollback --reason=slow --to blue",
    "rollback --reason=",
    "rollback --reason=-5",
    "rollback --reason=a=b",
    "--platform kubernetes rollback",
    "--platform=kubernetes --namespace shop rollback --to blue",
    "--namespace shop rollback",
    "rollback --namespace shop",
    "--namespace one rollback --namespace two",
    "--context prod rollback",
    "--context prod --platform local rollback",
    "--direct rollback --no-color",
    "rollback --direct",
    "--output json rollback",
    "--output json rollback --output text",
    "--state here rollback",
    "--state=here rollback --state there",
    "--app shop.yaml rollback",
    "--reason rollback rollback",
]
"""Without a word that has a space, so that they can be split; the last one is click's, for it is a mistake."""

LEFT = [
    "",
    "--help",
    "--version",
    "status",
    "deploy --backend-image a:b",
    "rollback --help",
    "rollback -h",
    "rollback --cold",
    "rollback now",
    "rollback rollback",
    "rollback --to",
    "rollback --to red",
    "rollback --to BLUE",
    "rollback --to=",
    "rollback --rea slow",
    "rollback --reason",
    "rollback --reason --to",
    "rollback -- --to",
    "--to blue rollback",
    "--platform moon rollback",
    "--namespace= rollback",
    "--output xml rollback",
    "--state= rollback",
    "--direct=yes rollback",
    "--app= rollback",
    "rollback --force",
    "--namespace rollback",
]


class Heard(Calls):
    """Notes the rollback that it is asked for."""

    def __init__(self) -> None:
        self.line: Line | None = None

    def rollback(self, session: Session, *, to: Slot | None, cold: bool, reason: str, emit: Emit) -> ExitCode:
        del emit
        self.line = Line(session=session, to=to, cold=cold, reason=reason)
        return ExitCode.OK


def by_click(words: list[str]) -> Line | None:
    heard = Heard()
    try:
        commands.run(words, heard)
    except (BluegreenError, SystemExit):
        return None
    return heard.line


@pytest.mark.parametrize("text", PLAIN[:-1])
def test_a_plain_line_is_read_as_click_reads_it(text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    line = line_of(text.split(), {})
    assert line is not None
    assert line == by_click(text.split())


@pytest.mark.parametrize("text", [*LEFT, PLAIN[-1]])
def test_any_other_line_is_left_to_click(text: str) -> None:
    assert line_of(text.split(), {}) is None


@pytest.mark.parametrize(
    "name", ["BLUEGREEN_STATE", "BLUEGREEN_ROLLBACK_REASON", "BLUEGREEN_TYPO", "_BLUEGREEN_COMPLETE"]
)
def test_a_variable_that_may_mean_something_is_left_to_click(name: str) -> None:
    assert line_of(["rollback"], {name: "x"}) is None


@pytest.mark.parametrize("text", ["rollback", "--platform local rollback --to blue", "rollback --namespace other"])
@pytest.mark.parametrize("value", ["", "kubernetes"])
def test_the_place_may_stand_in_the_environment(
    text: str, value: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    variables = {"BLUEGREEN_PLATFORM": value, "BLUEGREEN_NAMESPACE": value and "shop", "BLUEGREEN_CONTEXT": value}
    for name, each in variables.items():
        monkeypatch.setenv(name, each)
    line = line_of(text.split(), variables)
    assert line is not None
    assert line == by_click(text.split())


@pytest.mark.parametrize("value", ["", " ", "json://a/b", " json://a/b  json://c/d\n"])
def test_who_is_told_may_stand_in_the_environment(value: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What the notices would be, not the sending of them: there is no run here that has ended."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BLUEGREEN_NOTIFY", value)
    line = line_of(["rollback"], {"BLUEGREEN_NOTIFY": value})
    assert line is not None
    assert line == by_click(["rollback"])
    assert line.session.notify == tuple(value.split())


def test_who_is_told_is_read_by_click_where_the_line_names_it() -> None:
    assert line_of(["rollback", "--notify", "json://a/b"], {}) is None


def test_a_place_in_the_environment_that_is_wrong_is_left_to_click() -> None:
    assert line_of(["rollback"], {"BLUEGREEN_PLATFORM": "moon"}) is None
    assert line_of(["rollback"], {"BLUEGREEN_NAMESPACE": " "}) is None


def test_variables_that_are_no_options_change_nothing() -> None:
    environment = {"HOME": "/", "BLUEGREEN_DEBUG": "1", "BLUEGREEN_PROGRAM": "./deploy.sh"}
    line = line_of(["rollback", "--to", "blue"], environment)
    assert line is not None
    assert line.session.program.name == "./deploy.sh"


def test_a_folder_that_is_a_file_is_left_to_click(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert line_of(["--state", str(tmp_path / "file"), "rollback"], {}) is None


def test_what_is_read_is_what_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    heard = Heard()
    words = ["--namespace", "shop", "rollback", "--to", "blue", "--reason", "slow since v2", "--output", "json"]
    assert main(words, calls=heard) == 0
    assert heard.line is not None
    assert (heard.line.to, heard.line.cold, heard.line.reason) == (Slot.BLUE, False, "slow since v2")
    session = heard.line.session
    assert (session.platform, session.namespace, session.output) == (Kind.KUBERNETES, "shop", Format.JSON)
    assert capsys.readouterr().err == ""


WORDS = st.sampled_from(
    [
        *("rollback", "--to", "blue", "green", "--to=blue", "--reason", "--reason=x", "slow", "--cold", "--direct"),
        *("--namespace", "--namespace=shop", "--platform", "kubernetes", "local", "--output", "json", "--output=text"),
        *("--no-color", "--state", "--state=here", "--context", "--app", "a.yaml", "--help", "--", "-h", "status", ""),
    ]
)


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(WORDS, max_size=7))
def test_whatever_is_read_click_reads_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory, words: list[str]
) -> None:
    with monkeypatch.context() as here:
        here.chdir(tmp_path_factory.getbasetemp())
        line = line_of(words, {})
        if line is not None:
            assert line == by_click(words)
