"""Images for one machine: folders whose ``run`` starts the service they are named for."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.docs.kit import commands
from tests.examples.kit import EXAMPLE, eventually

from images import ImageError, make_image

if TYPE_CHECKING:
    from pathlib import Path

    from tests.docs.kit import commands
from tests.examples.kit import Launcher

ENV = {"PORT": "0", "SLOT": "green", "VERSION": "v2", "PYTHONPATH": "", "ALFRED_FAULT": "errors=100"}


def images(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLE / "images.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)


@pytest.mark.slow
def test_both_images_run_and_the_gateway_is_the_faulty_one(tmp_path: Path, launch: Launcher) -> None:
    made = images("--into", str(tmp_path), "--tag", "v2", "--fault", "errors=50")
    folders = [tmp_path / "alfredai" / service / "v2" for service in ("backend", "gateway")]
    assert (made.returncode, made.stderr) == (0, "")
    assert made.stdout.splitlines() == [str(folder) for folder in folders]
    backend = launch.run([str(folders[0] / "run")], ENV)
    gateway = launch.run([str(folders[1] / "run")], {**ENV, "BACKEND_URL": backend.url})
    assert [gateway.ask("/api/work").status for _ in range(4)] == [200, 500, 200, 500]
    assert gateway.ask("/healthz").who == ("green", "v2")


@pytest.mark.slow
def test_a_run_program_becomes_the_service(tmp_path: Path, launch: Launcher) -> None:
    folder = make_image(tmp_path, service="backend", tag="v1")
    backend = launch.run([str(folder / "run")], {**ENV, "LAME_DUCK_SECONDS": "0"})
    assert backend.ask("/api/work").status == 200, "a fault in the environment is not the image's"
    backend.process.terminate()
    assert backend.exit_status() == 0, "the signal reaches the service and no shell in between"


@pytest.mark.slow
def test_the_fault_can_be_the_backends(tmp_path: Path, launch: Launcher) -> None:
    images("--into", str(tmp_path), "--tag", "v3", "--fault", "cannot-start", "--fault-service", "backend")
    backend = launch.run([str(tmp_path / "alfredai" / "backend" / "v3" / "run")], ENV)
    assert backend.exit_status() == 3
    gateway = launch.run(
        [str(tmp_path / "alfredai" / "gateway" / "v3" / "run")], {**ENV, "BACKEND_URL": "http://127.0.0.1:1"}
    )
    eventually(lambda: gateway.ask("/healthz").status == 200, "the gateway lives")


def test_the_pages_commands_make_four_images(tmp_path: Path) -> None:
    """Those of examples/alfred/README.md, in a copy of its folder."""
    shutil.copytree(EXAMPLE, tmp_path / "alfred")
    for command in commands(EXAMPLE / "README.md"):
        words = [sys.executable, *shlex.split(command.text)[1:]]
        subprocess.run(words, cwd=tmp_path / "alfred", check=True, capture_output=True, timeout=20)
    made = tmp_path / "alfred/images/alfredai"
    assert {(folder.parent.name, folder.name) for folder in made.glob("*/*")} == {
        *(("backend", tag) for tag in ("v2", "v3")),
        *(("gateway", tag) for tag in ("v2", "v3")),
    }


def test_one_service_alone_can_be_made_again(tmp_path: Path) -> None:
    old = make_image(tmp_path, service="gateway", tag="v1", fault="slow=5")
    new = make_image(tmp_path, service="gateway", tag="v1")
    assert old == new == tmp_path / "alfredai" / "gateway" / "v1"
    assert "slow=5" not in (new / "run").read_text()
    assert os.access(new / "run", os.X_OK)
    assert [path.name for path in new.iterdir()] == ["run"]
    assert not (tmp_path / "alfredai" / "backend").exists()


def test_awkward_paths_and_interpreters_are_quoted(tmp_path: Path) -> None:
    python = tmp_path / "my python's"
    python.write_text('#!/bin/sh\necho "$@" "$ALFRED_FAULT"\n')
    python.chmod(0o755)
    folder = make_image(tmp_path / "a b", service="backend", tag="v1", fault="errors=5, slow=1", python=str(python))
    ran = subprocess.run([str(folder / "run")], capture_output=True, text=True, check=True, timeout=20)
    assert ran.stdout == "-m alfred.backend errors=5, slow=1\n"


@pytest.mark.parametrize(
    ("service", "tag", "fault"),
    [("frontend", "v1", ""), ("backend", "../v1", ""), ("backend", "", ""), ("backend", "v1", "eror=5")],
)
def test_what_cannot_be_made_is_refused_and_leaves_nothing(tmp_path: Path, service: str, tag: str, fault: str) -> None:
    with pytest.raises(ImageError):
        make_image(tmp_path, service=service, tag=tag, fault=fault)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_command_refuses_in_one_line_and_makes_nothing(tmp_path: Path) -> None:
    made = images("--into", str(tmp_path), "--tag", "v2", "--fault", "eror=5")
    assert made.returncode == 2
    (line,) = made.stderr.splitlines()
    assert line.startswith("images: there is no fault 'eror=5'")
    assert list(tmp_path.iterdir()) == []
