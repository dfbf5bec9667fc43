"""How fast a switch is, and what our Envoy settings cost, beside an Envoy that does nothing else, as ratios.

    python bench/switch.py [--rounds 7] [--seconds 1.0] [--switches 100]

Three Envoys: the replicas (one that answers by itself on four ports, so that they cost little), ours as the product
starts it, and the bare one: for throughput one listener and one static cluster, for switches one route from a file and
nothing more. Rounds of both are interleaved, in one run. Stops by itself, in about half a minute.

Two figures for the cost, because on a machine with few cores the client takes its share: requests a second, and the
processor time that Envoy itself used for a request.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bluegreen.clock import SystemClock
from bluegreen.domain.stack import Slot, after
from bluegreen.platforms.local.dataplane import DataPlane, Front
from bluegreen.platforms.local.envoy import ADDRESS
from bluegreen.platforms.local.envoy_run import clean_up

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

SERVICE = "backend"
CONNECTIONS = 8
BATCH = 16
"""Requests that a connection sends at once, so that the client costs less than what it measures."""
TYPES = "type.googleapis.com/envoy"
HTTP = f"{TYPES}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = {"name": "router", "typed_config": {"@type": f"{TYPES}.extensions.filters.http.router.v3.Router"}}
REQUEST = b"GET / HTTP/1.1\r\nhost: bench\r\n\r\n"
CLOCK = SystemClock()


# --- Envoys -----------------------------------------------------------------------------------------------------


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now; below those that outgoing connections are given."""
    free: list[int] = []
    for port in random.SystemRandom().sample(range(15_000, 32_000), 100):
        with socket.socket() as each, contextlib.suppress(OSError):
            each.bind((ADDRESS, port))
            free.append(port)
    return free[:count]


def address(port: int) -> dict[str, object]:
    """A port of this machine."""
    return {"socket_address": {"address": ADDRESS, "port_value": port}}


def listener(port: int, routes: dict[str, object]) -> dict[str, object]:
    """A listener with nothing that is not needed."""
    manager = {"@type": HTTP, "stat_prefix": "main", "http_filters": [ROUTER], **routes}
    return {"address": address(port), "filter_chains": [{"filters": [{"name": "hcm", "typed_config": manager}]}]}


def routes(action: dict[str, object]) -> dict[str, object]:
    """One route for everything."""
    host = {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, **action}]}
    return {"name": "main", "virtual_hosts": [host]}


def cluster(name: str, ports: Sequence[int]) -> dict[str, object]:
    """A cluster with nothing that is not needed."""
    endpoints = [{"endpoint": {"address": address(port)}} for port in ports]
    assignment = {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]}
    return {"name": name, "connect_timeout": "1s", "load_assignment": assignment}


def bootstrap(folder: Path, *, listeners: Sequence[object], clusters: Sequence[object] = ()) -> list[str]:
    """Write a bootstrap; the command line that starts it."""
    start = {
        "node": {"id": "bench", "cluster": "bench"},
        "admin": {"address": {"pipe": {"path": str(folder / "envoy.sock"), "mode": 0o600}}},
        "static_resources": {"listeners": listeners, "clusters": clusters},
    }
    path = folder / "bootstrap.json"
    path.write_text(json.dumps(start))
    program = str(Path(sys.executable).parent / "envoy")
    workers = str(min(4, os.cpu_count() or 1))
    return [program, "-c", str(path), "-l", "error", "--concurrency", workers, "--disable-hot-restart"]


@contextlib.contextmanager
def running(line: Sequence[str], ports: Sequence[int]) -> Iterator[int]:
    """The process id of what the command line starts, once it listens on all ports; it is ended at the end."""
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for port in ports:
            wait_open(port)
        yield process.pid
    finally:
        process.terminate()
        process.wait(10)


def wait_open(port: int) -> None:
    """Wait until somebody listens on the port."""
    until = time.monotonic() + 10
    while True:
        try:
            socket.create_connection((ADDRESS, port), timeout=1).close()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)
        else:
            return


# --- load -------------------------------------------------------------------------------------------------------


def connect(port: int) -> socket.socket:
    """A kept-alive connection."""
    opened = socket.create_connection((ADDRESS, port), timeout=10)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return opened


def answers(opened: socket.socket, count: int) -> bytes:
    """Send so many requests at once and read all their answers; every one must be a good one."""
    opened.sendall(REQUEST * count)
    got = b""
    while got.count(b"slot=") < count or not got.endswith(b"\n"):
        part = opened.recv(65536)
        if not part:
            raise ConnectionError(f"closed after {got[-200:]!r}")
        got += part
    if got.count(b"HTTP/1.1 200 OK") != count:
        raise ConnectionError(f"a bad answer in {got[-200:]!r}")
    return got


def requests_per_second(port: int, seconds: float) -> tuple[int, float]:
    """Requests answered, and the seconds that it took, with all connections busy."""
    connections = [connect(port) for _ in range(CONNECTIONS)]
    counts = [0] * CONNECTIONS
    start = time.perf_counter()

    def work(number: int) -> None:
        while time.perf_counter() - start < seconds:
            answers(connections[number], BATCH)
            counts[number] += BATCH

    threads = [threading.Thread(target=work, args=(number,)) for number in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for opened in connections:
        opened.close()
    return sum(counts), time.perf_counter() - start


def processor_seconds(pid: int) -> float:
    """What the process has used so far, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cost:
    """One round."""

    rate: float
    """Requests a second."""
    used: float
    """Envoy's processor time for a request, in microseconds."""


def cost(pid: int, port: int, seconds: float) -> Cost:
    """Load one Envoy for a round."""
    before = processor_seconds(pid)
    count, took = requests_per_second(port, seconds)
    return Cost(rate=count / took, used=(processor_seconds(pid) - before) / count * 1e6)


# --- switches ---------------------------------------------------------------------------------------------------


class Prober:
    """One user who asks again and again, and notes when each slot answered first since it was told to forget."""

    def __init__(self, port: int) -> None:
        self._opened = connect(port)
        self._first: dict[bytes, float] = {}
        self._stop = False
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def _ask(self) -> None:
        while not self._stop:
            got = answers(self._opened, 1)
            self._first.setdefault(got[got.rindex(b"slot=") :].strip(), time.perf_counter())

    def first(self, slot: Slot, switch: Callable[[Slot], None]) -> tuple[float, float]:
        """Milliseconds until the switch was confirmed, and until the slot's first answer."""
        self._first.clear()
        start = time.perf_counter()
        switch(slot)
        confirmed = time.perf_counter()
        key = f"slot={slot}".encode()
        while key not in self._first:
            if time.perf_counter() - start > 5:
                raise TimeoutError(f"no answer of {slot} within 5 s")
            time.sleep(0.0002)
        return (confirmed - start) * 1e3, (self._first[key] - start) * 1e3

    def close(self) -> None:
        """Stop asking."""
        self._stop = True
        self._thread.join()
        self._opened.close()


def ours(plane: DataPlane) -> Callable[[Slot], None]:
    """A switch as the product makes it."""

    def switch(to: Slot) -> None:
        before = plane.read_route(SERVICE)
        expect = before.version if before.slot is not None else None
        written = plane.write_route(SERVICE, to=to, fallback=to.other, fence="bench", expect=expect)
        plane.wait_applied(SERVICE, written.version, clock=CLOCK, until=after(CLOCK.now(), 5))

    return switch


def bare(file: Path, admin: Path) -> Callable[[Slot], None]:
    """A rename and the question whether it was taken, nothing else."""

    def switch(to: Slot) -> None:
        version = os.urandom(4).hex()
        write_bare_route(file, to, version)
        with socket.socket(socket.AF_UNIX) as opened:
            opened.connect(str(admin))
            while version.encode() not in admin_answer(opened):
                time.sleep(0.0005)

    return switch


def write_bare_route(file: Path, to: Slot, version: str) -> None:
    """A route to a cluster, by rename."""
    kind = f"{TYPES}.config.route.v3.RouteConfiguration"
    resource = {"@type": kind, **routes({"route": {"cluster": to.value}})}
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps({"version_info": version, "resources": [resource]}))
    fresh.replace(file)


def admin_answer(opened: socket.socket) -> bytes:
    """The version of the bare route, on a connection that is kept."""
    opened.sendall(b"GET /stats?filter=rds.main.version_text HTTP/1.1\r\nhost: x\r\n\r\n")
    got = b""
    while not got.endswith(b"0\r\n\r\n"):
        got += opened.recv(65536)
    return got


# --- the run ----------------------------------------------------------------------------------------------------


def replicas(folder: Path, ports: dict[Slot, list[int]]) -> list[str]:
    """An Envoy that is all replicas: it answers by itself, and names the slot."""
    listeners = [
        listener(port, {"route_config": routes({"direct_response": answer(slot)})})
        for slot, several in ports.items()
        for port in several
    ]
    return bootstrap(folder, listeners=listeners)


def answer(slot: Slot) -> dict[str, object]:
    """The answer of a slot."""
    return {"status": 200, "body": {"inline_string": f"slot={slot}\n"}}


def percentile(values: Sequence[float], share: float) -> float:
    """By the nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def report_costs(name: str, costs: Sequence[Cost], base: Sequence[Cost]) -> None:
    """One line: the medians, and their ratio to the bare Envoy's."""
    rate, used = (statistics.median(getattr(each, what) for each in costs) for what in ("rate", "used"))
    base_rate, base_used = (statistics.median(getattr(each, what) for each in base) for what in ("rate", "used"))
    print(
        f"{name:24} {rate:8.0f} requests/s (ratio {rate / base_rate:.2f})"
        f"   {used:6.1f} us of Envoy's processor time a request (ratio {used / base_used:.2f})"
    )


def report_switches(name: str, times: Sequence[float], base: Sequence[float]) -> None:
    """One line: median and 99th percentile in ms, and their ratios to the bare Envoy's."""
    halves, most = percentile(times, 0.5), percentile(times, 0.99)
    base_halves, base_most = percentile(base, 0.5), percentile(base, 0.99)
    print(
        f"{name:24} p50 {halves:6.2f} ms (ratio {halves / base_halves:.2f})"
        f"   p99 {most:6.2f} ms (ratio {most / base_most:.2f})   n={len(times)}"
    )


def run_costs(
    rounds: int, seconds: float, *, ours_at: tuple[int, int], bare_at: tuple[int, int], plane: DataPlane
) -> None:
    """Rounds of the bare Envoy, ours on the plain route and ours with a fallback, one after the other."""
    found: dict[str, list[Cost]] = {"bare": [], "ours, plain route": [], "ours, with fallback": []}
    for _ in range(rounds):
        found["bare"].append(cost(*bare_at, seconds))
        for name, fallback in (("ours, plain route", None), ("ours, with fallback", Slot.GREEN)):
            route = plane.read_route(SERVICE)
            written = plane.write_route(SERVICE, to=Slot.BLUE, fallback=fallback, fence="b", expect=route.version)
            plane.wait_applied(SERVICE, written.version, clock=CLOCK, until=after(CLOCK.now(), 5))
            found[name].append(cost(*ours_at, seconds))
    for name, costs in found.items():
        report_costs(name, costs, found["bare"])


def run_switches(
    count: int, *, ours_at: int, bare_at: int, plane: DataPlane, bare_switch: Callable[[Slot], None]
) -> None:
    """Switches of both, interleaved."""
    mine, plain = Prober(ours_at), Prober(bare_at)
    found: dict[str, list[tuple[float, float]]] = {"bare": [], "ours": []}
    try:
        for number in range(count):
            to = list(Slot)[number % 2]
            found["bare"].append(plain.first(to.other, bare_switch))
            found["ours"].append(mine.first(to.other, ours(plane)))
    finally:
        mine.close()
        plain.close()
    for which, what in enumerate(("confirmed", "first answer")):
        base = [times[which] for times in found["bare"]]
        for name, each in found.items():
            report_switches(f"{name}, {what}", [times[which] for times in each], base)


def main() -> None:
    """Run it all in a folder of its own, and leave nothing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.0, help="of one round")
    parser.add_argument("--switches", type=int, default=100, help="of each Envoy")
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bluegreen-"))
    try:
        with contextlib.ExitStack() as stack:
            bench(folder, stack, asked)
    finally:
        clean_up(folder / "ours")
        shutil.rmtree(folder)


def bench(folder: Path, stack: contextlib.ExitStack, asked: argparse.Namespace) -> None:
    """Start the Envoys, first the replicas, and run both parts."""
    for name in ("replicas", "static", "rds", "ours"):
        (folder / name).mkdir()
    ports = free_ports(9)
    public, blue, green, static, rds = ports[4:]
    slots = {Slot.BLUE: ports[0:2], Slot.GREEN: ports[2:4]}
    stack.enter_context(running(replicas(folder / "replicas", slots), ports[:4]))
    front = Front(
        service=SERVICE, public_port=public, preview_ports=((Slot.BLUE, blue), (Slot.GREEN, green)), health_path="/"
    )
    plane = DataPlane(folder=folder / "ours", admin=folder / "ours" / "envoy.sock", fronts=[front])
    plane.prepare()
    for slot, several in slots.items():
        plane.set_endpoints(SERVICE, slot, several)
    line = [sys.executable, "-m", "bluegreen.platforms.local.envoy_run", str(folder / "ours")]
    pid = stack.enter_context(running(line, [public, blue, green]))
    to_blue = listener(static, {"route_config": routes({"route": {"cluster": "blue"}})})
    static_line = bootstrap(folder / "static", listeners=[to_blue], clusters=[cluster("blue", slots[Slot.BLUE])])
    static_pid = stack.enter_context(running(static_line, [static]))
    ours(plane)(Slot.BLUE)
    run_costs(asked.rounds, asked.seconds, ours_at=(pid, public), bare_at=(static_pid, static), plane=plane)
    bare_switch = start_bare_rds(folder / "rds", stack, rds, slots)
    run_switches(asked.switches, ours_at=public, bare_at=rds, plane=plane, bare_switch=bare_switch)


def start_bare_rds(
    folder: Path, stack: contextlib.ExitStack, port: int, slots: dict[Slot, list[int]]
) -> Callable[[Slot], None]:
    """A bare Envoy whose one route comes from a file; how to switch it."""
    file = folder / "route.json"
    write_bare_route(file, Slot.BLUE, "first")
    source = {"resource_api_version": "V3", "path_config_source": {"path": str(file)}}
    from_file = listener(port, {"rds": {"route_config_name": "main", "config_source": source}})
    clusters = [cluster(slot.value, several) for slot, several in slots.items()]
    stack.enter_context(running(bootstrap(folder, listeners=[from_file], clusters=clusters), [port]))
    return bare(file, folder / "envoy.sock")


if __name__ == "__main__":
    main()
