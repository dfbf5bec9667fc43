"""The command line: what each word becomes, and how each error is told."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bluegreen.appfile import json_schema, load_app
from bluegreen.cli import main
from bluegreen.cli.calls import Calls
from bluegreen.cli.group import COMMANDS
from bluegreen.cli.views.history import Unread
from bluegreen.cli.views.status import Status
from bluegreen.domain.errors import BluegreenError, ExitCode, HeldBy, Interrupted, JournalError
from bluegreen.domain.events import Note, Summary
from bluegreen.domain.plan import Options
from bluegreen.domain.release import Outcome, Run, RunKind
from bluegreen.domain.stack import Slot
from bluegreen.ports import Finding, LogTail, Severity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bluegreen.cli.calls import Emit, Ending, Order
    from bluegreen.cli.session import Session
    from bluegreen.domain.stack import Stack

pytestmark = pytest.mark.usefixtures("elsewhere")

SHOP = """\
stack: shop
services:
  - {name: shop-api, image: shop/api, port: 8000, health: /}
  - {name: api, image: shop/other, port: 8001, health: /}
  - {name: shop-web, image: "localhost:5000/shop/web:v1", port: 8002, health: /}
"""

SUMMARY = Summary(
    run="r-1",
    outcome=Outcome.RELEASED,
    headline="released: green serves",
    details=(),
    way_back="",
    took=1,
    exit_code=ExitCode.OK,
)

STATUS = Status(
    stack="alfred",
    serving=Slot.BLUE,
    split="",
    slots=(),
    addresses=(),
    back=None,
    back_words="none: no release has switched this stack yet",
    last="",
    unfinished=None,
)

RUN = Run(id="r-1", kind=RunKind.RELEASE, began_at=0, who="ann")


@dataclass
class Recorded(Calls):
    """Notes what the commands ask for, and answers as it is told."""

    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    session: Session | None = None
    raises: BaseException | None = None
    code: ExitCode = ExitCode.OK
    known: tuple[Run, ...] = (RUN,)

    def _note(self, session: Session, method: str, /, **asked: Any) -> None:
        self.session = session
        self.asked.append((method, asked))
        if self.raises is not None:
            raise self.raises

    def stack(self, session: Session) -> Stack:
        return load_app(session.app).stack

    def up(self, session: Session, *, ports: Mapping[str, int], emit: Emit) -> None:
        self._note(session, "up", ports=dict(ports))
        emit(Note(text="starting"))

    def down(self, session: Session, *, purge: bool, emit: Emit) -> bool:
        self._note(session, "down", purge=purge)
        return purge

    def deploy(self, session: Session, order: Order, *, emit: Emit, ended: Ending) -> ExitCode:
        named = {name: str(image) for name, image in order.images.items()}
        self._note(session, "deploy", images=named, options=order.options, dry_run=order.dry_run)
        emit(SUMMARY)
        ended(None)
        return self.code

    def rollback(self, session: Session, *, to: Slot | None, cold: bool, reason: str, emit: Emit) -> ExitCode:
        self._note(session, "rollback", to=to, cold=cold, reason=reason)
        emit(SUMMARY)
        return self.code

    def status(self, session: Session) -> Status:
        self._note(session, "status")
        return STATUS

    def examine(self, session: Session) -> Sequence[Finding]:
        self._note(session, "examine")
        return (Finding(severity=Severity.REFUSE, text="web is headless", mend="expose it", rule="headless-service"),)

    def runs(self, session: Session, *, newest: int) -> Sequence[Run | Unread]:
        self._note(session, "runs", newest=newest)
        return self.known[:newest]

    def run(self, session: Session, name: str) -> Run | None:
        self._note(session, "run", name=name)
        return next((run for run in self.known if run.id == name), None)

    def logs(self, session: Session, *, service: str | None, slot: Slot | None, lines: int) -> Sequence[LogTail]:
        self._note(session, "logs", service=service, slot=slot, lines=lines)
        return (LogTail(where="/x/a.log", lines=("one",)),)


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str
    calls: Recorded

    @property
    def asked(self) -> dict[str, Any]:
        """What the one call was given."""
        ((_, asked),) = self.calls.asked
        return asked


class Line:
    """Runs command lines."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: str, calls: Recorded | None = None) -> Done:
        calls = calls or Recorded()
        code = main(words, calls=calls)
        out, err = self._capsys.readouterr()
        return Done(code=code, out=out, err=err, calls=calls)


@pytest.fixture
def line(capsys: pytest.CaptureFixture[str]) -> Line:
    return Line(capsys)


# --- deploy -----------------------------------------------------------------------------------------------------------


def test_deploy_as_in_the_specification(line: Line) -> None:
    done = line(
        "deploy",
        "--backend-image=alfredai/backend:abc",
        "--gateway-image",
        "alfredai/gateway:abc",
        "--health-retries",
        "60",
        "--validation-time",
        "60",
    )

    assert (done.code, done.err) == (0, "")
    assert done.out == "\nreleased: green serves\n  r-1, 1 s, exit code 0\n"
    assert done.asked == {
        "images": {"alfred-backend": "alfredai/backend:abc", "alfred-gateway": "alfredai/gateway:abc"},
        "options": Options(health_retries=60, validation_time=60),
        "dry_run": False,
    }


def test_deploy_with_every_switch(line: Line) -> None:
    done = line(
        "deploy",
        *("--image", "backend=a:v1", "--image", "alfred-gateway=b:v1", "--validation-time", "0.5"),
        *("--scale-down-old", "--dry-run", "--force", "--keep-failed", "--require-proof", "--synthetic-traffic"),
    )

    assert done.asked == {
        "images": {"alfred-backend": "a:v1", "alfred-gateway": "b:v1"},
        "options": Options(
            validation_time=0.5,
            scale_down_old=True,
            force=True,
            keep_failed=True,
            require_proof=True,
            synthetic_traffic=True,
        ),
        "dry_run": True,
    }


def test_the_defaults_are_the_specifications(line: Line) -> None:
    assert line("deploy", "--backend-image", "a:v1").asked["options"] == Options(
        health_retries=30, validation_time=30, scale_down_old=False, force=False, keep_failed=False
    )


def test_flags_are_made_from_the_stack_at_hand(line: Line, tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(SHOP)

    done = line(
        "deploy", "--web-image", "w:v2", "--shop-api-image", "s:v2", "--api-image", "o:v2", "--app", "shop.yaml"
    )

    assert done.asked["images"] == {"shop-api": "s:v2", "api": "o:v2", "shop-web": "w:v2"}


def test_help_of_deploy_names_the_flags_of_the_stack(line: Line, tmp_path: Path) -> None:
    (tmp_path / "bluegreen.yaml").write_text(SHOP)

    assert "--web-image REF" in line("deploy", "--help").out
    (tmp_path / "bluegreen.yaml").write_text("stakc: shop\n")
    broken = line("deploy", "--help")
    assert broken.code == 0
    assert "--web-image" not in broken.out
    assert "--image SERVICE=REF" in broken.out


def test_the_exit_code_is_the_releases(line: Line) -> None:
    assert line("deploy", "--backend-image", "a", calls=Recorded(code=ExitCode.ROLLED_BACK)).code == 3


# --- the other commands -----------------------------------------------------------------------------------------------


def test_rollback(line: Line) -> None:
    assert line("rollback").asked == {"to": None, "cold": False, "reason": ""}
    done = line("rollback", "--to", "blue", "--cold", "--reason", "slow", calls=Recorded(code=ExitCode.HELD))
    assert done.asked == {"to": Slot.BLUE, "cold": True, "reason": "slow"}
    assert done.code == 5


def test_up_starts_and_then_shows_the_status(line: Line) -> None:
    done = line("up", "--port", "backend=0", "--port", "alfred-gateway=8080")

    assert done.code == 0
    assert done.calls.asked == [("up", {"ports": {"backend": 0, "alfred-gateway": 8080}}), ("status", {})]
    assert done.out == (
        "   note       starting\nalfred: blue serves\nway back      none: no release has switched this stack yet\n"
    )


def test_down(line: Line) -> None:
    ended = line("down", "--purge")
    assert (ended.asked, ended.out) == ({"purge": True}, "   note       the stack has ended\n")
    assert line("down").out == "   note       nothing of the stack was running here\n"


def test_doctor_answers_9_when_something_refuses_a_release(line: Line) -> None:
    done = line("doctor")
    assert (done.code, done.calls.asked) == (ExitCode.NOT_FIT, [("examine", {})])
    assert done.out.startswith("refuses ")
    assert '"event":"found"' in line("doctor", "--output", "json").out


def test_status_history_and_logs(line: Line) -> None:
    assert line("status").out.startswith("alfred: blue serves\n")
    assert line("history", "-n", "3").asked == {"newest": 3}
    assert line("history").out.startswith("r-1           1970-01-01 00:00:00Z  has not ended\n")
    logs = line("logs", "gateway", "--slot", "green", "-n", "5")
    assert logs.asked == {"service": "gateway", "slot": Slot.GREEN, "lines": 5}
    assert logs.out == "==> /x/a.log <==\none\n"


def test_show(line: Line) -> None:
    assert line("show", "r-1").out.startswith("release r-1: has not ended\n")
    assert line("show").calls.asked == [("runs", {"newest": 1})]
    missing = line("show", "r-9")
    assert (missing.code, missing.err) == (2, "error: there is no release r-9\n  bluegreen history lists them\n")
    none = line("show", calls=Recorded(known=()))
    assert none.err == "error: there is no release yet\n  bluegreen deploy makes one\n"


def test_show_says_that_the_newest_run_cannot_be_read_and_shows_no_other(line: Line) -> None:
    class Newer(Recorded):
        def runs(self, session: Session, *, newest: int) -> Sequence[Run | Unread]:
            return (Unread(id="r-9", why="it is newer"),)

        def run(self, session: Session, name: str) -> Run | None:
            raise JournalError(f"an entry of {name} cannot be read", mend="use the newer version")

    done = line("show", calls=Newer())
    assert (done.code, done.out) == (6, "")
    assert done.err == "error: an entry of r-9 cannot be read\n  use the newer version\n"
    assert "it is newer" in line("history", calls=Newer()).out


def test_schema_is_the_app_files(line: Line) -> None:
    assert json.loads(line("schema").out) == json_schema()
    (one,) = line("schema", "--output", "json").out.splitlines()
    assert json.loads(one) == json_schema()


def test_a_shell_completes_the_app_file(line: Line) -> None:
    os.environ |= {"_BLUEGREEN_COMPLETE": "bash_complete", "COMP_WORDS": "bluegreen --app s", "COMP_CWORD": "2"}

    assert line().out == "file,s\n"


# --- global options ---------------------------------------------------------------------------------------------------


def test_global_options_stand_before_or_after_the_command(line: Line) -> None:
    for words in (
        ["--state", "s", "--output", "json", "rollback"],
        ["rollback", "--state", "s", "--output", "json"],
        ["--state", "other", "rollback", "--state=s", "--output=json"],
    ):
        done = line(*words)
        assert done.calls.session is not None
        assert (done.calls.session.state, done.calls.session.output) == (Path("s"), "json")
        assert json.loads(done.out)["event"] == "summary"


def test_the_environment_is_used_and_the_line_wins(line: Line) -> None:
    os.environ.update({"BLUEGREEN_STATE": "env", "BLUEGREEN_NO_COLOR": "1", "BLUEGREEN_DEPLOY_VALIDATION_TIME": "7"})

    by_environment = line("deploy", "--backend-image", "a")
    by_line = line("--state", "given", "deploy", "--backend-image", "a", "--validation-time", "8")

    assert by_environment.calls.session is not None
    assert by_line.calls.session is not None
    assert (by_environment.calls.session.state, by_line.calls.session.state) == (Path("env"), Path("given"))
    assert (by_environment.calls.session.colour, by_environment.err) == (False, "")
    assert by_environment.asked["options"].validation_time == 7
    assert by_line.asked["options"].validation_time == 8


def test_an_image_may_come_from_the_environment(line: Line) -> None:
    os.environ["BLUEGREEN_DEPLOY_BACKEND_IMAGE"] = "a:v1"

    assert line("deploy").asked["images"] == {"alfred-backend": "a:v1"}


def test_a_variable_that_nobody_reads_is_told(line: Line) -> None:
    os.environ.update(
        {"BLUEGREEN_STAET": "x", "BLUEGREEN_DEPLOY_FORCE": "1", "BLUEGREEN_QQQ": "1", "BLUEGREEN_DEBUG": ""}
    )

    done = line("rollback")

    assert done.code == 0
    assert done.err == (
        "warning: the environment variable BLUEGREEN_QQQ does nothing; bluegreen reads no such variable\n"
        "warning: the environment variable BLUEGREEN_STAET does nothing; did you mean BLUEGREEN_STATE?\n"
    )


# --- help -------------------------------------------------------------------------------------------------------------


def test_help_lists_every_command_and_exit_code(line: Line) -> None:
    done = line("--help")

    assert done.code == 0
    for name, about in COMMANDS.items():
        assert f"  {name:<8}  {about}" in done.out
    for code in ExitCode:
        assert " ".join(f"{int(code)} {code.meaning}".split()) in " ".join(done.out.split())
    assert "bluegreen deploy --backend-image alfredai/backend:v2" in done.out


def test_every_command_has_help_within_80_columns(line: Line) -> None:
    for name in COMMANDS:
        done = line(name, "--help")
        assert done.code == 0
        assert max(map(len, done.out.splitlines())) <= 80, name
        assert "Examples:" in done.out or name in {"schema", "status", "show"}, name


def test_without_a_command_there_is_help_and_a_usage_code(line: Line) -> None:
    done = line()

    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("Usage: bluegreen [OPTIONS] COMMAND")


def test_version(line: Line) -> None:
    assert line("--version").out.startswith("bluegreen 0.")


SAID = ("::add-mask::e", "  ::error::x", "a ##[error]b", "::", "a::b")
HARMLESS = (": :add-mask::e", "  : :error::x", "a ## [error]b", ": :", "a::b")


@pytest.mark.parametrize("runner", [True, False])
def test_what_others_have_written_is_no_command_of_the_runner(
    line: Line, monkeypatch: pytest.MonkeyPatch, *, runner: bool
) -> None:
    """The runner of GitHub Actions takes commands out of all that a step prints: ``::`` at a line's beginning, ``##[``
    anywhere.
    """
    if runner:
        monkeypatch.setenv("GITHUB_ACTIONS", "true")
    else:
        monkeypatch.delenv("GITHUB_ACTIONS", raising=False)

    class Chatty(Recorded):
        def logs(self, session: Session, *, service: str | None, slot: Slot | None, lines: int) -> Sequence[LogTail]:
            return (LogTail(where="/x/a.log", lines=SAID),)

    assert line("logs", calls=Chatty()).out.splitlines()[1:] == list(HARMLESS if runner else SAID)
    done = line("logs", "--output", "json", calls=Chatty())
    assert tuple(json.loads(done.out)["lines"]) == SAID
    assert ("##[" in done.out) is not runner


# --- errors -----------------------------------------------------------------------------------------------------------

REFUSALS: dict[tuple[str, ...], tuple[str, str]] = {
    ("deploi",): ("there is no command deploi", "did you mean deploy?"),
    ("xyz",): ("there is no command xyz", "bluegreen --help shows how it is used"),
    ("deploy", "--backnd-image", "x"): ("there is no option --backnd-image", "did you mean --backend-image?"),
    ("--to", "blue", "rollback"): (
        "there is no option --to",
        "it belongs behind the command's name: bluegreen rollback --to",
    ),
    ("--health-retries=3", "deploy"): (
        "there is no option --health-retries",
        "it belongs behind the command's name: bluegreen deploy --health-retries",
    ),
    ("--backend-image", "a", "deploy"): (
        "there is no option --backend-image",
        "it belongs behind the command's name: bluegreen deploy --backend-image",
    ),
    ("--sate", "x", "rollback"): ("there is no option --sate", "did you mean --state?"),
    ("deploy",): ("no image was named", "name at least one, for example --backend-image alfredai/backend:v2"),
    ("deploy", "--backend-image"): (
        "option '--backend-image' requires an argument",
        "bluegreen deploy --help shows how it is used",
    ),
    ("deploy", "--backend-image", "a", "--validation-time", "-1"): (
        "--validation-time: -1 is no time to wait",
        "write a number of seconds from 0 to 86400, a day",
    ),
    ("deploy", "--backend-image", "a", "--validation-time", "abc"): (
        "--validation-time: 'abc' is not a number of seconds",
        "write for example 30",
    ),
    ("deploy", "--backend-image", "a", "--validation-time", "nan"): (
        "--validation-time: nan is no time to wait",
        "write a number of seconds from 0 to 86400, a day",
    ),
    ("deploy", "--backend-image", "a", "--validation-time", "inf"): (
        "--validation-time: inf is no time to wait",
        "write a number of seconds from 0 to 86400, a day",
    ),
    ("deploy", "--backend-image", "a", "--validation-time", "86401"): (
        "--validation-time: 86401 is no time to wait",
        "write a number of seconds from 0 to 86400, a day",
    ),
    ("deploy", "--backend-image", "a", "--health-retries", "0"): (
        "--health-retries: 0 is too small",
        "write a number from 1 to 17280",
    ),
    ("deploy", "--backend-image", "a", "--health-retries", "17281"): (
        "--health-retries: 17281 is too much",
        "write a number from 1 to 17280",
    ),
    ("deploy", "--backend-image", "a", "--health-retries", "1.5"): (
        "--health-retries: '1.5' is not a whole number",
        "write a number from 1 to 17280",
    ),
    ("deploy", "--backend-image", "a", "--health-retries", "9" * 5000): (
        f"--health-retries: {'9' * 60}... is too much",
        "write a number from 1 to 17280",
    ),
    ("deploy", "--image", "alfredai/backend:v2"): (
        "--image: 'alfredai/backend:v2' does not name a service and a value",
        "write for example --image backend=alfredai/backend:v2.1.0",
    ),
    ("deploy", "--image", "bakend=a"): ("the stack alfred has no service 'bakend'", "did you mean backend?"),
    ("deploy", "--image", "qqq=a"): (
        "the stack alfred has no service 'qqq'",
        "its services are alfred-backend, alfred-gateway",
    ),
    ("deploy", "--image", "backend=a", "--backend-image", "b"): (
        "two images are named for alfred-backend",
        "name one for each service",
    ),
    ("deploy", "--backend-image", "A:v1"): (
        "image 'A:v1': the repository part 'A' may hold only lower-case letters, digits and single separators",
        "write it as [registry[:port]/]repository[:tag][@digest], for example alfredai/backend:v2.1.0",
    ),
    ("deploy", "--app", "none.yaml"): ("none.yaml: there is no such file", "name the app file with --app FILE"),
    ("rollback", "--to", "red"): (
        "invalid value for '--to': 'red' is not one of 'blue', 'green'",
        "bluegreen rollback --help shows how it is used",
    ),
    ("show", "a", "b"): ("got unexpected extra argument (b)", "bluegreen show --help shows how it is used"),
    ("--output", "xml", "status"): (
        "invalid value for '--output': 'xml' is not one of 'text', 'json', 'markdown', 'html'",
        "bluegreen --help shows how it is used",
    ),
    ("--output", "html", "status"): ("--output html is not for bluegreen status", "it writes text or json"),
    ("rollback", "--output", "markdown"): ("--output markdown is not for bluegreen rollback", "it writes text or json"),
    ("up", "--port", "backend=http"): (
        "--port backend: 'http' is no port",
        "write a number from 1 to 65535, or 0 for any port that is free",
    ),
    ("up", "--port", "backend=65536"): (
        "--port backend: '65536' is no port",
        "write a number from 1 to 65535, or 0 for any port that is free",
    ),
    ("up", "--port", "a=1", "--port", "a=2"): ("--port names a twice", "name each service once"),
    ("--state", "", "status"): ("--state: '' is no name of a folder", "name a folder, which need not exist"),
    ("status", "--state", "9" * 300): (
        f"--state: '{'9' * 60}' is no name of a folder",
        "name a folder, which need not exist",
    ),
    ("status", "--state", __file__): (
        f"--state: {__file__!r} is a file, not a folder",
        "name a folder, which need not exist",
    ),
    ("status", "--state", "a/" * 3000): (
        f"--state: '{'a/' * 30}' is no name of a folder",
        "name a folder, which need not exist",
    ),
    ("deploy", "--backend-image", "a", "--state", "a/" * 3000): (
        f"--state: '{'a/' * 30}' is no name of a folder",
        "name a folder, which need not exist",
    ),
    ("deploy", "--backend-image", "a", "--validation-time", "9" * 400): (
        f"--validation-time: {'9' * 60}... is no time to wait",
        "write a number of seconds from 0 to 86400, a day",
    ),
    ("up", "--port", "backend=000000065536"): (
        "--port backend: '000000065536' is no port",
        "write a number from 1 to 65535, or 0 for any port that is free",
    ),
    ("up", "--port", f"backend={'0' * 5000}65536"): (
        f"--port backend: '{'0' * 60}...' is no port",
        "write a number from 1 to 65535, or 0 for any port that is free",
    ),
    ("history", "-n", "x"): ("--newest: 'x' is not a whole number", "write a number from 1 to 999999999"),
    ("logs", "--lines", "1000000000"): ("--lines: 1000000000 is too much", "write a number from 1 to 999999999"),
    ("logs", "--lines", "-00"): ("--lines: -00 is too small", "write a number from 1 to 999999999"),
    ("rollback", "--app", ""): ("--app is empty", "leave --app out, or give it a value"),
    ("deploy", "--backend-image", "a", "--app", " "): ("--app is empty", "leave --app out, or give it a value"),
    ("show", ""): ("release is empty", "leave release out, or give it a value"),
    ("verify", " "): ("release is empty", "leave release out, or give it a value"),
    ("logs", ""): ("service is empty", "leave service out, or give it a value"),
    ("--namespace=", "status"): ("--namespace is empty", "leave --namespace out, or give it a value"),
    ("deploy", "--backend-image", "a", "--prometheus", ""): (
        "--prometheus is empty",
        "leave --prometheus out, or give it a value",
    ),
}


@pytest.mark.parametrize(
    ("variable", "value", "words", "error"),
    [
        ("BLUEGREEN_OUTPUT", "xml", ("status",), "'BLUEGREEN_OUTPUT': 'xml' is not one of 'text', 'json', "),
        ("BLUEGREEN_ROLLBACK_TO", "red", ("rollback",), "'BLUEGREEN_ROLLBACK_TO': 'red' is not one of "),
        ("BLUEGREEN_DIRECT", "x", ("status",), "'BLUEGREEN_DIRECT': 'x' is neither 'true' nor 'false'\n"),
        ("BLUEGREEN_DEPLOY_DRY_RUN", "x", ("deploy",), "'BLUEGREEN_DEPLOY_DRY_RUN': 'x' is neither 'true' nor "),
        ("BLUEGREEN_DEPLOY_HEALTH_RETRIES", "x", ("deploy",), "BLUEGREEN_DEPLOY_HEALTH_RETRIES: 'x' is not a whole "),
        ("BLUEGREEN_LOGS_LINES", "0", ("logs",), "BLUEGREEN_LOGS_LINES: 0 is too small\n"),
        ("BLUEGREEN_NAMESPACE", " ", ("rollback",), "BLUEGREEN_NAMESPACE is empty\n"),
        ("BLUEGREEN_STATE", __file__, ("status",), f"BLUEGREEN_STATE: {__file__!r} is a file"),
        ("BLUEGREEN_UP_PORT", "x", ("up",), "BLUEGREEN_UP_PORT: 'x' does not name a service and a value\n"),
    ],
)
def test_a_value_of_the_environment_is_refused_by_its_variable(
    line: Line, variable: str, value: str, words: tuple[str, ...], error: str
) -> None:
    """Whoever reads it has typed no such option."""
    os.environ[variable] = value
    done = line(*words)

    assert error in done.err.partition("error: ")[2].removeprefix("invalid value for ")
    assert (done.code, done.calls.asked) == (2, [])


@pytest.mark.parametrize(("value", "plain"), [("1", True), ("true", True), ("0", False), ("", False)])
def test_an_error_is_as_plain_as_the_environment_wants_it(line: Line, value: str, *, plain: bool) -> None:
    os.environ |= {"FORCE_COLOR": "1", "BLUEGREEN_NO_COLOR": value}

    assert line("deploi").err.startswith("error:") is plain


def test_a_folder_that_may_not_be_seen_is_refused(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_right(_path: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "exists", no_right)
    done = line("status", "--state", "/root/x")
    assert done.err == "error: --state: '/root/x' cannot be read: Permission denied\n  name a folder that is yours\n"
    assert done.code == 2


@pytest.mark.parametrize(("words", "expected"), REFUSALS.items(), ids=[" ".join(words)[:60] for words in REFUSALS])
def test_refusals(line: Line, words: tuple[str, ...], expected: tuple[str, str]) -> None:
    done = line(*words)

    assert done.err == f"error: {expected[0]}\n  {expected[1]}\n"
    assert (done.code, done.out, done.calls.asked) == (2, "", [])


def test_an_error_of_the_app_file_has_its_line(line: Line, tmp_path: Path) -> None:
    (tmp_path / "bluegreen.yaml").write_text(SHOP + "contatcs: []\n")

    done = line("deploy", "--web-image", "a")

    assert done.err == (
        "error: bluegreen.yaml:6: the file has the unknown key 'contatcs'\n  did you mean 'contacts'?\n"
    )
    assert done.code == 2


def test_errors_of_the_program_keep_their_code_and_mend(line: Line) -> None:
    held = HeldBy("held by deploy r-1", holder="deploy r-1", mend="wait for it")
    done = line("deploy", "--backend-image", "a", calls=Recorded(raises=held))

    assert (done.code, done.err) == (4, "error: held by deploy r-1\n  wait for it\n")


def test_an_error_without_a_mend_is_one_line(line: Line) -> None:
    done = line("status", calls=Recorded(raises=BluegreenError("it is\nbad \x1b[2J")))

    assert (done.code, done.err) == (1, "error: it is bad \\x1b[2J\n")


def test_programs_get_the_error_as_their_last_line(line: Line) -> None:
    done = line("--output", "json", "status", calls=Recorded(raises=BluegreenError("bad", mend="mend it")))

    assert json.loads(done.out) == {"v": 1, "event": "error", "message": "bad", "mend": "mend it", "exit_code": 1}
    assert done.err == "error: bad\n  mend it\n"
    assert json.loads(line("deploy", "--output=json").out)["exit_code"] == 2


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (KeyboardInterrupt(), 130, "interrupted by SIGINT"),
        (Interrupted(signal="SIGTERM"), 143, "interrupted by SIGTERM"),
    ],
)
def test_an_interrupt_has_the_shells_exit_code(line: Line, error: BaseException, code: int, text: str) -> None:
    done = line("rollback", calls=Recorded(raises=error))

    assert done.code == code
    assert done.err.strip() == f"error: {text}"


def test_a_fault_of_ours_is_one_line_and_a_file(line: Line) -> None:
    done = line("rollback", "--reason", "secret", calls=Recorded(raises=ZeroDivisionError("oops")))

    first, second = done.err.splitlines()
    assert done.code == 5
    assert first == "error: bluegreen itself has a fault: ZeroDivisionError: oops"
    start, _, path = second.rpartition(" ")
    assert start == "  look at bluegreen status; please report this with"
    report = Path(path)
    text = report.read_text()
    report.unlink()
    assert "ZeroDivisionError: oops" in text
    assert "Traceback" in text
    assert "secret" not in text


def test_a_fault_is_shown_when_asked_for(line: Line) -> None:
    os.environ["BLUEGREEN_DEBUG"] = "1"

    done = line("rollback", calls=Recorded(raises=ZeroDivisionError("oops")))

    assert "Traceback (most recent call last):" in done.err
    assert done.err.endswith("please report this with the traceback above\n")


def test_colour_is_forced_or_forbidden(line: Line) -> None:
    plain = line("rollback").out
    os.environ["FORCE_COLOR"] = "1"
    forced = line("rollback").out
    forbidden = line("rollback", "--no-color").out
    os.environ["NO_COLOR"] = "1"
    both = line("rollback").out

    assert forced == plain.replace("released: green serves", "\x1b[1mreleased: green serves\x1b[0m")
    assert plain == forbidden == both


def test_a_narrow_terminal_is_heeded(line: Line) -> None:
    os.environ["COLUMNS"] = "40"

    assert max(map(len, line("status").out.splitlines())) <= 40
