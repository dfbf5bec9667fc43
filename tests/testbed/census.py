"""Everything on the machine that a cluster could leave behind, counted before and after."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from testbed.places import default_places
from testbed.processes import all_pids, called

from testbed import debian

_KERNEL_SETTINGS = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
    "net/ipv4/ip_forward",
    "net/netfilter/nf_conntrack_max",
)
OWN = "lifecycle"
"""How the names of the clusters begin whose remains are looked for."""
_FOLDERS = ("/run", "/var/lib", "/var/log", "/var/tmp", "/etc")


@dataclass(frozen=True, slots=True)
class Census:
    """What there is. Two of a machine on which nothing was left are equal."""

    programs: frozenset[str]
    mounts: frozenset[str]
    namespaces: frozenset[str]
    control_groups: frozenset[str]
    links: str
    routes: str
    rules: str
    settings: tuple[str, ...]
    folders: frozenset[str]

    def only_here(self, other: "Census") -> list[str]:
        """What this one has and the other has not."""
        found = [f"{kind}: {item}" for kind in _SETS for item in sorted(getattr(self, kind) - getattr(other, kind))]
        return found + [f"{kind} differ" for kind in _TEXTS if getattr(self, kind) != getattr(other, kind)]


_SETS = ("programs", "mounts", "namespaces", "control_groups", "folders")
_TEXTS = ("links", "routes", "rules", "settings")


def take() -> Census:
    root = debian.node_programs(into=default_places().cache / "debian", tell=lambda _: None)
    return Census(
        programs=_cluster_programs(),
        mounts=frozenset(Path("/proc/self/mountinfo").read_text().splitlines()),
        namespaces=_namespaces(),
        control_groups=frozenset(str(path) for path in Path("/sys/fs/cgroup").glob("*/kubernetes-*")),
        links=_output("ip", "-brief", "link"),
        routes=_output("ip", "route", "show", "table", "all"),
        rules=_output(str(root / "usr" / "sbin" / "iptables-save"), env=debian.environment(root, {})),
        settings=tuple(_setting(name) for name in _KERNEL_SETTINGS),
        folders=frozenset(str(path) for folder in _FOLDERS for path in Path(folder).iterdir()),
    )


def _cluster_programs() -> frozenset[str]:
    """Servers, first processes and shims: whatever runs from the cache or from a cluster's folder."""
    marks = ("kubernetes-testbed", "containerd", "/pause", "/coredns", "/prometheus", "nsenter", "docker-registry")
    names = {pid: called(pid) for pid in _counted_pids()}
    return frozenset(f"{pid} {name}" for pid, name in names.items() if any(mark in name for mark in marks))


def _namespaces() -> frozenset[str]:
    """By their kinds and identities, of every process that can be seen."""
    found = set()
    for pid in _counted_pids():
        for kind in ("net", "mnt", "pid"):
            try:
                found.add(str(Path(f"/proc/{pid}/ns/{kind}").readlink()))
            except OSError:
                continue
    return frozenset(found)


def _counted_pids() -> list[int]:
    """All but those of another cluster, such as the suite's: its containers come and go beside this test."""
    return [pid for pid in all_pids() if not _is_of_another_cluster(pid)]


def _is_of_another_cluster(pid: int) -> bool:
    try:
        groups = Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return False
    return "/kubernetes-" in groups and f"/kubernetes-{OWN}" not in groups


def _output(*words: str, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=True)
    return "\n".join(line for line in done.stdout.splitlines() if not line.startswith("#"))


def _setting(name: str) -> str:
    path = Path("/proc/sys") / name
    if not path.exists():
        return f"{name} -"
    return f"{name} {path.read_text().strip()}"
