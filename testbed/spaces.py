"""The namespaces that hold the cluster, and how to get a process or a socket into one.

A space is the set of namespaces of the control plane or of a node, kept by its first process. When that ends,
the kernel ends all that runs in it and takes mounts and links with it: nothing has to be found and removed.
"""

import contextlib
import ctypes
import os
import socket
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from testbed.cgroups import Groups
from testbed.errors import TestbedError
from testbed.processes import PROC, all_pids, first_child, run, start_time, wait_for

_CLONE_NEWNET = 0x40000000
# What the programs of a node write outside the folders they are told: it must end with the node.
_SCRATCH = ("/run", "/var/lib", "/var/log")
_SCRATCH_FOLDERS = "/run/netns /run/lock /var/lib/cni /var/lib/kubelet /var/log/containers /var/log/pods"
# kubelet writes these for the whole machine, whichever namespace it runs in. It gets files of its own to write.
_KERNEL_SETTINGS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
# Processes join their control group before they become the program, so that none ever runs outside it;
# where the group has just been removed, they end instead.
_JOIN = 'for file in $0; do echo $$ >"$file"; done; exec "$@"'


@dataclass(frozen=True, slots=True)
class Space:
    """Namespaces by the process that keeps them."""

    name: str
    keeper: int
    started: int

    @property
    def alive(self) -> bool:
        """A process on its way out has lost its namespaces already: it keeps nothing any more."""
        return start_time(self.keeper) == self.started and self.network != ""

    @property
    def network(self) -> str:
        """The identity of the network namespace, the same for every process in it; empty when it has ended."""
        return _network_of(self.keeper)

    def in_network(self, command: Sequence[str | Path]) -> list[str]:
        """The command, in this network, with the machine's own files and processes."""
        return ["nsenter", "-t", str(self.keeper), "-n", "--", *map(str, command)]

    def inside(self, command: Sequence[str | Path]) -> list[str]:
        """The command, in all of the namespaces."""
        return ["nsenter", "-t", str(self.keeper), "-n", "-m", "-u", "-i", "-p", "--", *map(str, command)]

    def as_client(self, command: Sequence[str | Path], *, resolv_conf: Path) -> list[str]:
        """The command, in this network, with the cluster's names: as a program in a pod would see it."""
        script = 'mount --bind "$0" "$(realpath /etc/resolv.conf)" && exec "$@"'
        own_mounts = ["unshare", "--mount", "--propagation", "private", "--"]
        return self.in_network([*own_mounts, "sh", "-c", script, resolv_conf, *command])

    def script(self, lines: str) -> None:
        """Shell lines in the network namespace; the first that fails ends them."""
        run(self.in_network(["sh", "-ec", lines]))


def save(space: Space, folder: Path) -> None:
    """Write the space down, for commands that come later."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / space.name).write_text(f"{space.keeper} {space.started}\n")


def load(folder: Path) -> dict[str, Space]:
    """The spaces that were saved here and are alive."""
    found = {}
    for file in sorted(folder.glob("*")):
        keeper, _, started = file.read_text().partition(" ")
        if started:
            found[file.name] = Space(name=file.name, keeper=int(keeper), started=int(started))
    return {name: space for name, space in found.items() if space.alive}


def hold(name: str, *, pause: Path, groups: Groups, log: Path) -> Space:
    """New namespaces of all kinds for the control plane or a node."""
    groups.make(name, "sys")
    kinds = ["--net", "--mount", "--pid", "--uts", "--ipc", "--mount-proc", "--propagation", "private"]
    parent = start(["unshare", *kinds, "--fork", "--kill-child=KILL", "--", pause], name=name, groups=groups, log=log)
    space = _kept_by(first_child(parent), name=name, pause=pause)
    run(space.inside(["sh", "-ec", _furnish(name)]))
    return space


def hold_client(name: str, node: Space, *, pause: Path, groups: Groups, log: Path) -> Space:
    """A network namespace of its own inside a node's other namespaces: it ends with the node."""
    command = node.inside(["unshare", "--net", "--", pause])
    parent = start(command, name=node.name, groups=groups, log=log)
    return _kept_by(first_child(parent), name=name, pause=pause)


def start(
    command: Sequence[str | Path],
    *,
    name: str,
    groups: Groups,
    log: Path,
    env: Mapping[str, str] | None = None,
) -> int:
    """The id of a new process that outlives this one, in the control group of this space, its output in `log`."""
    entries = " ".join(map(str, groups.entries(name, "sys")))
    log.parent.mkdir(parents=True, exist_ok=True)
    output = (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    return os.posix_spawn(
        "/bin/sh",
        ["sh", "-ec", _JOIN, entries, *map(str, command)],
        os.environ if env is None else env,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            output,
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )


def connect(space: Space, address: str, port: int, *, limit: float) -> socket.socket:
    """A TCP connection made inside the space, used from here. `limit` is in seconds; raises OSError."""
    made: list[socket.socket] = []
    failed: list[OSError] = []

    def dial() -> None:
        try:
            with _network_file(space).open("rb") as network:
                _enter(network.fileno())
            made.append(socket.create_connection((address, port), timeout=limit))
        except OSError as error:
            failed.append(error)

    # A thread has a network namespace of its own; a socket keeps the one it was made in.
    thread = threading.Thread(target=dial, name=f"dial {space.name}")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return made[0]


@contextlib.contextmanager
def within_network(space: Space) -> Iterator[None]:
    """This thread's network, and that of the threads and processes it starts meanwhile, is the space's.

    The machine's own file of name servers stays in use, so the cluster's names do not resolve; addresses work.
    """
    own = Path("/proc/thread-self/ns/net")
    with own.open("rb") as before, _network_file(space).open("rb") as network:
        _enter(network.fileno())
        try:
            yield
        finally:
            _enter(before.fileno())


def inside_networks(networks: Collection[str]) -> list[int]:
    """Processes whose network namespace is one of these, however they came into it."""
    return [pid for pid in all_pids() if _network_of(pid) in networks]


def _kept_by(pid: int, *, name: str, pause: Path) -> Space:
    """The space of this process, once it has become the pause program (it has its namespaces by then)."""
    started = start_time(pid)
    if started is None:
        raise TestbedError(f"{name}: its first process ended at once")

    def is_pause() -> bool:
        try:
            return (PROC / str(pid) / "exe").readlink() == pause.resolve()
        except OSError as error:
            raise TestbedError(f"{name}: its first process ended at once") from error

    wait_for(is_pause, what=f"the first process of {name}", limit=30, pause=0.002)
    return Space(name=name, keeper=pid, started=started)


def _furnish(name: str) -> str:
    """Shell lines that give a fresh mount namespace its scratch folders and harmless kernel settings."""
    lines = [f"hostname {name}", "ip link set lo up"]
    lines += [f"mount -t tmpfs -o mode=755 testbed {folder}" for folder in _SCRATCH]
    lines += [f"mkdir -p {_SCRATCH_FOLDERS} /run/kernel"]
    for setting, value in _KERNEL_SETTINGS.items():
        stand_in = f"/run/kernel/{setting.replace('/', '.')}"
        lines += [f"echo {value} >{stand_in}", f"mount --bind {stand_in} /proc/sys/{setting}"]
    return "\n".join(lines)


def _network_file(space: Space) -> Path:
    return PROC / str(space.keeper) / "ns" / "net"


def _enter(namespace: int) -> None:
    """Move this thread into the network namespace of an open file. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"cannot enter a network namespace: {os.strerror(number)}")


def _network_of(pid: int) -> str:
    try:
        return str((PROC / str(pid) / "ns" / "net").readlink())
    except OSError:
        return ""
