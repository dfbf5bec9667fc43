"""Makes the folder: everything in a folder beside it, which is renamed when it is complete.

So a folder of the right name is a complete one, whoever was killed when; two jobs at once both fetch, one of them wins,
and nobody waits for a lock.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from first_use.download import download
from first_use.errors import CONFIGURATION, NoPip, NotReady
from first_use.lock import parse
from first_use.pip import install

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

ABANDONED: Final = 3600.0
"""Seconds after which another job's unfinished folder is taken for a killed one's."""
TOLD: Final = 5.0
"""Seconds between two words of progress."""
_UNFINISHED: Final = ".unfinished-"


def prepare(roots: Sequence[Path], *, key: str, lock: Path, by_hand: Path) -> Path:
    """The folder ``key`` in the first root that can be written, complete. Ends the process with one clear message."""
    try:
        return _prepare(roots, key=key, lock=lock)
    except NotReady as error:
        _end(error, by_hand)


def _end(error: NotReady, by_hand: Path) -> NoReturn:
    say(f"error: {error}\n  {error.mend}\n\n{by_hand.read_text(encoding='utf-8').rstrip()}")
    raise SystemExit(error.code)


def say(text: str) -> None:
    """Tell the user. On the standard error: the standard output is the command's own."""
    with suppress(OSError, ValueError):
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def _prepare(roots: Sequence[Path], *, key: str, lock: Path) -> Path:
    root = _writable(roots)
    folder = root / key
    if folder.exists():
        raise NotReady(
            f"{folder} is not this user's, or can be written by everybody", mend="remove it", code=CONFIGURATION
        )
    began = time.monotonic()
    say(f"bluegreen: setting itself up in {root} (first use only)")
    with _unfinished(root) as new, _patience():
        _fetch(new / "packages", lock=lock)
        _complete(new, folder)
    say(f"bluegreen: ready after {time.monotonic() - began:.1f} s")
    return folder


@contextmanager
def _patience() -> Iterator[None]:
    """Say now and then that it goes on, for as long as the block lasts."""
    over = threading.Event()

    def tell() -> None:
        waited = 0.0
        while not over.wait(TOLD):
            waited += TOLD
            say(f"bluegreen: still fetching its packages, {waited:.0f} s")

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()


def _fetch(packages: Path, *, lock: Path) -> None:
    packages.mkdir()
    try:
        install(packages, lock=lock)
    except NoPip:
        download(parse(lock.read_text(encoding="utf-8")), packages, environment=os.environ)


def _writable(roots: Sequence[Path]) -> Path:
    faults = []
    for root in roots:
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            if root.lstat().st_uid != os.geteuid() or root.is_symlink():
                faults.append(f"{root} is not this user's")
                continue
            with tempfile.TemporaryFile(dir=root):
                return root
        except OSError as error:
            faults.append(f"{root}: {error.strerror}")
    raise NotReady(
        f"there is no folder for its packages ({'; '.join(faults)})",
        mend="name one that can be written in XDG_CACHE_HOME",
        code=CONFIGURATION,
    )


@contextmanager
def _unfinished(root: Path) -> Iterator[Path]:
    """A folder that is removed again, unless it was renamed. An interrupt and a SIGTERM come out as exceptions."""
    _sweep(root)
    before = signal.signal(signal.SIGTERM, _terminated)
    new = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=root))
    try:
        yield new
    except OSError as error:
        mend = "make room there, or name another folder in XDG_CACHE_HOME"
        raise NotReady(f"{root}: {error.strerror}", mend=mend, code=CONFIGURATION) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
        signal.signal(signal.SIGTERM, before)


def _terminated(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def _sweep(root: Path) -> None:
    """Remove what killed jobs have left."""
    for left in root.glob(f"{_UNFINISHED}*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > ABANDONED:
                shutil.rmtree(left, ignore_errors=True)


def _complete(new: Path, folder: Path) -> None:
    """Give it its name; another job may have been faster."""
    try:
        new.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
