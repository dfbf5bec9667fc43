"""Told to stop, overtaken, or cut off from its reader: users are where they were, and the next command works.

The cases share one stack and leave it as they found it or one release further; each compares with what was before.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

import pytest

from bluegreen.domain.release import Entry, RollbackBegan
from bluegreen.domain.stack import Slot
from bluegreen.platforms.local.journal import LocalJournal
from bluegreen.platforms.local.layout import Layout
from bluegreen.platforms.local.store import open_store
from harness import LocalStack, images_of, services

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.local, pytest.mark.slow, pytest.mark.soak]

LIMIT = 120.0
"""Seconds in which an interrupted command has ended and put the idle slot in order, on a machine that is busy."""
REPLICAS = 2
SAFE = 7.5
"""Seconds after which a cancelled GitHub job gets a SIGTERM; users have to be safe by then."""
KILLED = 2.5
"""Seconds from there to its SIGKILL."""

BEFORE_THE_SWITCH = "interrupted before the switch"
ROLLED_BACK = "rolled back"
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}

WINDOW = ("--validation-time", "30")
PHASES = {
    "deploy": ("v2", {BEFORE_THE_SWITCH}),
    "validate": ("never", {BEFORE_THE_SWITCH}),
    "switch": ("v2", {BEFORE_THE_SWITCH, ROLLED_BACK}),
    "observe": ("v2", {ROLLED_BACK}),
}
"""What is deployed so that the phase lasts, and how it may end. A switch takes 40 ms: the signal may come after it."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """One stack; ``never`` is a version that is never ready, the others are good."""
    stack = LocalStack(tmp_path_factory.mktemp("shared") / "alfred")
    stack.app.write_text(stack.app.read_text().replace('LAME_DUCK_SECONDS: "2"', 'LAME_DUCK_SECONDS: "0.5"'))
    for tag in ("v1", "v2", "v3", "v4"):
        stack.image(tag)
    stack.image("never", fault="never-ready")
    try:
        stack.up("v1")
        yield stack
        assert "Traceback" not in (stack.state / "logs" / "agent.log").read_text()
    finally:
        stack.run("down", "--purge")


def place(stack: LocalStack) -> dict[str, Any]:
    """Where users are, and what each slot holds; how much of it is ready, a busy machine's probes say (``warm``)."""
    status = stack.standing()
    kept = {name: status[name] for name in ("serving", "split", "slots", "unfinished")}
    assert kept["split"] == "", status
    return kept


def warm(stack: LocalStack) -> bool:
    """Whether all replicas of both slots are ready, within a busy machine's moment."""
    deadline = time.monotonic() + LIMIT
    while not all(service["ready"] == service["replicas"] == REPLICAS for service in services(stack.status())):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def unfinished(stack: LocalStack) -> object:
    return stack.status()["unfinished"]


class Deploy:
    """A deploy that runs, and its events so far."""

    def __init__(self, stack: LocalStack, tag: str, *words: str) -> None:
        """Start it."""
        self.process = stack.start(
            *("deploy", *images_of(tag), *(words or WINDOW), "--output", "json"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.events: list[dict[str, Any]] = []

    @property
    def out(self) -> IO[str]:
        """Its JSON lines."""
        assert self.process.stdout is not None
        return self.process.stdout

    def reach(self, phase: str) -> None:
        """Wait until the phase begins."""
        self._reach(lambda event: event["event"] == "phase_began" and event["phase"] == phase, what=phase)

    def begin_staging(self) -> None:
        """Wait until what runs in the idle slot is ended; before that the slot may have to serve on for a while."""
        self._reach(lambda event: "what runs in" in str(event.get("wants")), what="staging")

    def _reach(self, there: Callable[[dict[str, Any]], bool], *, what: str) -> None:
        for line in self.out:
            self.events.append(json.loads(line))
            if there(self.events[-1]):
                return
        raise AssertionError(f"it ended without {what}: {self.events}\n{self.errors()}")

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def end(self) -> int:
        """Wait for its end; its exit code."""
        out, err = self.process.communicate(timeout=LIMIT)
        self.events += [json.loads(line) for line in out.splitlines()]
        assert "Traceback" not in err, err
        return self.process.returncode

    def errors(self) -> str:
        """What it has said on the standard error."""
        return self.process.stderr.read() if self.process.stderr is not None else ""

    @property
    def summary(self) -> dict[str, Any]:
        """Its last event."""
        assert self.events[-1]["event"] == "summary", self.events[-1]
        return self.events[-1]


@contextmanager
def deploying(stack: LocalStack, tag: str, *words: str) -> Iterator[Deploy]:
    """A deploy; what a failing test has left of it is ended."""
    deploy = Deploy(stack, tag, *words)
    try:
        yield deploy
    finally:
        if deploy.process.poll() is None:
            deploy.process.kill()
            deploy.process.communicate()


def idle_tag(stack: LocalStack) -> str:
    """A good version that no slot holds."""
    held = {service["image"].rpartition(":")[2] for service in services(stack.status())}
    return next(tag for tag in ("v2", "v3", "v4") if tag not in held)


def next_deploy_works(stack: LocalStack) -> None:
    before, tag = stack.status()["serving"], idle_tag(stack)
    stack.deploy(tag, "--validation-time", "0")
    after = place(stack)
    assert after["serving"] != before
    assert after["unfinished"] is None
    assert warm(stack), stack.status()


def version_for(stack: LocalStack, phase: str) -> str:
    return "never" if PHASES[phase][0] == "never" else idle_tag(stack)


@pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)
@pytest.mark.parametrize("phase", PHASES)
def test_interrupted_in_each_phase(phase: str, number: signal.Signals, shared: LocalStack) -> None:
    before = place(shared)
    with deploying(shared, version_for(shared, phase)) as deploy:
        deploy.reach(phase)
        deploy.signal(number)
        code = deploy.end()
    assert code == CODES[number], deploy.events[-3:]
    assert deploy.summary["exit_code"] == code
    assert deploy.summary["outcome"] in PHASES[phase][1]
    assert "is warm with what it held before" in deploy.summary["way_back"]
    assert f"interrupted by {number.name}" in " ".join(deploy.summary["details"])
    assert place(shared) == before
    assert warm(shared), shared.status()


@pytest.mark.parametrize("phase", ["deploy", "observe"])
def test_interrupted_twice(phase: str, shared: LocalStack) -> None:
    """The second ends the cleaning up at once; users are where they were, and it is said what is left."""
    before = place(shared)
    with deploying(shared, version_for(shared, phase)) as deploy:
        deploy.reach(phase)
        if phase == "deploy":
            deploy.begin_staging()
        deploy.signal(signal.SIGINT)
        deploy.reach("restore")
        deploy.signal(signal.SIGINT)
        code = deploy.end()
    assert code == 130
    assert deploy.summary["outcome"] in PHASES[phase][1]
    warned = [event["text"] for event in deploy.events if event["event"] == "warned"]
    assert any("did not get its previous images back: interrupted by SIGINT" in text for text in warned), warned
    after = place(shared)
    assert (after["serving"], after["unfinished"]) == (before["serving"], None)
    next_deploy_works(shared)


@pytest.mark.parametrize("phase", ["deploy", "validate", "observe"])
def test_cancelled_as_github_does_it(phase: str, shared: LocalStack) -> None:
    """SIGINT, 7.5 s, SIGTERM, 2.5 s, SIGKILL: users are safe before the second."""
    before = place(shared)
    with deploying(shared, version_for(shared, phase)) as deploy:
        deploy.reach(phase)
        deploy.signal(signal.SIGINT)
        _end_within(deploy, SAFE)
        assert shared.status()["serving"] == before["serving"]
        deploy.signal(signal.SIGTERM)
        _end_within(deploy, KILLED)
        deploy.signal(signal.SIGKILL)
        code = deploy.end()
    assert code in {130, -signal.SIGKILL}
    after = place(shared)
    assert after["serving"] == before["serving"]
    next_deploy_works(shared)


IN_A_TERMINAL = """
import fcntl, os, signal, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests may do so under nohup
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_its_terminal_is_closed(shared: LocalStack) -> None:
    """As when a connection is lost in the window: users go back, though nobody is there to be told."""
    before = place(shared)
    ours, theirs = pty.openpty()
    words = shared.command("deploy", *images_of(idle_tag(shared)), *WINDOW)
    process = subprocess.Popen(
        [sys.executable, "-c", IN_A_TERMINAL, *words],
        cwd=shared.folder,
        env=shared.environment(),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    try:
        os.close(theirs)
        said = b""
        while b"observe" not in said.partition(b"proof")[2]:
            said += os.read(ours, 4096)  # OSError: it has ended
        os.close(ours)
        assert process.wait(LIMIT) == 143, said.decode()
    finally:
        process.kill()
        process.wait()
    assert place(shared) == before
    assert warm(shared), shared.status()
    assert "interrupted by SIGHUP" in shared.must("show").out
    next_deploy_works(shared)


def _end_within(deploy: Deploy, seconds: float) -> None:
    """Wait for its end, but no longer than this; either is right."""
    deadline = time.monotonic() + seconds
    while deploy.process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)


@pytest.mark.parametrize("phase", PHASES)
def test_a_rollback_overtakes_a_deploy_in_each_phase(phase: str, shared: LocalStack) -> None:
    """It waits for nobody; the deploy yields; users are on the slot that was active."""
    before = place(shared)
    with deploying(shared, version_for(shared, phase)) as deploy:
        deploy.reach(phase)
        back = shared.must("rollback")
        code = deploy.end()
    assert deploy.summary["exit_code"] == code
    assert (code, deploy.summary["outcome"]) in {(5, "yielded to another run"), (3, ROLLED_BACK)}, deploy.summary
    assert "took over" in " ".join(deploy.summary["details"]) or "was moved to" in " ".join(deploy.summary["details"])
    after = place(shared)
    assert (after["serving"], after["unfinished"]) == (before["serving"], None), back.out
    if phase in {"deploy", "validate"}:
        assert after == before, back.out
    next_deploy_works(shared)


def test_three_rollbacks_at_once(shared: LocalStack) -> None:
    """All end well, and users are back: another press of the button does not undo the first."""
    before = place(shared)["serving"]
    shared.deploy(idle_tag(shared), "--validation-time", "0")
    presses = [shared.start("rollback", stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)]
    outs = [process.communicate(timeout=LIMIT) for process in presses]
    assert [process.returncode for process in presses] == [0, 0, 0], outs
    after = place(shared)
    assert (after["serving"], after["unfinished"]) == (before, None)
    next_deploy_works(shared)


def test_users_who_are_brought_back_by_a_deploy_that_is_refused_are_told_of(shared: LocalStack) -> None:
    """A rollback was killed after its first entry; the deploy that ends it has an image that does not exist."""
    serving = Slot(str(place(shared)["serving"]))
    began = RollbackBegan(to=serving, of="", who="ann@laptop")
    with open_store(Layout(shared.state)) as store:
        LocalJournal(store).record(Entry(run="b-killed", at=time.time(), body=began))
    refused = shared.run("deploy", *images_of("none"), "--notify", "json://127.0.0.1:9")
    assert refused.code == 2, refused.out
    said = " ".join(refused.out.split())
    assert f"users are on {serving} again: the rollback was stopped in the middle" in said
    assert said.endswith("not told by json://127.0.0.1: it was not taken: no answer, or a refusal")
    next_deploy_works(shared)


@pytest.mark.parametrize("output", ["text", "json"])
def test_its_reader_goes_away(output: str, shared: LocalStack) -> None:
    """``bluegreen deploy | head -1``: the release is carried through all the same."""
    before, tag = place(shared)["serving"], idle_tag(shared)
    words = ("deploy", *images_of(tag), "--validation-time", "1", "--output", output)
    with shared.start(*words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
        code = process.wait(LIMIT)
    assert (code, err) == (0, "")
    assert place(shared)["serving"] != before


def test_its_reader_does_not_read(shared: LocalStack) -> None:
    """A full pipe holds up no phase: users are on the new version long before the command gives up its last words."""
    before, tag = place(shared)["serving"], idle_tag(shared)
    reader, writer = os.pipe()
    try:
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
        os.write(writer, b"x" * 4096)
        process = shared.start("deploy", *images_of(tag), "--validation-time", "1", stdout=writer, stderr=writer)
        try:
            deadline = time.monotonic() + LIMIT
            while shared.status()["serving"] == before:
                assert process.poll() is None, "it has given up its last words, and users are where they were"
                assert time.monotonic() < deadline, f"users are not on the new version within {LIMIT:g} s"
                time.sleep(0.1)
            assert process.wait(LIMIT) == 0
        finally:
            process.kill()
            process.wait()
    finally:
        os.close(reader)
        os.close(writer)
    after = place(shared)
    assert (after["serving"] != before, after["unfinished"]) == (True, None)
