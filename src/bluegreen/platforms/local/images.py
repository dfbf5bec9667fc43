"""What an image is on one machine: a release folder ``<root>/<repository>/<tag>/`` with an executable ``run``.

Docker Hub's own prefixes are left out as people leave them out; another registry's name is the first folder. A
reference with a digest means the folder named by the digest: nothing here could check that a tag is those bits.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bluegreen.domain.image import ImageReference

RUN = "run"
"""The file in the folder that starts the program."""
_FILES_COUNTED = 10_000


def folder_of(root: Path, image: ImageReference) -> Path:
    """The image's folder, whether or not it exists."""
    return root / image.name / (image.digest.replace(":", "-") or image.tag)


def problem(root: Path, image: ImageReference, *, command: tuple[str, ...] = ()) -> str:
    """Why the image cannot be started, in one line; empty: it can. With a command of its own it needs no ``run``."""
    folder = folder_of(root, image)
    if not folder.is_dir():
        return f"{image} not found: there is no folder {folder}"
    if command:
        return ""
    run = folder / RUN
    if not run.is_file():
        return f"{image} not found: its folder {folder} has no file {RUN!r}"
    if not os.access(run, os.X_OK):
        return f"{image} not found as a program: {run} is not executable (chmod +x)"
    return ""


def identity(root: Path, image: ImageReference) -> str:
    """What the folder holds, as a short name: another one when a file was added, removed or changed since.

    By names, sizes and times of change, not by content: a folder may hold a whole virtual environment.
    """
    from hashlib import sha256

    folder = folder_of(root, image)
    listing = sha256()
    for path in sorted(_files_in(folder))[:_FILES_COUNTED]:
        with contextlib.suppress(OSError):  # it is gone: programs run in this folder, and leave files there for moments
            found = path.lstat()
            listing.update(os.fsencode(path.relative_to(folder)) + f" {found.st_size} {found.st_mtime_ns}\n".encode())
    return f"folder:{listing.hexdigest()[:12]}"


def _files_in(folder: Path) -> Iterator[Path]:
    """All of them, links too; what cannot be read, or is gone meanwhile, is left out."""
    for where, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != "__pycache__"]
        yield from (Path(where, name) for name in names)
