"""The cluster's control groups: what is in them is the cluster's, and nothing else is.

Both layouts of Linux are served: version 1 (a hierarchy for each controller) and version 2 (one for all).
"""

import contextlib
import signal
from dataclasses import dataclass
from pathlib import Path

from testbed.processes import send, wait_for

ROOT = Path("/sys/fs/cgroup")
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Memory:
    """In MiB. Resident counts each page once, however many processes share it."""

    resident: int
    cached: int


@dataclass(frozen=True, slots=True)
class Groups:
    """One tree of control groups, in every hierarchy the machine has."""

    name: str
    root: Path = ROOT

    @property
    def unified(self) -> bool:
        """Whether this is version 2."""
        return (self.root / "cgroup.controllers").exists()

    def hierarchies(self) -> list[Path]:
        """The roots of all trees of control groups of the machine."""
        if self.unified:
            return [self.root]
        # A hybrid machine has an empty version 2 tree beside those of version 1; names with a comma are links.
        return [
            path for path in sorted(self.root.iterdir()) if (path / "cgroup.procs").exists() and not path.is_symlink()
        ]

    def make(self, *below: str) -> None:
        """The group of this path below the tree's own, and those above it."""
        for hierarchy in self.hierarchies():
            group = hierarchy
            for part in (self.name, *below):
                _hand_down_controllers(group)
                group = group / part
                group.mkdir(exist_ok=True)
                _copy_cpuset(group)

    def entries(self, *below: str) -> list[Path]:
        """The files in which a process writes its id to join the group."""
        return [path.joinpath(self.name, *below, "cgroup.procs") for path in self.hierarchies()]

    def marker(self, *below: str) -> Path:
        """One file to join by which a process counts as the cluster's, and is not limited or weighed with it."""
        pids = self.root / "pids"
        if self.unified or not pids.exists():
            return self.entries(*below)[0]
        return pids.joinpath(self.name, *below, "cgroup.procs")

    def pids(self, *below: str) -> list[int]:
        """All processes in the group and the groups below it."""
        found: set[int] = set()
        for hierarchy in self.hierarchies():
            for listing in hierarchy.joinpath(self.name, *below).rglob("cgroup.procs"):
                found.update(_read_pids(listing))
        return sorted(found - {0})

    def kill(self, *, limit: float = 10) -> None:
        """End every process in the tree, those that are born meanwhile too."""

        def ended() -> bool:
            pids = self.pids()
            send(signal.SIGKILL, pids)
            return not pids

        wait_for(ended, what=f"the end of all processes of {self.name}", limit=limit, pause=0.02)

    def remove(self, *, limit: float = 10) -> None:
        """Remove the tree; a group is busy for a moment after its last process, or gets one that was on its way in."""

        def removed() -> bool:
            send(signal.SIGKILL, self.pids())
            for top in self.left():
                _remove_tree(top)
            return not self.left()

        wait_for(removed, what=f"the removal of the control groups of {self.name}", limit=limit, pause=0.02)

    def left(self) -> list[Path]:
        """The tree's own groups that are there now, one in each hierarchy."""
        return [path / self.name for path in self.hierarchies() if (path / self.name).exists()]

    def memory(self, *below: str) -> Memory:
        """Of the group and those below it."""
        if self.unified:
            stat = _numbers(self.root.joinpath(self.name, *below, "memory.stat"))
            return Memory(resident=stat.get("anon", 0) // MIB, cached=stat.get("file", 0) // MIB)
        stat = _numbers(self.root.joinpath("memory", self.name, *below, "memory.stat"))
        return Memory(resident=stat.get("total_rss", 0) // MIB, cached=stat.get("total_cache", 0) // MIB)


def _hand_down_controllers(group: Path) -> None:
    """Version 2: a group has the controllers that its parent hands down, and must hold no process itself."""
    switch = group / "cgroup.subtree_control"
    if not switch.exists() or not (group / "cgroup.controllers").exists():
        return
    for controller in (group / "cgroup.controllers").read_text().split():
        with contextlib.suppress(OSError):
            switch.write_text(f"+{controller}")


def _copy_cpuset(group: Path) -> None:
    """Version 1: a new cpuset has no processors and takes no process until it is given the parent's."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        file = group / name
        if (group / "tasks").exists() and file.exists() and not file.read_text().strip():
            file.write_text((group.parent / name).read_text())


def _read_pids(listing: Path) -> list[int]:
    try:
        return [int(line) for line in listing.read_text().split()]
    except OSError:
        return []


def _remove_tree(top: Path) -> None:
    for group in sorted(top.rglob("*/"), key=lambda path: len(path.parts), reverse=True):
        with contextlib.suppress(OSError):
            group.rmdir()
    with contextlib.suppress(OSError):
        top.rmdir()


def _numbers(file: Path) -> dict[str, int]:
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return {}
    return {key: int(value) for key, _, value in (line.partition(" ") for line in lines)}
