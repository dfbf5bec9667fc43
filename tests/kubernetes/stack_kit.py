"""Stacks that are not Alfred, on the cluster: their objects, commands on them, users on every node."""

from __future__ import annotations

import json
import sys
import tempfile
import time
import uuid
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed.pythonimage import PythonProgram, build
from tests.testbed.helpers import HERE as TESTBED_TESTS
from tests.testbed.helpers import tell

from cluster_harness import wait_until
from harness import HERE, Commands, Counts, Load, Rates
from stacks.objects import STACKS, objects

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.cluster import Cluster
    from testbed.places import Node

    from stacks.objects import Service

READY_LIMIT = 90.0
LOAD_LIMIT = 600.0
RATES = Rates(new=20, keepalive=20, slow=0, post=8, post_connections=0, stream=0, websocket=0)
"""Of each node's users, of the service that all others serve."""
WINDOW = ("--validation-time", "5")


def push_relay(cluster: Cluster, *, tag: str) -> None:
    """Make the image of one version, and put it into the registry."""
    program = PythonProgram(
        requirements=TESTBED_TESTS / "programs" / "no-requirements.lock",
        tree=HERE / "stacks" / "programs",
        module="relay",
        env={"VERSION": tag},
    )
    with tempfile.TemporaryDirectory(prefix="relay-image-") as folder:
        archive = Path(folder) / "image.tar"
        build(program, name=f"docker.io/stacks/relay:{tag}", archive=archive, cache=cluster.places.cache, tell=tell)
        cluster.load_image(archive)


class AnyStack(Commands):
    """One of ``examples/stacks``, in a namespace of its own."""

    def __init__(self, cluster: Cluster, name: str, *, folder: Path, app: str = "") -> None:
        """Nothing is there yet. ``app``: the app file's text, instead of the example's."""
        self.cluster = cluster
        self.stack = STACKS[name]
        self.namespace = f"{name}-{uuid.uuid4().hex[:6]}"
        self.folder = folder
        self.app = folder / "app.yaml"
        self.app.write_text(app or (HERE / "stacks" / f"{name}.yaml").read_text())

    def command(self, *words: str) -> list[str]:
        """The command line, run beside the API server."""
        place = ["--platform", "kubernetes", "--namespace", self.namespace, "--app", str(self.app)]
        return self.cluster.command([sys.executable, "-m", "bluegreen", *place, *words])

    def environment(self) -> dict[str, str]:
        """With the cluster's kubeconfig."""
        return {**self.cluster.environment(), "NO_COLOR": "1"}

    def kubectl(self, *words: str, stdin: str | None = None) -> str:
        """The output of kubectl in the namespace. Raises TestbedError when it fails."""
        return self.cluster.kubectl("-n", self.namespace, *words, stdin=stdin)

    def get(self, *words: str) -> Any:
        """What ``kubectl get`` finds."""
        return json.loads(self.kubectl("get", *words, "-o", "json"))

    def apply(self, *items: object) -> None:
        """Make these objects, or change them."""
        self.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))

    def install(self, tag: str) -> None:
        """Make the stack's objects at this version in both slots, and wait until users on every node are served."""
        push_relay(self.cluster, tag=tag)
        self.cluster.kubectl("create", "namespace", self.namespace)
        self.apply(*objects(self.stack, tag))
        for one in self.get("deployments")["items"]:
            name = f"deployment/{one['metadata']['name']}"
            self.kubectl("rollout", "status", name, f"--timeout={READY_LIMIT:.0f}s")
        for node in self.cluster.nodes:
            what = f"{self.namespace} for users on {node.name}"
            wait_until(partial(self._answers, node), what=what, limit=READY_LIMIT)

    def _answers(self, node: Node) -> bool:
        code = "import sys, urllib.request as u\nfor _ in range(5): u.urlopen(sys.argv[1], timeout=2).read()"
        return self.cluster.run([sys.executable, "-c", code, f"{self.url}/api/work"], at=node.client).returncode == 0

    @property
    def entry(self) -> Service:
        """The service that all others serve: the last."""
        return self.stack.services[-1]

    @property
    def url(self) -> str:
        """Where users call."""
        return f"http://{self.entry.called}.{self.namespace}.svc:{self.entry.port}"

    def sides(self) -> set[str]:
        """What the slot's label says in the users' Services."""
        found = [self.get("service", each.called)["spec"]["selector"][self.stack.slot] for each in self.stack.services]
        return set(found)

    def images(self, tag: str) -> list[str]:
        """The flags of a release of all services."""
        return [word for each in self.stack.services for word in ("--image", f"{each.name}=stacks/relay:{tag}")]

    def release(self, tag: str, *words: str, code: int = 0) -> str:
        """Release all services; what it wrote."""
        done = self.must("deploy", *self.images(tag), *WINDOW, *words, code=code)
        return done.out + done.err

    def doctor(self, *, code: int) -> list[dict[str, Any]]:
        """What ``doctor`` finds, without its last line."""
        found: list[dict[str, Any]] = self.must("doctor", code=code, output="json").events
        assert found[-1]["event"] == "examined"
        return found[:-1]

    def shell(self, command: str) -> None:
        """Run a line that was told to a person, as it stands."""
        done = self.cluster.run(["sh", "-c", command], limit=60)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"

    def remove(self) -> None:
        """End all of it; the namespace is gone a little later."""
        self.cluster.kubectl("delete", "namespace", self.namespace, "--wait=false", "--ignore-not-found")


@contextmanager
def users(stack: AnyStack) -> Iterator[list[Load]]:
    """Users on every node, until ``counts`` stops them; what a failing test has left is ended."""
    loads = [
        Load(
            stack.url,
            result=stack.folder / f"load-{node.client}-{time.time_ns()}.json",
            seconds=LOAD_LIMIT,
            rates=RATES,
            inside=partial(stack.cluster.command, at=node.client),
        )
        for node in stack.cluster.nodes
    ]
    try:
        yield loads
    finally:
        for load in loads:
            load.kill()


def counts(loads: list[Load]) -> Counts:
    """Stop them, and add up what they counted."""
    for load in loads:
        load.ask_to_stop()
    return Counts.together([load.finish() for load in loads])
