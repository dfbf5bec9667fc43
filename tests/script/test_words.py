"""What a command line of the script means, and by which name it is called."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.script.kit import ROOT, SCRIPT, run

import launch
from bluegreen.cli.group import global_options


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ([], ["deploy"]),
        (["--backend-image", "a:v1"], ["deploy", "--backend-image", "a:v1"]),
        (["--help"], ["deploy", "--help"]),
        (["deploy", "--dry-run"], ["deploy", "--dry-run"]),
        (["rollback", "--to", "blue"], ["rollback", "--to", "blue"]),
        (["status"], ["status"]),
        (["--version"], ["--version"]),
        (["rolback"], ["rolback"]),
        (["--namespace", "shop", "rollback"], ["--namespace", "shop", "rollback"]),
        (["--namespace=shop", "--direct", "status"], ["--namespace=shop", "--direct", "status"]),
        (["--namespace", "shop", "--dry-run"], ["deploy", "--namespace", "shop", "--dry-run"]),
        (["--namespace", "rollback"], ["deploy", "--namespace", "rollback"]),
        (["--namespace"], ["deploy", "--namespace"]),
        (["--direct", "--backend-image", "status"], ["deploy", "--direct", "--backend-image", "status"]),
        (["--namespace", "shop", "--version"], ["--namespace", "shop", "--version"]),
        (["--to", "blue", "rollback"], ["deploy", "--to", "blue", "rollback"]),
    ],
)
def test_the_first_word_is_a_command_or_deploy_is_meant(words: list[str], meant: list[str]) -> None:
    assert launch.command_line(words) == meant


def test_the_options_of_every_command_are_those_of_the_program() -> None:
    """launch.py is read before the program can be imported, so it has a list of its own."""
    options = {(option.opts[0], option.is_flag) for option in global_options()}

    assert {name for name, flag in options if not flag} == launch.OF_EVERY_COMMAND
    assert {name for name, flag in options if flag} == launch.FLAGS


def test_a_command_that_does_not_exist(prepared: dict[str, str]) -> None:
    done = run(["rolback"], prepared)

    assert done.code == 2
    assert done.err.endswith("error: there is no command rolback\n  did you mean rollback?\n")


@pytest.mark.parametrize("shell", ["", "dash", "bash", "bash --posix"])
def test_shells(shell: str, prepared: dict[str, str]) -> None:
    words = [*shell.split(), SCRIPT, "rollback", "--help"]
    done = run(words[1:], prepared, script=words[0])

    assert done.code == 0, done.err
    assert done.out.startswith(f"Usage: {SCRIPT} rollback [OPTIONS]\n")


def test_from_its_own_folder(prepared: dict[str, str]) -> None:
    folder = (ROOT / SCRIPT).parent
    usage = "Usage: ./blue_green_deploy.sh [OPTIONS]\n"

    assert run(["--help"], prepared, cwd=folder, script="./blue_green_deploy.sh").out.startswith(usage)
    assert run(["blue_green_deploy.sh", "--help"], prepared, cwd=folder, script="sh").out.startswith(usage)


def test_through_links(prepared: dict[str, str], tmp_path: Path) -> None:
    first, second = tmp_path / "my tools" / "deploy", tmp_path / "deploy"
    first.parent.mkdir()
    first.symlink_to(ROOT / SCRIPT)
    second.symlink_to("my tools/deploy")

    assert run(["--help"], prepared, cwd=tmp_path, script="./deploy").out.startswith("Usage: ./deploy [OPTIONS]\n")
    assert run(["--help"], prepared, cwd=tmp_path, script=str(first)).out.startswith(f"Usage: '{first}' [OPTIONS]\n")
