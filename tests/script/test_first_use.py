"""First use: from a checkout and Python to a command that runs, and every way in which that can go wrong."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from tests.script.kit import (
    BY_HAND,
    LIMIT,
    LOCK,
    ROOT,
    SCRIPT,
    Done,
    Index,
    Way,
    cache,
    complete,
    environment,
    listing,
    run,
    start,
    tools_on_path,
)

from first_use.lock import parse

if TYPE_CHECKING:
    from collections.abc import Callable

USAGE = f"Usage: {SCRIPT} [OPTIONS]\n"
FIRST = "bluegreen: setting itself up in {}"
HIDDEN = "canary-5f2a"
PIN = next(str(pin) for pin in parse(LOCK.read_text()) if pin.name == "msgspec")


def refused(done: Done, *, code: int, error: str, mend: str) -> None:
    """One line that says what, one that says what to do, then the way back by hand; nothing on the standard output."""
    lines = [line for line in done.err.splitlines() if not line.startswith("bluegreen: ")]
    assert (done.code, done.out) == (code, ""), done.err
    assert lines[0].startswith("error: "), done.err
    assert error in lines[0]
    assert mend in lines[1]
    assert "\n".join(lines[3:]) == BY_HAND.rstrip()


def test_first_and_second_use(env: dict[str, str], home: Path, index: Index) -> None:
    first = run(["--help"], env)
    fetched = len(index.asked)
    second = run(["--help"], env)

    assert (first.code, second.code) == (0, 0), first.err
    assert first.out.startswith(USAGE)
    assert second.out == first.out
    assert FIRST.format(cache(home)) in first.err
    assert second.err == ""
    assert fetched >= 8, "four pages and four files"
    assert len(index.asked) == fetched, "the second use fetches nothing"
    assert len(complete(cache(home))) == 1


def test_first_use_with_its_streams_closed(env: dict[str, str], home: Path) -> None:
    done = run(["-c", f"exec {SCRIPT} --version >&- 2>&-"], env, script="sh")

    assert (done.code, done.out, done.err) == (0, "", "")
    assert len(complete(cache(home))) == 1


@pytest.mark.parametrize("kind", ["json", "html", "password", "find-links", "pip.conf"])
def test_without_pip(kind: str, without_pip: dict[str, str], index: Index, home: Path, files: Path) -> None:
    """The own downloader: both kinds of pages, an index with a password, a folder, and pip's configuration file."""
    env = dict(without_pip)
    match kind:
        case "html":
            index.html = True
        case "password":
            index.password = f"me:{HIDDEN}@/"
            env["PIP_INDEX_URL"] = index.address.replace("://", f"://me:{HIDDEN}%40%2F@")
        case "find-links":
            env |= {"PIP_FIND_LINKS": str(files), "PIP_NO_INDEX": "1"}
        case "pip.conf":
            (home / "pip.conf").write_text(f"[global]\nindex-url = {index.address}\ntrusted_host =\n  127.0.0.1\n")
            env |= {"PIP_CONFIG_FILE": str(home / "pip.conf"), "PIP_INDEX_URL": ""}
    done = run(["--help"], env)

    assert done.code == 0, done.err
    assert done.out.startswith(USAGE)
    assert HIDDEN not in done.err
    assert len(complete(cache(home))) == 1
    assert bool(index.asked) == (kind != "find-links")


@pytest.mark.soak
def test_both_ways_give_the_same_modules(env: dict[str, str], without_pip: dict[str, str], tmp_path: Path) -> None:
    by_pip, by_us = tmp_path / "by-pip", tmp_path / "by-us"
    assert run(["--version"], {**env, "XDG_CACHE_HOME": str(by_pip)}).code == 0
    assert run(["--version"], {**without_pip, "XDG_CACHE_HOME": str(by_us)}).code == 0

    def modules(root: Path) -> dict[str, str]:
        found = listing(next((root / "bluegreen").glob("cpython-*/packages")))
        return {name: content for name, content in found.items() if ".dist-info" not in name}

    assert modules(by_us) == modules(by_pip)
    assert "click/__init__.py" in modules(by_us)


@pytest.mark.soak
def test_pip_as_python_keeps_it(env: dict[str, str], home: Path, tmp_path: Path) -> None:
    """No pip is installed, but Python has the copy that ensurepip would install."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True, timeout=LIMIT)
    done = run(["--help"], {**env, "PATH": f"{tmp_path}/venv/bin:/usr/bin:/bin"})

    assert done.code == 0, done.err
    assert len(complete(cache(home))) == 1


@pytest.mark.soak
def test_the_pip_of_another_python(without_pip: dict[str, str], home: Path, tmp_path: Path) -> None:
    """It works for ours, and for ours only: an extension of ours can be loaded afterwards."""
    (tmp_path / "path" / "pip3").symlink_to(Path(sys.executable).with_name("pip3"))
    done = run(["schema"], {**without_pip, "PIP_QUIET": "1"})

    assert done.code == 0, done.err
    assert '"$schema"' in done.out
    assert list(cache(home).glob("cpython-*/packages/*.dist-info/INSTALLER")), "pip has installed them"


@pytest.mark.soak
@pytest.mark.parametrize("fault", ["down", "refuses", "spoiled", "empty"])
def test_an_index_that_does_not_deliver(fault: str, way: Way, index: Index, home: Path, tmp_path: Path) -> None:
    env, mend = way.env, "see that this machine reaches its package index"
    match fault:
        case "down":
            env = {**env, "PIP_INDEX_URL": f"http://me:{HIDDEN}@127.0.0.1:9/simple/"}
            error = "its packages could not be fetched: http://127.0.0.1:9/simple/click/: Connection refused"
        case "refuses":
            index.status = 403
            error = f"its packages could not be fetched: {index.address}click/: 403 Forbidden"
        case "spoiled":
            index.spoiled = "msgspec"
            error, mend = f"{PIN} is not the file that requirements/kubernetes.lock names: its SHA-256", "do not use it"
        case _:
            index.files = tmp_path
            error, mend = "the package index has no ready-made click==", "use another Python"
    done = run(["--backend-image", "alfredai/backend:v2"], env)

    refused(done, code=6, error=error, mend=mend)
    assert HIDDEN not in done.err
    assert complete(cache(home)) == []


@pytest.mark.parametrize("address", [f"http://me:{HIDDEN}@[x/", "http://exa..mple/simple"])
def test_an_address_that_is_none(address: str, without_pip: dict[str, str]) -> None:
    done = run(["--version"], {**without_pip, "PIP_INDEX_URL": address})

    refused(done, code=6, error="its packages could not be fetched", mend="PIP_INDEX_URL")
    assert HIDDEN not in done.err


def test_without_pip_and_without_a_named_index(without_pip: dict[str, str]) -> None:
    refused(
        run([], {**without_pip, "PIP_INDEX_URL": ""}),
        code=6,
        error="this Python has no pip, and no package index is named",
        mend="name one in PIP_INDEX_URL, or install pip",
    )


def test_the_checkout_is_not_written(env: dict[str, str], tmp_path: Path) -> None:
    checkout = tmp_path / "read only"
    for part in ("src", "devops", "requirements"):
        shutil.copytree(ROOT / part, checkout / part, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    before = listing(checkout)
    for path in checkout.rglob("*"):
        path.chmod(path.stat().st_mode & ~0o222)
    try:
        first = run(["--help"], env, cwd=checkout)
        second = run(["--help"], env, cwd=checkout)
        after = listing(checkout)
    finally:
        for path in [checkout, *checkout.rglob("*")]:
            path.chmod(path.stat().st_mode | 0o200)

    assert (first.code, second.code) == (0, 0), first.err
    assert after == before
    compiled = next(Path(env["HOME"]).glob(".cache/bluegreen/cpython-*/compiled"))
    assert list(compiled.rglob("bluegreen/cli/deploy.*.pyc")), "compiled code is kept elsewhere"


@pytest.mark.soak
def test_a_home_that_cannot_be_written(env: dict[str, str], tmp_path: Path) -> None:
    """A private folder takes its place; the second use finds it."""
    env = {**env, "HOME": "/proc/none", "TMPDIR": str(tmp_path)}
    first, second = run(["--version"], env), run(["--version"], env)

    private = tmp_path / f"bluegreen-{os.geteuid()}"
    assert (first.code, second.code, second.err) == (0, 0, ""), first.err
    assert private.stat().st_mode & 0o077 == 0
    assert len(complete(private)) == 1


def test_a_private_folder_that_somebody_else_has_made(env: dict[str, str], tmp_path: Path) -> None:
    """Whoever can write there could have put anything into it: it is neither used nor filled."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (tmp_path / f"bluegreen-{os.geteuid()}").symlink_to(theirs)
    done = run(["--version"], {**env, "HOME": "/proc/none", "TMPDIR": str(tmp_path)})

    refused(done, code=2, error="there is no folder for its packages", mend="XDG_CACHE_HOME")
    assert list(theirs.iterdir()) == []


@pytest.mark.soak
def test_two_jobs_at_once(env: dict[str, str], home: Path, index: Index) -> None:
    """All four fetch at the same time; each runs, one folder is left, and nobody has waited for another."""
    index.hold.clear()
    jobs = [start(["--version"], env) for _ in range(4)]
    try:
        wait_until(lambda: sum(path.endswith(".whl") for path in index.asked) >= 4, "all four fetch a file")
        index.hold.set()
        ended = [(*job.communicate(timeout=LIMIT), job.returncode) for job in jobs]
    finally:
        end_all(jobs)

    assert [code for _, _, code in ended] == [0, 0, 0, 0], ended
    assert len({out for out, _, _ in ended}) == 1
    assert len(complete(cache(home))) == 1


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait until it holds. Fails with what it was."""
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline, f"not within {LIMIT:.0f} s: {what}"
        time.sleep(0.02)


def end_all(jobs: list[subprocess.Popen[str]]) -> None:
    for job in jobs:
        for child in psutil.Process(job.pid).children(recursive=True) if job.poll() is None else []:
            child.kill()
        job.kill()
        job.communicate()


@pytest.mark.soak
def test_it_says_that_it_still_waits(way: Way, index: Index) -> None:
    index.hold.clear()
    job = start(["--version"], way.env)
    try:
        assert job.stderr is not None
        assert job.stderr.readline().startswith("bluegreen: setting itself up")
        assert job.stderr.readline() == "bluegreen: still fetching its packages, 5 s\n"
        index.hold.set()
        out, err = job.communicate(timeout=LIMIT)
    finally:
        end_all([job])

    assert (job.returncode, out.startswith("bluegreen ")) == (0, True)
    assert err.splitlines()[-1].startswith("bluegreen: ready after ")  # a busy machine may say once more that it waits


@pytest.mark.soak
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_while_it_fetches(number: signal.Signals, code: int, way: Way, home: Path, index: Index) -> None:
    """The signal goes to the script alone. Nothing is left: no half folder, no pip that goes on."""
    index.hold.clear()
    job = start(["--version"], {**way.env, "KUBECONFIG": HIDDEN, "BLUEGREEN_NOTIFY": f"slack://{HIDDEN}"})
    try:
        assert index.waiting.wait(LIMIT)
        children = psutil.Process(job.pid).children(recursive=True)
        assert len(children) == int(way.pip)
        assert all(HIDDEN not in str(child.environ()) for child in children), "a secret went to pip"
        job.send_signal(number)
        out, err = job.communicate(timeout=LIMIT)
    finally:
        end_all([job])

    assert (job.returncode, out) == (code, ""), err
    assert "Traceback" not in err
    assert complete(cache(home)) == []
    assert not any(child.is_running() for child in children)


@pytest.mark.soak
def test_killed_while_it_fetches(env: dict[str, str], home: Path, index: Index) -> None:
    """The next one starts anew; what is left of the killed one goes once it is old."""
    index.hold.clear()
    job = start(["--version"], env)
    try:
        assert index.waiting.wait(LIMIT)
        children = psutil.Process(job.pid).children(recursive=True)
        job.kill()
        for child in children:
            child.kill()
    finally:
        end_all([job])
    index.hold.set()
    (left,) = cache(home).glob(".unfinished-*")

    assert run(["--version"], env).code == 0
    assert left.exists(), "it may be another job's that is still at work"
    shutil.rmtree(next(cache(home).glob("cpython-*")))
    os.utime(left, (0, 0))
    assert run(["--version"], env).code == 0
    assert len(complete(cache(home))) == 1


@pytest.mark.soak
def test_another_lock_gets_a_folder_of_its_own(env: dict[str, str], home: Path, tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    for part in ("src", "devops"):
        shutil.copytree(ROOT / part, checkout / part, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    (checkout / "requirements").mkdir()
    (checkout / "requirements" / LOCK.name).write_text(f"# another\n{LOCK.read_text()}")

    assert run(["--version"], env).code == 0
    assert run(["--version"], env, cwd=checkout).code == 0
    assert len(complete(cache(home))) == 2


def old_python(folder: Path, name: str) -> None:
    """A program that says what an old Python would."""
    program = folder / name
    program.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2" && exit 0\nexit 1\n')
    program.chmod(0o755)


@pytest.mark.parametrize("found", ["Python 3.9.2", "there is no python3"])
def test_without_a_python(found: str, home: Path, tmp_path: Path) -> None:
    path = tools_on_path(tmp_path / "path")
    if found == "Python 3.9.2":
        old_python(Path(path), "python3")
    done = run(["--backend-image", "alfredai/backend:v2"], environment(home, PATH=path))

    refused(
        done,
        code=2,
        error=f"Python 3.11 or newer is needed, and none is on the PATH ({found})",
        mend="install one, or put it on the PATH",
    )


@pytest.mark.soak
def test_a_newer_python_beside_an_old_one(env: dict[str, str], tmp_path: Path) -> None:
    path = tools_on_path(tmp_path / "path", python=Path(sys.executable), name="python3.13")
    old_python(Path(path), "python3")

    assert run(["--version"], {**env, "PATH": path}).code == 0


@pytest.mark.soak
def test_the_python_that_worked_is_gone(env: dict[str, str], home: Path) -> None:
    note = cache(home) / "python"
    assert run(["--version"], env).code == 0
    assert Path(note.read_text().strip()).is_file()
    note.write_text("/none/python3\n")

    done = run(["--version"], env)
    assert (done.code, done.err) == (0, "")
    assert Path(note.read_text().strip()).is_file()


def test_a_folder_that_somebody_has_tidied_up(env: dict[str, str], home: Path) -> None:
    assert run(["--version"], env).code == 0
    (folder,) = cache(home).glob("cpython-*")
    shutil.rmtree(folder / "packages" / "click")
    done = run(["--version"], env)

    assert (done.code, done.out) == (2, "")
    assert done.err == f"error: click is missing in {folder}\n  remove that folder; the next run makes it\n"
    shutil.rmtree(folder)
    assert run(["--version"], env).code == 0
