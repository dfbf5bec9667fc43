"""Taking a cluster down, and counting what is left.

It asks the kernel what belongs to the cluster (its control groups, its networks), not a list kept at the start,
so it does the same for a cluster that is whole, half started, or of which everything was killed.
"""

import os
import shutil
import signal
from pathlib import Path

from testbed.cgroups import Groups
from testbed.debian import Tell
from testbed.errors import TestbedError
from testbed.locks import exclusive
from testbed.places import Places
from testbed.processes import PROC, all_pids, argv, called, send, wait_for
from testbed.spaces import inside_networks, load


def down(places: Places, *, tell: Tell) -> None:
    """End and remove everything of the cluster, after a start that is on its way. Raises TestbedError."""
    with exclusive(places.lock, tell=tell):
        if not leftovers(places):
            tell("the cluster is down already")
            return
        clear(places)
        tell("the cluster is down, and nothing of it is left")


def clear(places: Places) -> None:
    """What `down` does, for whoever holds the lock already. Raises TestbedError when something is left."""
    _end_processes(places)
    Groups(places.cgroup).remove()
    _remove_state(places)
    left = leftovers(places)
    if left:
        raise TestbedError("the cluster is not quite down; left: " + ", ".join(left))


def leftovers(places: Places) -> list[str]:
    """Processes, mounts, control groups and folders of the cluster, each in a few words."""
    found = [f"process {pid} ({called(pid)})" for pid in _processes_of(places)]
    found += [f"mount {point}" for point in _mounts_of(places)]
    found += [f"control group {group}" for group in Groups(places.cgroup).left()]
    if places.state.exists():
        found.append(f"folder {places.state}")
    return found


def _end_processes(places: Places) -> None:
    # A network's identity is given out again once nobody is in it: only those of living spaces are ours for certain.
    networks = {space.network for space in load(places.spaces).values()} - {""}
    strangers = [pid for pid in inside_networks(networks) if pid != os.getpid()]
    Groups(places.cgroup).kill()
    send(signal.SIGKILL, strangers)

    def ended() -> bool:
        return not _processes_of(places)

    wait_for(ended, what="the end of the cluster's processes", limit=60, pause=0.02)


def _remove_state(places: Places) -> None:
    """The folder, unless something is mounted in it: then it would be that which is removed."""
    mounts = _mounts_of(places)
    if mounts:
        raise TestbedError(f"{mounts[0]} is still mounted; unmount it, then run `make cluster-down` again")
    if places.state.exists():
        shutil.rmtree(places.state)
    parent = places.state.parent
    if parent.exists() and not any(parent.iterdir()):
        parent.rmdir()


def _processes_of(places: Places) -> list[int]:
    """Those in its control groups, and servers that run from its folder. A zombie has no command line."""
    members = set(Groups(places.cgroup).pids())
    named = {pid for pid in all_pids() if called(pid).startswith(f"{places.state}/")}
    return sorted(pid for pid in members | (named - {os.getpid()}) if argv(pid))


def _mounts_of(places: Places) -> list[str]:
    points = (line.split()[4] for line in (PROC / "self" / "mountinfo").read_text().splitlines())
    return [point for point in points if Path(point).is_relative_to(places.state)]
