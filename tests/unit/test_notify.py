"""Notices by real processes to real servers of this machine: taken, refused, dead and slow, and nothing of a URL shown.

The URLs hold canaries in each place where a service may have a secret: user, password, path and query.
"""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bluegreen.appfile import load_app
from bluegreen.cli import main
from bluegreen.cli.calls import Calls
from bluegreen.cli.session import Session
from bluegreen.clock import SystemClock
from bluegreen.domain.errors import ExitCode, Held, NotKnown, UsageError
from bluegreen.domain.events import CameBack, Event, Summary, Warned
from bluegreen.domain.notice import Notice, Occasion
from bluegreen.domain.release import Outcome
from bluegreen.domain.stack import Slot, after
from bluegreen.domain.values import replace
from bluegreen.notify import child
from bluegreen.notify.address import shown
from bluegreen.notify.send import AppriseNotifier
from bluegreen.wiring import notices
from bluegreen.wiring.common import child_environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bluegreen.cli.calls import Emit, Ending, Order
    from bluegreen.ports import Delivery

pytestmark = pytest.mark.usefixtures("elsewhere")

CANARY = "canary4711"
CLOCK = SystemClock()
NOTICE = Notice(occasion=Occasion.ROLLBACK, title="alfred: rolled back: blue serves", text="why: it was bad\nr-1")

SUMMARY = Summary(
    run="r-1",
    outcome=Outcome.ROLLED_BACK,
    headline="rolled back: blue serves",
    details=("why: errors",),
    way_back="users are where they were",
    took=1,
    exit_code=ExitCode.ROLLED_BACK,
    stack="alfred",
)


class Receiver(ThreadingHTTPServer):
    """Keeps what it is sent."""

    daemon_threads = True

    def __init__(self, status: int, pause: float) -> None:
        super().__init__(("127.0.0.1", 0), _Taker)
        self.status = status
        self.over = threading.Event()
        self.pause = pause
        self.taken: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        return f"json://{CANARY}-user:{CANARY}-password@127.0.0.1:{self.server_port}/{CANARY}-path?+X={CANARY}-header"


class _Taker(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        self.server.taken.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.server.over.wait(self.server.pause)
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def receiver(*, status: int = 200, pause: float = 0.0) -> Iterator[Receiver]:
    server = Receiver(status, pause)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


def dead() -> str:
    """A URL at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"json://127.0.0.1:{free.getsockname()[1]}/{CANARY}"


def send(*urls: str, limit: float = 30.0) -> Sequence[Delivery]:
    notifier = AppriseNotifier(urls, clock=CLOCK, environment=child_environment())
    return notifier.send(NOTICE, until=after(CLOCK.now(), limit))


# --- what is shown ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (f"json://{CANARY}:{CANARY}@hooks.example:8080/{CANARY}?a={CANARY}", "json://hooks.example"),
        (f"mailtos://{CANARY}:{CANARY}@example.org?to={CANARY}", "mailtos://example.org"),
        (f"https://hooks.example/{CANARY}", "https://hooks.example"),
        (f"slack://{CANARY}/{CANARY}/{CANARY}", "slack"),
        (f"tgram://{CANARY}:{CANARY}/12", "tgram"),
        (f"json://{CANARY}@{CANARY}!/x", "json"),
        (f"json://u:p@{CANARY}_x@y/", "json://y"),
        (CANARY, "a URL"),
        (f"{CANARY} ://x", "a URL"),
        ("", "a URL"),
    ],
)
def test_of_a_url_scheme_and_host_are_shown_and_nothing_else(url: str, said: str) -> None:
    assert shown(url) == said


# --- sending ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_notice_arrives_as_it_is() -> None:
    with receiver() as server:
        (delivery,) = send(server.url)
    assert (delivery.to, delivery.why) == ("json://127.0.0.1", "")
    (taken,) = server.taken
    assert (taken["title"], taken["message"], taken["type"]) == (NOTICE.title, NOTICE.text, "warning")


@pytest.mark.slow
def test_each_address_is_told_of_by_itself() -> None:
    """Taken, refused, dead, unknown, and one named twice."""
    with receiver() as good, receiver(status=500) as bad:
        results = send(good.url, bad.url, dead(), f"nosuchservice://{CANARY}", good.url)
    assert [(each.to, each.why) for each in results] == [
        ("json://127.0.0.1", ""),
        ("json://127.0.0.1", "it was not taken: no answer, or a refusal"),
        ("json://127.0.0.1", "it was not taken: no answer, or a refusal"),
        ("nosuchservice", "no service has such a URL"),
    ]
    assert len(good.taken) == 1


@pytest.mark.slow
def test_one_that_is_slow_is_given_up_and_holds_nobody_else_up() -> None:
    with receiver() as good, receiver(pause=60.0) as slow:
        began = time.monotonic()
        patient = f"{slow.url}&rto=60"  # apprise gives up by itself after 4 s unless it is told
        results = send(patient, good.url, limit=notices.LIMIT)  # in which a busy machine starts the other one, too
        took = time.monotonic() - began
    assert [each.why for each in results] == ["no answer within its limit", ""]
    assert took < notices.LIMIT + 5.0


# --- from the command line ------------------------------------------------------------------------------------------


class Ended(Calls):
    """Commands whose run has just ended like this."""

    def __init__(self, summary: Summary = SUMMARY, *, left: Exception | None = None) -> None:
        self.summary = summary
        self.left = left

    def rollback(self, session: Session, *, to: Slot | None, cold: bool, reason: str, emit: Emit) -> ExitCode:
        emit(self.summary)
        return ExitCode.OK

    def deploy(self, session: Session, order: Order, *, emit: Emit, ended: Ending) -> ExitCode:
        emit(self.summary)
        ended(None)
        return self.verified(emit) if order.options.verify else self.summary.exit_code

    def verified(self, emit: Emit) -> ExitCode:
        """As ``verify`` ends: by a summary of its own, or by an error."""
        if self.left is not None:
            raise self.left
        emit(replace(self.summary, outcome=None, headline="the checklist is fulfilled"))
        return ExitCode.OK

    def stack(self, session: Session) -> Any:
        return load_app(session.app).stack


DEPLOY = ("deploy", "--image", "alfred-backend=a:v2")

APP = """\
stack: shop
services:
  - {name: shop-api, image: shop/api, port: 8000, health: /}
notify:
"""


@pytest.mark.slow
@pytest.mark.parametrize("way", ["flag", "environment", "app file", "app file with a variable"])
@pytest.mark.parametrize("output", ["text", "json"])
def test_a_rollback_tells_after_its_outcome_and_no_secret_is_seen_anywhere(
    way: str, output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with receiver() as server:
        words = ["--output", output, "rollback"]
        if way == "flag":
            words += ["--notify", server.url]
        elif way == "environment":
            monkeypatch.setenv("BLUEGREEN_NOTIFY", server.url)
        elif way == "app file":
            Path("bluegreen.yaml").write_text(f"{APP}  urls: ['{server.url}']\n  on: []\n")
        else:
            monkeypatch.setenv("HOOK", server.url)
            Path("bluegreen.yaml").write_text(f"{APP}  urls: ['${{HOOK}}']\n")
        assert main(words, calls=Ended()) == 0
    out, err = capfd.readouterr()
    assert [taken["title"] for taken in server.taken] == ["alfred: rolled back: blue serves"]
    assert CANARY not in out + err
    assert err == ""
    last = out.splitlines()[-1]
    if output == "json":
        assert json.loads(last) == {"v": 1, "event": "notified", "to": "json://127.0.0.1", "why": ""}
        assert json.loads(out.splitlines()[-2])["event"] == "summary"
    else:
        assert last == "  told by json://127.0.0.1"


@pytest.mark.slow
def test_one_that_is_dead_changes_no_exit_code(capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*DEPLOY, "--notify", dead()], calls=Ended()) == ExitCode.ROLLED_BACK
    out, err = capfd.readouterr()
    assert " ".join(out.split()).endswith("not told by json://127.0.0.1: it was not taken: no answer, or a refusal")
    assert CANARY not in out + err


@pytest.mark.slow
def test_of_a_release_people_are_told_when_the_app_file_says_so(capfd: pytest.CaptureFixture[str]) -> None:
    released = replace(SUMMARY, outcome=Outcome.RELEASED, exit_code=ExitCode.OK)
    with receiver() as server:
        words = ["deploy", "--image", "shop-api=a:v2", "--app", "app.yaml"]
        Path("app.yaml").write_text(f"{APP}  urls: ['{server.url}']\n")
        assert main(words, calls=Ended(released)) == 0
        assert server.taken == []
        Path("app.yaml").write_text(f"{APP}  urls: ['{server.url}']\n  on: [release]\n")
        assert main(words, calls=Ended(released)) == 0
        assert len(server.taken) == 1
    assert CANARY not in "".join(capfd.readouterr())


class Refused(Ended):
    """Both verbs bring users back, unless ``where`` is nowhere, and come no further."""

    def __init__(self, where: Slot | None) -> None:
        super().__init__()
        self.where = where

    def rollback(self, session: Session, *, to: Slot | None, cold: bool, reason: str, emit: Emit) -> ExitCode:
        if self.where is not None:
            emit(CameBack(slot=self.where, why="it was stopped in the middle", took=0.1, stack="alfred"))
        raise Held("the stack is not fit", mend="look at bluegreen doctor")

    def deploy(self, session: Session, order: Order, *, emit: Emit, ended: Ending) -> ExitCode:
        try:
            return self.rollback(session, to=None, cold=False, reason="", emit=emit)
        except Held as error:
            ended(error)
            raise


@pytest.mark.slow
@pytest.mark.parametrize("words", [DEPLOY, ("rollback",)], ids=["deploy", "rollback"])
def test_users_who_were_brought_back_are_told_of_though_the_command_came_no_further(
    words: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    with receiver() as server:
        assert main(["--notify", server.url, *words], calls=Refused(Slot.BLUE)) == ExitCode.HELD
        (taken,) = server.taken
    assert (taken["title"], taken["type"]) == ("alfred: rolled back: blue serves", "warning")
    assert taken["message"].splitlines() == [
        "users were brought back to blue: it was stopped in the middle",
        "then: the stack is not fit",
        "look at bluegreen doctor",
        "exit code 5",
    ]
    out, err = capfd.readouterr()
    assert err.startswith("error: the stack is not fit")
    assert CANARY not in out + err


@pytest.mark.slow
def test_of_a_release_that_was_refused_nobody_is_told() -> None:
    with receiver() as server:
        assert main([*DEPLOY, "--notify", server.url], calls=Refused(None)) == ExitCode.HELD
        assert server.taken == []


@pytest.mark.slow
@pytest.mark.parametrize("left", [None, NotKnown("r-1 is not in effect any more")])
def test_a_release_is_told_before_its_five_minutes_are_waited_for(
    left: Exception | None, capfd: pytest.CaptureFixture[str]
) -> None:
    released = replace(SUMMARY, outcome=Outcome.RELEASED, headline="released", exit_code=ExitCode.OK)
    with receiver() as server:
        Path("app.yaml").write_text(f"{APP}  urls: ['{server.url}']\n  on: [release]\n")
        words = ["deploy", "--image", "shop-api=a:v2", "--app", "app.yaml", "--verify"]
        assert main(words, calls=Ended(released, left=left)) == (ExitCode.OK if left is None else ExitCode.NOT_KNOWN)
        assert [taken["title"] for taken in server.taken] == ["alfred: released"]
    assert CANARY not in "".join(capfd.readouterr())


@pytest.mark.parametrize("given", [(f"{CANARY}",), ("json://a/b", CANARY)])
def test_what_is_no_url_is_refused_before_anything_is_done_without_being_repeated(
    given: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    words = [word for url in given for word in ("--notify", url)]
    assert main([*DEPLOY, *words], calls=Ended()) == 2
    out, err = capfd.readouterr()
    assert f"the address number {len(given)} for notices is no URL" in err
    assert out == ""
    assert CANARY not in err


def test_a_variable_that_is_not_set_is_named_before_anything_is_done(capfd: pytest.CaptureFixture[str]) -> None:
    Path("bluegreen.yaml").write_text(f"{APP}  urls: ['json://x/{CANARY}/${{HOOK}}']\n")
    assert main(["deploy", "--image", "shop-api=a:v2"], calls=Ended()) == 2
    out, err = capfd.readouterr()
    assert "the app file's notify names the variable HOOK, which is not set" in err
    assert CANARY not in out + err


def test_after_a_rollback_bad_addresses_are_told_and_no_more(capfd: pytest.CaptureFixture[str]) -> None:
    Path("bluegreen.yaml").write_text(f"{APP}  urls: {CANARY}\n")
    assert main(["rollback"], calls=Ended()) == 0
    out, err = capfd.readouterr()
    assert "nobody was told: bluegreen.yaml:5: notify.urls must be a list, but is another text" in " ".join(out.split())
    assert CANARY not in out + err


def test_an_app_file_that_is_a_pipe_is_told_and_not_waited_for(capfd: pytest.CaptureFixture[str]) -> None:
    os.mkfifo("app")
    assert main(["rollback", "--app", "app"], calls=Ended()) == 0
    assert "nobody was told: app: it is no file but a pipe or a device" in " ".join(capfd.readouterr().out.split())


@pytest.mark.parametrize(
    "text",
    [
        f"  urls: {CANARY}\n",
        f"  urls: [{{a: {CANARY}}}]\n",
        f"  urls: [{CANARY}: x]\n",
        f"  urls: []\n  {CANARY}: x\n",
        f"  {CANARY}\n",
        f"  urls: []\n  on: [{CANARY}]\n",
        "  urls: [yes, 12, '']\n",
    ],
)
def test_an_error_about_the_addresses_repeats_nothing_of_them(text: str, capfd: pytest.CaptureFixture[str]) -> None:
    Path("bluegreen.yaml").write_text(APP + text)
    assert main(["deploy", "--image", "shop-api=a:v2"], calls=Ended()) == 2
    out, err = capfd.readouterr()
    assert CANARY not in out + err
    assert "bluegreen.yaml:" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["deploy", "--notify", "json://a/b", f"slack://{CANARY}/({CANARY})"],
            "unexpected extra argument (slack://...)",
        ),
        (["rollback", "--notify", "json://a/b", f"json://{CANARY}@a", "x"], "extra arguments (json://... x)"),
        ([f"slack://{CANARY}/{CANARY}", "rollback"], "there is no command slack://..."),
        (["rollback", "--to", f"slack://{CANARY}/b"], "'slack://...'"),
    ],
)
def test_an_address_in_the_wrong_place_is_not_repeated(
    words: list[str], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(words, calls=Ended()) == 2
    out, err = capfd.readouterr()
    assert CANARY not in out + err
    assert said in err


@pytest.mark.parametrize("first", ["--notify", "--notify="])
def test_a_fault_of_ours_keeps_no_address(first: str, capfd: pytest.CaptureFixture[str]) -> None:
    class Broken(Ended):
        def rollback(self, session: Session, *, to: Slot | None, cold: bool, reason: str, emit: Emit) -> ExitCode:
            raise RuntimeError(f"a fault with {session}")

    words = [f"{first}json://x/{CANARY}"] if first.endswith("=") else [first, f"json://x/{CANARY}"]
    assert main([*words, "rollback"], calls=Broken()) == 5
    out, err = capfd.readouterr()
    report = Path(next(word.rstrip(";") for word in err.split() if "bluegreen-fault-" in word))
    kept = report.read_text()
    report.unlink()
    assert CANARY not in out + err + kept


def bare(*words: str, said: str = "") -> str:
    """What a Python without any packages prints."""
    words = (sys.executable, "-S", *words)
    environment = {"PYTHONPATH": SOURCES}
    done = subprocess.run(words, input=said, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert CANARY not in done.stdout + done.stderr
    return done.stdout.strip()


SOURCES = str(Path(notices.__file__).parents[2])


def test_where_the_library_is_missing_it_is_said_before_the_first_write(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Event] = []
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    notices.check([f"json://h.example/{CANARY}"], None, emit=told.append)
    mend = f"install it: {sys.executable} -m pip install apprise"
    assert told == [Warned(text="nobody will be told by json://h.example: apprise is not installed", mend=mend)]


CHECK = """
import sys
sys.path.insert(0, {sources!r})
from bluegreen.notify import send
from bluegreen.wiring.notices import check
check(["json://h.example/{canary}"], None, emit=lambda event: print(event.text))
print("checked")
"""


def test_the_scripts_python_finds_the_library_that_its_children_will_find() -> None:
    """It is started without its own packages (devops/scripts/blue_green_deploy.sh)."""
    said = bare("-I", "-c", CHECK.format(sources=SOURCES, canary=CANARY))
    assert said == "checked"


def test_a_process_that_finds_no_library_says_so() -> None:
    wanted = {"url": f"json://127.0.0.1/{CANARY}", "title": "t", "text": "t", "kind": "info"}
    assert bare("-m", child.__name__, said=json.dumps(wanted)) == child.MISSING


def test_all_notices_of_a_run_take_ten_seconds_at_most() -> None:
    assert notices.LIMIT <= 10.0


def test_checking_finds_nothing_to_say_where_all_is_well() -> None:
    told: list[Event] = []
    notices.check(["json://h.example"], None, emit=told.append)
    assert told == []
    with pytest.raises(UsageError):
        notices.check(["nothing"], None, emit=told.append)


def test_nothing_that_may_be_logged_has_an_address_in_it() -> None:
    assert CANARY not in repr(notices.Contacts(urls=(CANARY,)))
    assert CANARY not in repr(Session(notify=(CANARY,)))
