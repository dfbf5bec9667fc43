"""One at a time: starting and stopping the cluster of a name."""

import contextlib
import fcntl
from collections.abc import Callable, Iterator
from pathlib import Path


@contextlib.contextmanager
def exclusive(file: Path, *, tell: Callable[[str], None]) -> Iterator[None]:
    """Hold the file alone, waiting for whoever holds it now. The kernel lets go for a process that is killed."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell(f"another testbed command has {file}: waiting until it ends, however long that takes")
            fcntl.flock(held, fcntl.LOCK_EX)
        yield
