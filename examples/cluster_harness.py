"""Alfred in a cluster of the testbed: its images, the chart, `bluegreen` commands, users on every node.

Like ``harness`` it works through command lines only: helm, kubectl and bluegreen, run in the cluster's network. Users
are the load generator in the network of a pod-like client on each node, and call the Services by their names.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from harness import ALFRED, HERE, Commands, Counts, Load, Rates

ROOT = HERE.parent
sys.path.insert(0, str(ROOT))

from testbed.cluster import need  # noqa: E402 - it lies beside the examples
from testbed.errors import TestbedError  # noqa: E402
from testbed.places import default_places  # noqa: E402
from testbed.pythonimage import PythonProgram, build  # noqa: E402
from testbed.start import Wish, need_tools, up  # noqa: E402
from testbed.stop import down  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from testbed.cluster import Cluster
    from testbed.places import Node, Places

CHART = ROOT / "tools" / "helm" / "alfred"
SERVICES = ("backend", "gateway")
PORTS = {"backend": 8000, "gateway": 8080}
SLOTS = ("blue", "green")
READY_LIMIT = 90.0
"""Seconds in which a fresh Alfred serves on every node; it takes about ten."""

GATEWAY_RATES = Rates(new=35, keepalive=16, slow=2, post=8, post_connections=0, stream=3, websocket=4)
"""Of each node's users. After a switch kept-alive connections stay with the old slot: those who come anew, 80 a second
from both nodes, are what the observation window sees."""
BACKEND_RATES = Rates(new=4, keepalive=8, slow=0, post=4, stream=0, websocket=0)
"""Of each node's users who call the backend's own Service; it takes no WebSockets."""
QUICK = (
    "preStopSleepSeconds=2",
    *(f"{service}.env.LAME_DUCK_SECONDS=3" for service in SERVICES),
    *(f"{service}.probes.{probe}.periodSeconds=1" for service in SERVICES for probe in ("startup", "readiness")),
)
"""Settings of the chart for runs of many releases: the same pods, sooner ready and sooner gone.

No client of the load leaves a connection idle for three seconds, so the lame duck loses none.
"""
DIRECT_LIMIT = 1700.0
"""Seconds after which any load stops by itself."""


class Gone(AssertionError):
    """What was waited for did not come."""


def wait_until(look: Callable[[], bool], *, what: str, limit: float) -> float:
    """Seconds until it is true. Raises Gone with ``what`` at the limit."""
    began = time.monotonic()
    while not look():
        if time.monotonic() - began > limit:
            raise Gone(f"{what}: not within {limit:g} s")
        time.sleep(0.05)
    return time.monotonic() - began


def push_image(cluster: Cluster, *, service: str, tag: str, fault: str = "") -> None:
    """Make the image of one version of one service and put it into the cluster's registry; 0.3 s."""
    program = PythonProgram(
        requirements=ROOT / "requirements" / "examples.lock",
        tree=ALFRED,
        module=f"alfred.{service}",
        env={"HOST": "0.0.0.0", "VERSION": tag, "ALFRED_FAULT": fault},
    )
    name = f"docker.io/alfredai/{service}:{tag}"
    with tempfile.TemporaryDirectory(prefix="alfred-image-") as folder:
        archive = Path(folder) / "image.tar"
        build(program, name=name, archive=archive, cache=cluster.places.cache, tell=_nobody)
        cluster.load_image(archive)


def _nobody(_line: str) -> None:
    """The images say nothing."""


@contextmanager
def running_cluster(name: str = "e2e") -> Iterator[Cluster]:
    """A cluster of its own, ended afterwards; the one that is up already when TESTBED_SHARED says so."""
    shared = os.environ.get("TESTBED_SHARED", "")
    if shared:
        yield need(default_places("testbed" if shared == "1" else shared))
        return
    places = default_places(name)
    try:
        yield _started(places)
    finally:
        down(places, tell=_say)


def _started(places: Places) -> Cluster:
    """Ends the program with one sentence where no cluster can run: not run, which is not passed."""
    try:
        return up(places, Wish(prometheus=False), tell=_say)
    except TestbedError as error:
        _say(f"not run: {error}")
        raise SystemExit(error.exit_code) from error


def _say(line: str) -> None:
    print(line, flush=True)


@contextmanager
def alfred(cluster: Cluster, purpose: str, *settings: str) -> Iterator[ClusterStack]:
    """Alfred in a namespace of its own, which is also the name of the version in both slots; ended afterwards."""
    with tempfile.TemporaryDirectory(prefix=f"alfred-{purpose}-") as scratch:
        namespace = f"{purpose}-{uuid.uuid4().hex[:6]}"
        stack = ClusterStack(cluster, namespace=namespace, folder=Path(scratch))
        stack.image(namespace)
        try:
            stack.install(namespace, *settings)
            yield stack
        finally:
            stack.remove()


class ClusterStack(Commands):
    """Alfred in a namespace of its own."""

    def __init__(self, cluster: Cluster, *, namespace: str, folder: Path, helm: str = "helm3") -> None:
        """Nothing is started. ``folder`` is where load leaves its results."""
        self.cluster = cluster
        self.namespace = namespace
        self.folder = folder
        self.helm = helm
        folder.mkdir(parents=True, exist_ok=True)

    # --- commands -----------------------------------------------------------------------------------------------

    def command(self, *words: str) -> list[str]:
        """The command line, run beside the API server."""
        place = ["--platform", "kubernetes", "--namespace", self.namespace, "--app", str(ALFRED / "bluegreen.yaml")]
        return self.cluster.command([sys.executable, "-m", "bluegreen", *place, *words])

    def environment(self) -> dict[str, str]:
        """With the cluster's kubeconfig, kubectl and helm."""
        return {**self.cluster.environment(), "NO_COLOR": "1"}

    def kubectl(self, *words: str, stdin: str | None = None) -> str:
        """The output of kubectl in the namespace. Raises TestbedError when it fails."""
        return self.cluster.kubectl("-n", self.namespace, *words, stdin=stdin)

    def get(self, *words: str) -> Any:  # noqa: ANN401 - an object as the API server writes it
        """What ``kubectl get`` finds."""
        return json.loads(self.kubectl("get", *words, "-o", "json"))

    def told(self, *words: str) -> Told:
        """Start a command and read what it tells, with the moment of each event."""
        return Told(self.start("--output", "json", *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE))

    # --- life ---------------------------------------------------------------------------------------------------

    def image(self, tag: str, *, fault: str = "", service: str = "gateway") -> None:
        """Make the images of one version; the fault is in the service named."""
        for name in SERVICES:
            push_image(self.cluster, service=name, tag=tag, fault=fault if name == service else "")

    def install(self, tag: str, *settings: str) -> None:
        """Install the chart with this version in both slots, and wait until users on every node are served.

        ``settings``: as after ``--set`` on helm's command line.
        """
        images = [f"{service}.image=alfredai/{service}:{tag}" for service in SERVICES]
        more = [word for setting in (*images, *settings) for word in ("--set", setting)]
        need_tools(self.cluster, [self.helm], tell=_nobody)
        words = ["upgrade", "--install", "alfred", str(CHART), "--create-namespace", *more]
        self.run_helm(*words)
        self.wait_ready()

    def run_helm(self, *words: str) -> str:
        """The output of helm in the namespace; raises AssertionError when it fails."""
        done = self.cluster.run(
            [self.cluster.places.tools / self.helm, *words, "--namespace", self.namespace], limit=120
        )
        if done.returncode:
            raise AssertionError(f"{self.helm} {words[0]}: exit {done.returncode}: {done.stderr}")
        return done.stdout

    def wait_ready(self) -> None:
        """Wait until all four Deployments are rolled out, and users on every node are answered.

        Ready is not reachable: a node learns of a pod up to a second later than the API.
        """
        for service in SERVICES:
            for slot in SLOTS:
                name = f"deployment/alfred-{service}-{slot}"
                self.kubectl("rollout", "status", name, f"--timeout={READY_LIMIT:.0f}s")
        for node in self.cluster.nodes:
            for service in SERVICES:
                what = f"alfred-{service} for users on {node.name}"
                wait_until(partial(self._answers, node, service), what=what, limit=READY_LIMIT)

    def _answers(self, node: Node, service: str) -> bool:
        """Whether five new connections in a row are answered."""
        code = "import sys, urllib.request as u\nfor _ in range(5): u.urlopen(sys.argv[1], timeout=2).read()"
        words = [sys.executable, "-c", code, f"{self.users(service)}/api/work"]
        return self.cluster.run(words, at=node.client).returncode == 0

    def remove(self) -> None:
        """End all of it; the namespace is gone a little later."""
        self.cluster.kubectl("delete", "namespace", self.namespace, "--wait=false", "--ignore-not-found")

    # --- what is there ------------------------------------------------------------------------------------------

    def users(self, service: str = "gateway") -> str:
        """The address that users call."""
        return f"http://alfred-{service}.{self.namespace}.svc:{PORTS[service]}"

    def selected(self, service: str = "gateway") -> str:
        """The slot that the users' Service selects, from the Service itself."""
        return self.kubectl("get", "service", f"alfred-{service}", "-o", "jsonpath={.spec.selector.slot}")

    def selector(self) -> str:
        """The slot that both Services select; both names when they differ."""
        both = {self.selected(service) for service in SERVICES}
        return "/".join(sorted(both))

    def calls(self, agent: str, *, since: int = 0) -> Counter[str]:
        """The API server's calls in this namespace by programs of that name, from the audit log: verb and kind.

        ``since``: how many entries the log had before. Watches are left out: they are few, and last.
        """
        mine = [entry for entry in self.cluster.audited()[since:] if entry.agent.startswith(agent)]
        here = [entry for entry in mine if f"/namespaces/{self.namespace}/" in entry.path and entry.verb != "watch"]
        return Counter(f"{entry.verb} {_kind(entry.path)}" for entry in here)

    def routed(self, slot: str) -> bool:
        """Whether every endpoint of both users' Services is a ready pod of this slot, from the EndpointSlices."""
        pods = {pod["metadata"]["name"]: pod for pod in self.get("pods")["items"]}
        return all(self._routed_one(f"alfred-{service}", slot, pods) for service in SERVICES)

    def _routed_one(self, service: str, slot: str, pods: dict[str, Any]) -> bool:
        slices = self.get("endpointslices", "-l", f"kubernetes.io/service-name={service}")["items"]
        ends = [end for each in slices for end in each.get("endpoints") or []]
        ready = [end for end in ends if end["conditions"].get("ready")]
        names = [end["targetRef"]["name"] for end in ready]
        slots = {pods[name]["metadata"]["labels"]["slot"] for name in names if name in pods}
        return slots == {slot}

    def tag(self, service: str, slot: str) -> str:
        """The tag that the slot's Deployment asks for."""
        image = self.kubectl(
            "get", "deployment", f"alfred-{service}-{slot}", "-o", "jsonpath={.spec.template.spec.containers[0].image}"
        )
        return image.rpartition(":")[2]


def _kind(path: str) -> str:
    """``/apis/apps/v1/namespaces/alfred/deployments/x?y`` is about deployments; what goes through a pod says so."""
    words = path.partition("?")[0].split("/namespaces/")[1].split("/")[1:]
    return words[0] + (f"/{words[2]}" if len(words) > 2 else "")


class Told:
    """A command with ``--output json`` that runs, and what it has told so far, each with the wall clock's moment."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Read on a thread, so that moments are right whatever the caller does."""
        self.process = process
        self.lines: list[tuple[int, dict[str, Any]]] = []
        self.err = ""
        self._changed = threading.Condition()
        self._readers = [threading.Thread(target=self._read_out), threading.Thread(target=self._read_err)]
        for reader in self._readers:
            reader.start()

    def _read_out(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as out:
            for line in out:
                if line.startswith("{"):
                    with self._changed:
                        self.lines.append((time.time_ns(), json.loads(line)))
                        self._changed.notify_all()

    def _read_err(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as err:
            self.err = err.read()

    @property
    def events(self) -> list[dict[str, Any]]:
        """All events so far."""
        return [event for _, event in self.lines]

    def moment(self, name: str) -> int:
        """When the first event of this name came, in nanoseconds of the wall clock; 0: it did not."""
        return self.moment_of(name)

    def moment_of(self, name: str, **fields: Any) -> int:  # noqa: ANN401 - JSON
        """The same, of the first event with these fields."""
        for moment, event in self.lines:
            if event["event"] == name and all(event[key] == value for key, value in fields.items()):
                return moment
        return 0

    def reach(self, name: str, *, limit: float = 120.0, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        """The first event of this name with these fields, waited for. Raises AssertionError at the limit."""
        until = time.monotonic() + limit
        with self._changed:
            while True:
                # Asked before the events are: no line comes after it.
                over = not self._readers[0].is_alive() or time.monotonic() > until
                for event in self.events:
                    if event["event"] == name and all(event[key] == value for key, value in fields.items()):
                        return event
                if over:
                    raise AssertionError(f"it ended, or waited {limit:g} s, without {name} {fields}: {self.shown()}")
                self._changed.wait(0.2)

    def end(self, *, limit: float = 240.0) -> int:
        """Wait for its end; its exit code."""
        try:
            code = self.process.wait(limit)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"no end after {limit:g} s: {self.shown()}") from None
        self._close()
        return code

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait()
        self._close()

    def _close(self) -> None:
        """All that it has told is read now."""
        for reader in self._readers:
            reader.join(10)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()

    @property
    def summary(self) -> dict[str, Any]:
        """Its last event, which is the summary of a run or an error."""
        return self.events[-1]

    def shown(self) -> str:
        """For a failing test's message."""
        return "\n".join([*(json.dumps(event) for event in self.events[-12:]), self.err])


class ClusterLoad:
    """Users of every kind on every node, of both services."""

    def __init__(
        self,
        stack: ClusterStack,
        *,
        bad: Sequence[str] = (),
        seconds: float = DIRECT_LIMIT,
        rates: Rates = GATEWAY_RATES,
        backend: Rates | None = BACKEND_RATES,
        crashes: Path | None = None,
        spans: Path | None = None,
        through: Ingress | None = None,
    ) -> None:
        """Start sending: a process for each node and service, and one for those who come through an ingress.

        ``backend`` None: nobody calls the backend's Service. ``spans``: what is to be counted apart, of the gateway.
        """
        self.began = time.monotonic()
        self._loads: list[Load] = []
        wanted = [("gateway", rates), *([("backend", backend)] if backend else [])]
        for node in stack.cluster.nodes:
            for service, each in wanted:
                self._loads.append(
                    Load(
                        stack.users(service),
                        result=stack.folder / f"load-{node.client}-{service}-{time.time_ns()}.json",
                        seconds=seconds,
                        bad=bad,
                        rates=each,
                        crashes=crashes,
                        spans=spans if service == "gateway" else None,
                        inside=partial(stack.cluster.command, at=node.client),
                    )
                )
        if through is not None:
            self._loads.append(
                Load(
                    through.url,
                    result=stack.folder / f"load-ingress-{time.time_ns()}.json",
                    seconds=seconds,
                    bad=bad,
                    rates=rates,
                    crashes=crashes,
                    spans=spans,
                    inside=partial(stack.cluster.command, at=stack.cluster.nodes[0].client),
                )
            )

    def stop(self) -> Counts:
        """Stop all, wait until everything sent is accounted for, and add up."""
        for load in self._loads:
            load.ask_to_stop()
        return Counts.together([load.finish() for load in self._loads])

    def kill(self) -> None:
        """End all without a result."""
        for load in self._loads:
            load.kill()


def end_watch(process: subprocess.Popen[str], reader: threading.Thread) -> None:
    """End a ``kubectl --watch`` whose lines a thread reads."""
    process.terminate()
    process.wait()
    reader.join(10)
    if process.stdout is not None:
        process.stdout.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """The end of a container: of which slot, and when (to the second, as Kubernetes says it)."""

    pod: str
    slot: str
    at: str

    @property
    def moment_ns(self) -> int:
        """The beginning of that second, in nanoseconds of the wall clock."""
        return int(datetime.fromisoformat(self.at).timestamp()) * 1_000_000_000


class Deaths:
    """Watches the containers of a namespace and keeps when each ended."""

    _PATH = (
        "{.metadata.name} {.metadata.labels.slot} {.status.containerStatuses[*].state.terminated.finishedAt} "
        '{.status.containerStatuses[*].lastState.terminated.finishedAt}{"\\n"}'
    )

    def __init__(self, stack: ClusterStack) -> None:
        """Begin."""
        words = ["kubectl", "-n", stack.namespace, "get", "pods", "-w", "-o", f"jsonpath={self._PATH}"]
        self._process = subprocess.Popen(
            stack.cluster.command(words), env=stack.environment(), stdout=subprocess.PIPE, text=True
        )
        self._seen: set[Death] = set()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            words = line.split()
            self._seen.update(Death(pod=words[0], slot=words[1], at=at) for at in words[2:])

    def stop(self) -> list[Death]:
        """All that were seen, first to last."""
        end_watch(self._process, self._reader)
        return sorted(self._seen, key=lambda death: death.at)

    def __enter__(self) -> Self:
        """Watching already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, whatever came of it."""
        self.stop()


class Ingress:
    """An ingress proxy: Envoy in the network of a node's client, in front of the gateway's users' Service.

    A real proxy on the way that an ingress's traffic takes: it keeps its own connections to the Service's ClusterIP, so
    that a switch must reach users behind somebody else's kept-alive connections. It is not an ingress controller: it
    reads no Ingress objects and is configured by hand. Like those it repeats a request that the upstream's connection
    refused or lost before the first byte of it was taken.
    """

    PORT = 8088

    def __init__(self, stack: ClusterStack, node: Node) -> None:
        """Start it beside the pods of ``node``."""
        self.url = f"http://{node.client_address}:{self.PORT}"
        service = stack.get("service", "alfred-gateway")["spec"]
        config = stack.folder / "ingress.json"
        config.write_text(json.dumps(_envoy(node.client_address, self.PORT, service["clusterIP"], PORTS["gateway"])))
        words = [str(Path(sys.executable).parent / "envoy"), "-c", str(config), "-l", "error"]
        command = stack.cluster.command([*words, "--concurrency", "1", "--disable-hot-restart"], at=node.client)
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        code = "import sys, urllib.request as u; u.urlopen(sys.argv[1], timeout=2).read()"
        ask = [sys.executable, "-c", code, f"{self.url}/api/work"]
        answers = partial(stack.cluster.run, ask, at=node.client)
        wait_until(lambda: answers().returncode == 0, what=f"the ingress at {self.url}", limit=READY_LIMIT)

    def __enter__(self) -> Self:
        """Answering already."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait()


def _envoy(address: str, port: int, upstream: str, upstream_port: int) -> dict[str, object]:
    """One listener, one cluster, WebSockets allowed."""
    types = "type.googleapis.com/envoy.extensions.filters"
    route = {
        "cluster": "gateway",
        "timeout": "15s",
        "retry_policy": {"retry_on": "connect-failure,refused-stream,reset-before-request", "num_retries": 2},
    }
    manager = {
        "@type": f"{types}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "ingress",
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "http_filters": [{"name": "router", "typed_config": {"@type": f"{types}.http.router.v3.Router"}}],
        "route_config": {
            "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": route}]}]
        },
    }
    end = {"endpoint": {"address": _socket(upstream, upstream_port)}}
    cluster = {
        "name": "gateway",
        "connect_timeout": "2s",
        "load_assignment": {"cluster_name": "gateway", "endpoints": [{"lb_endpoints": [end]}]},
    }
    chain = {"filters": [{"name": "hcm", "typed_config": manager}]}
    listener = {"name": "users", "address": _socket(address, port), "filter_chains": [chain]}
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def _socket(address: str, port: int) -> dict[str, object]:
    return {"socket_address": {"address": address, "port_value": port}}
