"""Start scripts and logs: what a program is given, run by a real shell; and what is kept of its output."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bluegreen.platforms.local import processes
from bluegreen.platforms.local.logs import Follower, bound_all, last_line, last_lines, last_words, tail
from bluegreen.platforms.local.programs import (
    Program,
    clean_environment,
    program_conf,
    replica_environment,
    script_text,
)

if TYPE_CHECKING:
    from pathlib import Path

PRINT = ("/bin/sh", "-c", 'printf "%s" "$VALUE"')


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("state")
    for name in ("logs", "pids"):
        (found / name).mkdir()
    return found


def run(folder: Path, program: Program) -> str:
    """Run the script as supervisord does; what the program wrote into its log."""
    log = folder / "logs" / f"{program.name}.log"
    log.unlink(missing_ok=True)
    subprocess.run(
        ["/bin/sh", "-c", script_text(program)], cwd=folder, check=True, timeout=10, stdout=subprocess.DEVNULL
    )
    start, _, output = log.read_text().partition("\n")
    assert start == f"bluegreen: start of {program.name} {program.about}".rstrip()
    return output


@pytest.mark.slow
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=40))
def test_any_value_reaches_the_program_as_it_is(folder: Path, value: str) -> None:
    assert run(folder, Program(name="web", argv=PRINT, environment=(("VALUE", value),))) == value


def test_a_program_starts_in_its_folder_and_leaves_its_own_pid(folder: Path) -> None:
    place = folder / "it's a %(odd)s; place"
    place.mkdir()
    output = run(folder, Program(name="web", argv=("/bin/sh", "-c", "pwd; echo $$"), folder=str(place), about="v1"))

    where, pid = output.split("\n")[:2]
    assert where == str(place)
    assert (folder / "pids" / "web").read_text().splitlines()[0] == pid


def test_a_pid_file_names_one_process_for_ever(folder: Path) -> None:
    path = folder / "pids" / "me"
    processes.record(path, os.getpid())
    found = processes.recorded(path)
    assert found is not None
    assert found.alive()

    path.write_text(f"{os.getpid()}\nanother start\n")
    assert processes.recorded(path) is None
    path.write_text("rubbish")
    assert processes.recorded(path) is None


def test_the_shell_waits_for_a_program_that_needs_a_parent(folder: Path) -> None:
    program = Program(name="child", argv=("/bin/sh", "-c", "echo $PPID"), kept_by_shell=True)

    assert run(folder, program).strip() == (folder / "pids" / "child").read_text().splitlines()[0]


def test_the_environment_is_clean_and_ours_holds() -> None:
    kept = clean_environment({"PATH": "/bin", "KUBECONFIG": "x", "GITHUB_TOKEN": "x", "LC_ALL": "C", "SLOT": "red"})
    assert kept == {"PATH": "/bin", "LC_ALL": "C"}
    seen = replica_environment(
        own=[("SLOT", "red"), ("MODE", "fast")], port=8000, slot="green", version="v1", peers=[("API", "http://x")]
    )
    assert dict(seen) == {
        "SLOT": "green",
        "MODE": "fast",
        "API": "http://x",
        "HOST": "127.0.0.1",
        "PORT": "8000",
        "VERSION": "v1",
    }


def test_supervisord_is_told_no_path() -> None:
    text = program_conf(Program(name="web-blue-0", argv=("x",), folder="/some/%path", grace=1.5))

    assert "/some" not in text
    assert "stopwaitsecs=2\n" in text


def test_excerpts_are_bounded_and_without_control_characters(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    assert tail(log) == ""
    log.write_bytes(b"x" * 9000 + b"\n\x1b[31mred\x1b[0m\a\tend\xff\n\n")

    assert last_lines(log, count=1) == ("[31mred[0m\tend\N{REPLACEMENT CHARACTER}",)
    assert len(tail(log)) <= 4096


def test_the_last_line_tells_no_secret(tmp_path: Path) -> None:
    """It is the cause of the end: on the screen, in the journal, in the report and in the notice."""
    log = tmp_path / "a.log"
    log.write_text("cannot connect to postgres://ann:canary@db/shop\n")
    assert last_line(log) == "cannot connect to postgres://ann:***@db/shop"


def test_a_life_that_said_nothing_has_no_last_line(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    log.write_text("bluegreen: start of web v1\nold words\nbluegreen: start of web v1\n")
    assert last_line(log) == ""
    log.write_text("bluegreen: start of web v1\nnew words\n")
    assert last_line(log) == "new words"


def test_an_excerpt_is_of_one_version_with_all_its_starts(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    one, two = "bluegreen: start of web v1", "bluegreen: start of web v2"
    log.write_text(f"{two}\nlong ago\n{one}\nran well\n{two}\nbad\n{two}\nbad again\n")

    assert last_lines(log, count=10) == (two, "bad", two, "bad again")
    assert last_lines(log, count=2) == (two, "bad again")
    assert last_words(log, count=2) == ("bad", "bad again")


def test_a_log_is_bounded_while_its_program_writes(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    with log.open("a") as program:
        program.write("x" * 2000)
        program.flush()
        bound_all(tmp_path, limit=1000)
        program.write("after")
        program.flush()

    assert log.read_text() == "after"
    assert (tmp_path / "web.log.1").stat().st_size == 1000


def test_of_a_log_that_ran_away_the_end_alone_is_kept(tmp_path: Path) -> None:
    (tmp_path / "web.log").write_text("x" * 5000 + "y" * 1000)
    bound_all(tmp_path, limit=1000)
    assert (tmp_path / "web.log.1").read_text() == "y" * 1000


def test_a_log_that_has_filled_the_disk_is_cut_all_the_same(tmp_path: Path) -> None:
    """There is no room for a copy: without the cut there never would be."""
    log = tmp_path / "web.log"
    log.write_text("x" * 2000)
    (tmp_path / "web.log.1").symlink_to("/dev/full")
    bound_all(tmp_path, limit=1000)
    assert log.stat().st_size == 0


def test_a_follower_reads_whole_lines_across_the_turning_of_the_log(tmp_path: Path) -> None:
    log = tmp_path / "supervisord.log"
    log.write_text("before\n")
    follower = Follower(log)
    with log.open("a") as writer:
        writer.write("one\ntwo")
        writer.flush()
        assert list(follower.lines()) == ["one"]
        writer.write(" and more\n")
        writer.flush()
    assert list(follower.lines()) == ["two and more"]
    log.rename(tmp_path / "supervisord.log.1")
    log.write_text("new file\n")

    assert list(follower.lines()) == ["new file"]
    assert list(follower.lines()) == []


def test_a_follower_goes_on_when_somebody_has_emptied_the_log(tmp_path: Path) -> None:
    """As one does by hand on a full disk; what comes after must not be unheard until the log is as long again."""
    log = tmp_path / "supervisord.log"
    log.write_text("a long line of what was before\n")
    follower = Follower(log)
    with log.open("a") as writer:
        writer.write("half a li")
        writer.flush()
        assert list(follower.lines()) == []
        os.truncate(log, 0)
        writer.write("new\n")
        writer.flush()

    assert list(follower.lines()) == ["new"]
