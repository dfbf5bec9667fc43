"""Runs ``bluegreen`` from this checkout, with its packages from a cache folder; started by blue_green_deploy.sh.

It decides where the packages are, and which command a line without one means. Whatever has to be fetched, ``first_use``
fetches; on every other run nothing of that is imported, and Python is started once. Nothing is written into the
checkout, which may be read-only: compiled code goes to the cache folder, too.
"""

from __future__ import annotations

import gc
import hashlib
import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
LOCK = CHECKOUT / "requirements" / "kubernetes.lock"

PACKAGES = ("click", "msgspec", "yaml")
"""Each is imported when it is needed, so that a rollback need not wait for it: that all are there is asked before."""

OF_EVERY_COMMAND = frozenset({"--state", "--app", "--platform", "--namespace", "--context", "--output", "--notify"})
"""Options with a value that may stand before the command's name, as bluegreen.cli.group has them."""
FLAGS = frozenset({"--direct", "--no-color"})
"""The same, without a value."""

CONFIGURATION = 2
INTERRUPTED = 130
TERMINATED = 143


def main() -> int:
    """Set up if needed, then run the command line; its exit code."""
    open_closed()
    try:
        run = runner()
    except KeyboardInterrupt:
        sys.stderr.write("error: interrupted before it began; nothing was changed\n")
        return INTERRUPTED
    return run(command_line(sys.argv[1:]))


def open_closed() -> None:
    """As bluegreen.cli.screen has it, which cannot be imported yet: a stream that is closed leads nowhere."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - until the end


def runner() -> Callable[[Sequence[str]], int]:
    """bluegreen's own main, with its packages in place."""
    parent = os.getppid()
    folder = ready(LOCK.read_bytes(), os.environ)
    if os.environ.get("CI") and os.getppid() != parent:
        raise SystemExit(TERMINATED)  # the job was cancelled meanwhile, which bluegreen.parent could not notice
    sys.pycache_prefix = str(folder / "compiled")
    sys.path[:0] = [str(CHECKOUT / "src"), str(folder / "packages")]
    os.environ["BLUEGREEN_PLATFORM"] = "kubernetes"
    for name in PACKAGES:
        if not (folder / "packages" / name).is_dir():  # somebody tidies that folder up, file by file
            sys.stderr.write(f"error: {name} is missing in {folder}\n  remove that folder; the next run makes it\n")
            raise SystemExit(CONFIGURATION)
    from bluegreen.cli import main

    return main


def command_line(words: Sequence[str]) -> list[str]:
    """The words with the command that is meant: behind options of every command stands one, or ``deploy`` is meant."""
    rest = iter(words)
    for word in rest:
        if not word.startswith("-") or word == "--version":
            return list(words)
        if word in OF_EVERY_COMMAND:
            next(rest, None)
        elif word not in FLAGS and word.partition("=")[0] not in OF_EVERY_COMMAND:
            break
    return ["deploy", *words]


def ready(lock: bytes, environment: Mapping[str, str]) -> Path:
    """The folder that holds the packages of this lock for this Python, made if there is none."""
    key = key_of(lock)
    roots = list(roots_of(environment))
    for root in roots:
        if ours(root) and ours(root / key):
            remember(root)
            return root / key
    folder = prepared(roots, key)
    remember(folder.parent)
    return folder


def prepared(roots: Sequence[Path], key: str) -> Path:
    """Make it. Compiled code of this part is kept nowhere: it is used once."""
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(HERE))
    from first_use import prepare

    try:
        return prepare(roots, key=key, lock=LOCK, by_hand=HERE / "rollback_by_hand.txt")
    finally:
        sys.path.remove(str(HERE))
        sys.dont_write_bytecode = False


def key_of(lock: bytes) -> str:
    """What the packages depend on: their lock, and the Python that loads them."""
    implementation = sys.implementation
    machine = getattr(implementation, "_multiarch", sys.platform)
    python = f"{implementation.cache_tag}{sys.abiflags}-{machine}-{os.uname().machine}"
    return f"{python}-{hashlib.sha256(lock).hexdigest()[:16]}"


def roots_of(environment: Mapping[str, str]) -> Iterator[Path]:
    """The user's cache folder, then a private one where that cannot be written."""
    home, cache = environment.get("HOME", ""), environment.get("XDG_CACHE_HOME", "")
    if cache.startswith("/"):  # the XDG specification: a relative one is to be ignored
        yield Path(cache) / "bluegreen"
    elif home.startswith("/"):
        yield Path(home) / ".cache" / "bluegreen"
    yield Path(environment.get("TMPDIR") or "/tmp") / f"bluegreen-{os.geteuid()}"  # noqa: S108 - see ours()


def ours(folder: Path) -> bool:
    """Whether it is a folder that nobody but us, or root, can have filled."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    mine = found.st_uid in {0, os.geteuid()} and not found.st_mode & stat.S_IWOTH
    return mine and stat.S_ISDIR(found.st_mode)


def remember(root: Path) -> None:
    """Note this Python for the script's next start. Not being able to is no fault."""
    note, line = root / "python", f"{sys.executable}\n"
    try:
        if note.exists() and note.read_text(encoding="utf-8") == line:
            return
        new = root / f".python-{os.getpid()}"
        new.write_text(line, encoding="utf-8")
        new.replace(note)
    except OSError:
        return


if __name__ == "__main__":
    gc.disable()  # as bluegreen.__main__ does, and why
    code = main()
    sys.stderr.flush()
    os._exit(code)
