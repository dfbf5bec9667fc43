"""Images as folders."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest

from bluegreen.domain.image import ImageReference
from bluegreen.platforms.local.images import folder_of, identity, problem

DIGEST = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("reference", "folder"),
    [
        ("alfredai/backend:v2", "alfredai/backend/v2"),
        ("docker.io/alfredai/backend:v2", "alfredai/backend/v2"),
        ("docker.io/library/redis:7", "redis/7"),
        ("redis", "redis/latest"),
        ("localhost:5000/shop/web:v1", "localhost:5000/shop/web/v1"),
        ("ghcr.io/shop/web:v1", "ghcr.io/shop/web/v1"),
        (f"shop/web@{DIGEST}", f"shop/web/sha256-{'ab' * 32}"),
        (f"shop/web:v1@{DIGEST}", f"shop/web/sha256-{'ab' * 32}"),
    ],
)
def test_where_an_image_lies(reference: str, folder: str) -> None:
    assert folder_of(Path("/images"), ImageReference.parse(reference)) == Path("/images") / folder


def test_what_is_wrong_with_an_image(tmp_path: Path) -> None:
    image = ImageReference.parse("shop/web:v1")
    assert problem(tmp_path, image) == f"shop/web:v1 not found: there is no folder {tmp_path}/shop/web/v1"
    folder = tmp_path / "shop" / "web" / "v1"
    folder.mkdir(parents=True)
    assert "has no file 'run'" in problem(tmp_path, image)
    assert problem(tmp_path, image, command=("python3", "app.py")) == ""
    (folder / "run").write_text("#!/bin/sh\n")
    assert "is not executable (chmod +x)" in problem(tmp_path, image)
    (folder / "run").chmod(0o755)
    assert problem(tmp_path, image) == ""


def test_a_folder_that_changed_is_another_image(tmp_path: Path) -> None:
    image = ImageReference.parse("shop/web:v1")
    folder = tmp_path / "shop" / "web" / "v1"
    folder.mkdir(parents=True)
    (folder / "run").write_text("one")
    before = identity(tmp_path, image)
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "app.pyc").write_text("compiled")
    assert identity(tmp_path, image) == before

    (folder / "run").write_text("other")

    assert identity(tmp_path, image) != before


def test_a_folder_is_known_whatever_its_files_are_called(tmp_path: Path) -> None:
    image = ImageReference.parse("shop/web:v1")
    folder = tmp_path / "shop" / "web" / "v1"
    folder.mkdir(parents=True)
    before = identity(tmp_path, image)
    (folder / os.fsdecode(b"caf\xe9.txt")).touch()

    assert identity(tmp_path, image) != before


def test_what_vanishes_while_the_folder_is_read_counts_for_nothing(tmp_path: Path) -> None:
    """Programs run in their image's folder, and leave files there for moments."""
    image = ImageReference.parse("shop/web:v1")
    folder = tmp_path / "shop" / "web" / "v1"
    folder.mkdir(parents=True)
    (folder / "run").touch()
    done = threading.Event()

    def run_in_there() -> None:
        while not done.is_set():
            (folder / "cache").mkdir()
            (folder / "cache" / "entry").touch()
            shutil.rmtree(folder / "cache")

    program = threading.Thread(target=run_in_there)
    program.start()
    try:
        found = {identity(tmp_path, image) for _ in range(300)}
    finally:
        done.set()
        program.join()

    assert identity(tmp_path, image) in found
