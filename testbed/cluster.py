"""A running cluster: what is in it, and how to run a command or push an image inside it."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from testbed import images
from testbed.api import Api
from testbed.cgroups import Groups
from testbed.errors import TestbedError
from testbed.places import CONTROL_PLANE, MAX_NODES, Node, Places
from testbed.processes import run
from testbed.registry import Registry
from testbed.spaces import Space, load, within_network

CLIENTS = "clients"
_KUBECTL_LIMIT = 120


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that became true so many seconds after a start began."""

    what: str
    seconds: float

    def __str__(self) -> str:
        return f"{self.what} after {self.seconds:.1f} s"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One call to the API server: who did what, and the status of the answer."""

    user: str
    verb: str
    path: str
    status: int
    agent: str = ""  # the program, as it called itself


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster whose namespaces are all there."""

    places: Places
    spaces: Mapping[str, Space]

    @property
    def nodes(self) -> list[Node]:
        """The worker nodes, by number."""
        return [node for node in map(Node, range(1, MAX_NODES + 1)) if node.name in self.spaces]

    @property
    def marks(self) -> list[Mark]:
        """What became true when, at the start."""
        lines = self.places.ready.read_text().splitlines()
        return [Mark(what=what, seconds=float(seconds)) for seconds, _, what in (line.partition(" ") for line in lines)]

    @property
    def groups(self) -> Groups:
        """Its control groups: what is in them is the cluster's."""
        return Groups(self.places.cgroup)

    @property
    def control_plane(self) -> Space:
        """Where the API server and the registry are."""
        return self.spaces[CONTROL_PLANE]

    @property
    def registry(self) -> Registry:
        """The registry that answers for every image name."""
        return Registry(self.control_plane)

    @property
    def api(self) -> Api:
        """The API server, for the few questions that need no kubectl."""
        return Api(self.control_plane, authority=self.places.pki / "ca.crt", kubeconfig=self.places.kubeconfig())

    def space(self, name: str) -> Space:
        """The control plane `cp`, a node `n1`, or the pod-like client beside a node's pods, `c1`."""
        try:
            return self.spaces[name]
        except KeyError:
            raise TestbedError(f"no {name!r} in the cluster; there are {', '.join(self.spaces)}") from None

    def command(self, words: Sequence[str | Path], *, at: str = CONTROL_PLANE) -> list[str]:
        """The command line that runs `words` inside the cluster's network, with its names and addresses."""
        client = self.space(at).as_client(words, resolv_conf=self.places.resolv_conf)
        # In a control group of the cluster, so that `down` ends it with the rest.
        return ["sh", "-ec", 'echo $$ >"$0"; exec "$@"', str(self.groups.marker(CLIENTS)), *client]

    def environment(self) -> dict[str, str]:
        """For a command inside: this one's, with the cluster's kubeconfig and its own kubectl and helms first."""
        path = f"{self.places.tools}:{os.environ.get('PATH', os.defpath)}"
        return {**os.environ, "KUBECONFIG": str(self.places.kubeconfig()), "PATH": path}

    def run(
        self,
        words: Sequence[str | Path],
        *,
        at: str = CONTROL_PLANE,
        stdin: str | None = None,
        limit: float = 60,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside and wait for it, `limit` seconds at most; its exit code is the caller's to judge."""
        return subprocess.run(
            self.command(words, at=at),
            env=self.environment(),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
        )

    def within(self, at: str = CONTROL_PLANE) -> AbstractContextManager[None]:
        """A block whose own connections are made inside the cluster's network; by address, as names do not resolve."""
        return within_network(self.space(at))

    def kubectl(self, *words: str, stdin: str | None = None, limit: float = _KUBECTL_LIMIT) -> str:
        """The output of the cluster's own kubectl, as its administrator. Raises TestbedError when it fails."""
        command = self.control_plane.in_network([self.places.tools / "kubectl", *words])
        return run(command, env=self.environment(), stdin=stdin, limit=limit)

    def load_image(self, archive: Path, *, name: str | None = None) -> str:
        """Push an OCI archive to the registry, under the name it carries unless told; the name."""
        return images.load(archive, self.registry, scratch=self.places.state, name=name)

    def audited(self) -> list[AuditEntry]:
        """Every call to the API server since the start, in the order they ended."""
        with self.places.audit_log.open() as lines:
            return [_parse_entry(line) for line in lines if line.endswith("\n")]


def find(places: Places) -> Cluster | None:
    """The cluster of this name, if its control plane is there."""
    spaces = load(places.spaces)
    if CONTROL_PLANE not in spaces:
        return None
    return Cluster(places=places, spaces=spaces)


def need(places: Places) -> Cluster:
    """The cluster of this name. Raises TestbedError when it is not up."""
    cluster = find(places)
    if cluster is None:
        raise TestbedError("the cluster is not up; start it with `make cluster-up`")
    return cluster


def write_marks(places: Places, marks: Sequence[Mark]) -> None:
    """Say that a start came to its end, and what became true when."""
    places.ready.write_text("".join(f"{mark.seconds} {mark.what}\n" for mark in marks))


def _parse_entry(line: str) -> AuditEntry:
    raw = json.loads(line)
    return AuditEntry(
        user=raw["user"].get("username", ""),
        verb=raw["verb"],
        path=raw["requestURI"],
        status=raw.get("responseStatus", {}).get("code", 0),
        agent=raw.get("userAgent", ""),
    )
