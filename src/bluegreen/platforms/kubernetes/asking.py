"""How pods and Services are asked over HTTP: custom checks, and the pages of metrics.

Two ways. Through the API server, which whoever releases can reach: ``pods/proxy`` to each pod, ``services/proxy`` to a
slot's own Service. Or straight to the cluster's addresses, from a machine that has a route to them.

The address that users call is never asked for through the API server: it would pick a pod by itself, and prove nothing
of how users are routed. What the API server says by itself is never a pod's fault: the check could not be made.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

from bluegreen.domain.checks import Answer, fault
from bluegreen.domain.errors import BluegreenError, DeadlineExceeded, Interrupted, PlatformError
from bluegreen.domain.stack import Instant, Slot, after
from bluegreen.domain.values import dataclass, replace
from bluegreen.platforms.kubernetes import names
from bluegreen.platforms.kubernetes.errors import MissingRight
from bluegreen.platforms.kubernetes.fanout import results
from bluegreen.platforms.kubernetes.resources import pod_path, service_path
from bluegreen.platforms.kubernetes.threadclock import ThreadClock
from bluegreen.platforms.kubernetes.transport import LARGEST_TEXT, Api, NotReached, PodAnswer, PodRequest
from bluegreen.ports import CheckResult, Through

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bluegreen.domain.snapshot import Pod
    from bluegreen.domain.stack import HttpCheck, Marks, Seconds, Stack
    from bluegreen.platforms.kubernetes.cluster import Cluster
    from bluegreen.platforms.kubernetes.objects import Service, ServicePort
    from bluegreen.platforms.kubernetes.pace import Pace
    from bluegreen.platforms.kubernetes.watch import StoppableClock
    from bluegreen.ports import Check, Clock

SLOT_HEADER = "x-slot"
"""The header in which an app says in which slot it runs."""

_KNOWN: Seconds = 2.0
"""A node learns within a second that a pod is ready, and is given twice that."""
_AGAIN: Seconds = 0.1

_NOT_FROM_HERE = "the address that users call cannot be reached from here"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Whom to ask, and how: one of ``proxy`` and ``address``; neither: ``why``."""

    whom: str
    proxy: str = ""
    """A path of the API."""
    address: str = ""
    """``host:port``, asked straight."""
    tls: bool = False
    prefix: str = ""
    """What stands before the path at an address of the app file."""
    service: bool = False
    """The address is a Service's: the node that we are on may not have heard yet of the pods behind it."""
    why: str = ""
    absent: bool = False
    """There is no such place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """One request of a check."""

    check: Check
    place: _Place


class Asking:
    """Asks the pods and Services of one stack. Its connections are kept, so that a request costs no handshake.

    ``check`` is for one thread at a time, ``page`` for any number of threads beside it. Close it.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        namespace: str,
        stack: Stack,
        clock: Clock,
        direct: bool = False,
        workers: StoppableClock | None = None,
        pace: Pace | None = None,
    ) -> None:
        """``clock``: the limits'. ``direct``: straight to the cluster's addresses. ``workers``: the threads' clock."""
        self._namespace = namespace
        self._stack = stack
        self._clock = clock
        self._direct = direct
        self._workers = workers or ThreadClock()
        self._pool = _Pool(cluster, clock=self._workers, pace=pace)

    def close(self) -> None:
        """End what is under way, and let go of the connections."""
        self._workers.stop()
        self._pool.close()

    # --- checks ---------------------------------------------------------------------------------------------------

    def check(
        self, checks: Sequence[Check], *, pods: Sequence[Pod], services: Sequence[Service], until: Instant
    ) -> tuple[CheckResult, ...]:
        """As in ports.Platform. ``pods``: of the stack, as last seen; ``services``: its Services and its slots' own.

        Raises DeadlineExceeded when there is no time at all, and Interrupted.
        """
        if until <= self._clock.now():
            raise DeadlineExceeded("no time was left to make the checks")
        requests = [
            _Request(check=check, place=place) for check in checks for place in self._places(check, pods, services)
        ]
        tasks = [partial(self._made, request, until=until) for request in requests]
        found = results(tasks, clock=self._clock, until=until)
        made = [result or _unmade(request, _late(request)) for request, result in zip(requests, found, strict=True)]
        return tuple(_one_for_each_missing_right(made))

    def _places(self, check: Check, pods: Sequence[Pod], services: Sequence[Service]) -> Sequence[_Place]:
        match check.through:
            case Through.PODS:
                return self._pod_places(check, pods)
            case Through.PREVIEW:
                return [self._preview(check, services)]
            case Through.ENTRY:
                return [self._entry(check, services)]

    def _pod_places(self, check: Check, pods: Sequence[Pod]) -> Sequence[_Place]:
        """Those that stay: one on its way out is asked nothing."""
        wanted = (check.check.service, check.slot)
        asked = [pod for pod in pods if (pod.service, pod.slot) == wanted and not pod.terminating]
        nobody = _Place(whom=f"{check.check.service} in {check.slot}", why="it has no pod")
        return [self._at_pod(pod, check.check.path) for pod in asked] or [nobody]

    def _at_pod(self, pod: Pod, path: str) -> _Place:
        if self._direct:
            return _Place(whom=pod.name, address=pod.address, why="it has no address yet")
        port = _port_in(pod.address) or self._stack.service(pod.service).port
        return _Place(whom=pod.name, proxy=pod_path(self._namespace, pod.name, port=port, path=path))

    def _preview(self, check: Check, services: Sequence[Service]) -> _Place:
        """Through the API server it is a ready pod of the slot; straight it is the slot's address itself."""
        name = self._marks_of(check).preview(check.slot)
        found = _named(services, name)
        if found is None:
            whom = name or f"{check.check.service} in {check.slot}"
            return _Place(whom=whom, why=f"there is no Service {name or 'of the slot alone'}", absent=True)
        port = self._port(found, check, services)
        if self._direct:
            why = "it has no address in the cluster"
            return _Place(whom=name, address=_address(found, port), service=True, why=why)
        return _Place(whom=name, proxy=service_path(self._namespace, name, port=port, path=check.check.path))

    def _entry(self, check: Check, services: Sequence[Service]) -> _Place:
        """The address of the app file; else, from inside the cluster, the Service's own."""
        whom = f"{check.check.service} for users"
        entry = self._stack.service(check.check.service).entry
        if entry:
            return _outside(entry, whom=whom)
        found = _named(services, self._marks_of(check).users)
        if not self._direct or found is None:
            return _Place(whom=whom, why=_NOT_FROM_HERE)
        address = _address(found, self._port(found, check, services))
        return _Place(whom=whom, address=address, service=True, why=_NOT_FROM_HERE)

    def _marks_of(self, check: Check) -> Marks:
        return names.marks_of(self._stack.service(check.check.service))

    def _port(self, service: Service, check: Check, services: Sequence[Service]) -> int:
        """The port of the app file where the Service offers it, else the one that is called as users' port is or leads
        where that leads, else its first.
        """
        wanted = self._stack.service(check.check.service).port
        users = _named(services, self._marks_of(check).users)
        usual = next((port for port in users.ports if port.port == wanted), None) if users is not None else None
        return min(service.ports, key=lambda port: _strangeness(port, wanted, usual)).port if service.ports else wanted

    def _made(self, request: _Request, *, until: Instant) -> CheckResult:
        wanted = request.check.check
        limit = Instant(min(until, after(self._workers.now(), wanted.timeout)))
        began = self._workers.now()
        answer = self._ask_until_known(request.place, _asked(wanted), until=limit)
        if isinstance(answer, NotReached):
            return _unmade(request, answer.error)
        took = self._workers.now() - began
        body = answer.body.decode(errors="replace")
        wrong = fault(wanted, Answer(status=answer.status, headers=answer.headers, body=body, took=took))
        return CheckResult(
            check=request.check,
            passed=not wrong,
            detail=f"{request.place.whom}: {wrong or f'answered {answer.status}'}",
            answered_by=_answered_by(request.check, answer.header(SLOT_HEADER)),
        )

    def _ask_until_known(self, place: _Place, asked: PodRequest, *, until: Instant) -> PodAnswer | NotReached:
        """Ask; a Service's address again for a moment, while nobody is reached: its node may be late.

        The last time is after that moment: to find nobody at the address of a pod that is gone takes three seconds.
        """
        known = after(self._workers.now(), _KNOWN if place.service and place.address else 0.0)
        while True:
            began = self._workers.now()
            answer = self._ask(place, asked, until=until)
            again = after(self._workers.now(), _AGAIN)
            if not isinstance(answer, NotReached) or began >= known or again >= until:
                return answer
            with suppress(Interrupted):
                self._workers.wait(until=again)

    # --- metrics --------------------------------------------------------------------------------------------------

    def page(self, pod: Pod, path: str, timeout: Seconds) -> str:
        """What a pod serves at this path. From any thread. Raises PlatformError with the reason why that is nothing."""
        until = after(self._workers.now(), timeout)
        answer = self._ask(self._at_pod(pod, path), PodRequest(path=path), until=until)
        if isinstance(answer, NotReached):
            raise answer.error
        if answer.status != 200:
            raise PlatformError(f"GET {path} answered {answer.status}")
        if len(answer.body) >= LARGEST_TEXT:
            raise PlatformError(f"GET {path}: its answer is larger than {LARGEST_TEXT // 2**20} MiB")
        return answer.body.decode(errors="replace")

    # --- asking ---------------------------------------------------------------------------------------------------

    def _ask(self, place: _Place, asked: PodRequest, *, until: Instant) -> PodAnswer | NotReached:
        """One request. Raises nothing."""
        if not place.proxy and not place.address:
            return NotReached(error=PlatformError(place.why))
        began = self._workers.now()
        try:
            if place.address:
                return _straight(place, asked, timeout=until - began)
            with self._pool.one() as api:
                return api.pod(place.proxy, asked, until=until)
        except DeadlineExceeded as error:
            late = PlatformError(f"no answer within {max(0.0, until - began):.3g} s")
            return NotReached(error=error.__cause__ if isinstance(error.__cause__, PlatformError) else late)
        except Interrupted:
            return NotReached(error=PlatformError("it was given up"))
        except BluegreenError as error:
            return NotReached(error=PlatformError(str(error), mend=error.mend))


def _outside(entry: str, *, whom: str) -> _Place:
    """An address of the app file, as a place to ask."""
    from urllib.parse import urlsplit

    found = urlsplit(entry)
    tls = found.scheme == "https"
    return _Place(whom=whom, address=found.netloc, tls=tls, prefix=found.path.rstrip("/"), why=f"{entry} names no host")


def _asked(wanted: HttpCheck) -> PodRequest:
    return PodRequest(path=wanted.path, method=wanted.method, headers=wanted.request_headers, body=wanted.body.encode())


def _straight(place: _Place, asked: PodRequest, *, timeout: Seconds) -> PodAnswer | NotReached:
    """Without the API server. Raises DeadlineExceeded."""
    import http.client

    kind = http.client.HTTPSConnection if place.tls else http.client.HTTPConnection
    try:
        connection = kind(place.address, timeout=max(timeout, 0.001))
    except http.client.InvalidURL as error:
        return NotReached(error=PlatformError(str(error)))
    try:
        headers = {"User-Agent": "bluegreen-check", **dict(asked.headers)}
        connection.request(asked.method, f"{place.prefix}{asked.path}", body=asked.body or None, headers=headers)
        answer = connection.getresponse()
        body = answer.read(LARGEST_TEXT)
        if answer.length and len(body) < LARGEST_TEXT:  # which http.client takes for the end
            return NotReached(error=PlatformError("the answer was cut off"))
    except TimeoutError as error:
        raise DeadlineExceeded(str(error)) from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        return NotReached(error=PlatformError(str(error) or type(error).__name__))
    finally:
        connection.close()
    return PodAnswer(status=answer.status, headers=tuple(answer.getheaders()), body=body)


class _Pool:
    """Connections to the API server: as many as were ever in use at once, each one thread's while it is used."""

    def __init__(self, cluster: Cluster, *, clock: StoppableClock, pace: Pace | None) -> None:
        self._cluster = cluster
        self._clock = clock
        self._pace = pace
        self._lock = threading.Lock()
        self._idle: list[Api] = []
        self._busy: list[Api] = []
        self._closed = False

    @contextmanager
    def one(self) -> Iterator[Api]:
        """The one that was used last: the likeliest to be open still."""
        with self._lock:
            api = self._idle.pop() if self._idle else Api(self._cluster, clock=self._clock, pace=self._pace)
            self._busy.append(api)
        try:
            yield api
        finally:
            with self._lock:
                self._busy.remove(api)
                self._idle.append(api)
            if self._closed:
                api.close()

    def close(self) -> None:
        """Nothing is asked any more: the clock is stopped. What is under way ends, and closes in its own thread."""
        with self._lock:
            self._closed = True
            idle, busy = tuple(self._idle), tuple(self._busy)
        for api in idle:
            api.close()
        for api in busy:
            api.abandon()


def _named(services: Sequence[Service], name: str) -> Service | None:
    return next((service for service in services if service.meta.name == name), None)


def _strangeness(port: ServicePort, wanted: int, usual: ServicePort | None) -> int:
    """How far a port is from the one that is wanted; ``usual``: how users' Service offers that."""
    if port.port == wanted:
        return 0
    if usual is None:
        return 3
    if port.name and port.name == usual.name:
        return 1
    return 2 if port.target and port.target == usual.target else 3


def _address(service: Service, port: int) -> str:
    """Empty: it has none of its own (``None`` of a headless one included)."""
    host = service.address
    if host in {"", "None"}:
        return ""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _port_in(address: str) -> int:
    """0: it names none."""
    port = address.rpartition(":")[2]
    return int(port) if port.isdigit() else 0


def _answered_by(check: Check, said: str) -> Slot | None:
    """The app's own word where it has one: nothing between us and the pod names the slot.

    Else whom we asked: a pod of the slot, or the Service that selects its pods only. Of the address that users call
    nobody but the app can tell.
    """
    return Slot.named(said) or (None if check.through is Through.ENTRY else check.slot)


def _late(request: _Request) -> PlatformError:
    return PlatformError(f"no answer within the limit of {request.check.check.timeout:g} s and of the whole")


def _unmade(request: _Request, error: PlatformError) -> CheckResult:
    return CheckResult(
        check=request.check,
        passed=None,
        detail=f"{request.place.whom}: not reachable: {error}",
        missing_right=f"{error.verb} {error.resource}" if isinstance(error, MissingRight) else "",
        absent=request.place.absent,
    )


def _one_for_each_missing_right(made: Sequence[CheckResult]) -> Iterator[CheckResult]:
    """A right that is missing is missing for all pods: said once a check, and of nobody in particular."""
    told: set[int] = set()
    for result in made:
        if not result.missing_right:
            yield result
        elif id(result.check) not in told:
            told.add(id(result.check))
            yield replace(result, detail=result.detail.partition(": ")[2])
