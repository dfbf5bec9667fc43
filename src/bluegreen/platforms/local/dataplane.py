"""Envoy's files and its admin API: who is behind a slot, where users go, and what has been counted.

The files are the truth that survives a reboot; the admin API tells when Envoy has taken them. Files are replaced by
rename, never written in place: Envoy looks only at renames, and nobody ever sees half a file. It decides nothing about
when to route where. Imported by ``rollback``: the standard library only, and little of it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import http.client
import os
import socket
from typing import TYPE_CHECKING

from bluegreen.domain.errors import DeadlineExceeded, NotStarted, PlatformError
from bluegreen.domain.stack import Slot, after
from bluegreen.domain.values import dataclass
from bluegreen.platforms.local import reserve
from bluegreen.platforms.local.envoy import (
    Front,
    PlaneRoute,
    bootstrap_text,
    endpoints_from,
    endpoints_text,
    preview_cluster,
    route_from,
    route_text,
    users_cluster,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from bluegreen.domain.stack import Instant, Seconds
    from bluegreen.ports import Clock

__all__ = ["DataPlane", "Front", "PlaneCounters", "PlaneRoute", "RouteConflict"]

_FIRST_POLL: Seconds = 0.001
_SLOWEST_POLL: Seconds = 0.05
_ADMIN_TIMEOUT: Seconds = 1.0
_LOG_TAIL = 64 * 1024
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
_COUNTED = "upstream_rq_total|upstream_rq_active|upstream_rq_pending_active|membership_healthy|membership_total"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaneCounters:
    """One slot of one service, as Envoy counts it since it started."""

    service: str
    slot: Slot
    requests: int
    """Requests of users sent to the slot; none of the preview address, no health check."""
    in_flight: int
    """Requests and WebSockets open now, of users and of the preview address, those that wait for a connection too."""
    healthy: int
    """Replicas that may be used, on the users' way and on the preview address alike."""
    members: int
    """Replicas that Envoy knows."""


class RouteConflict(PlatformError):
    """The route is not what the caller judged; nothing was written. ``found`` is what it is."""

    def __init__(self, *, found: PlaneRoute) -> None:
        """Say whose route was found."""
        super().__init__(f"the route of {found.service} was changed meanwhile: it is on {found.slot or 'no slot'}")
        self.found = found


class DataPlane:
    """One stack's Envoy. ``folder`` is the state folder, ``admin`` the path of Envoy's admin socket."""

    def __init__(self, *, folder: Path, admin: Path, fronts: Sequence[Front]) -> None:
        """Touch nothing yet."""
        self._folder = folder
        self._envoy = folder / "envoy"
        self._admin = admin
        self._fronts = tuple(fronts)
        # How often Envoy had refused a route's file before our write: a rise afterwards is about that write.
        self._refused: dict[str, int] = {}
        self._replaced: dict[str, PlaneRoute] = {}

    # --- files ------------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Write the bootstrap, and those route and endpoint files that do not exist: an empty slot, no route.

        A route that was lost goes where the others go, because services are switched together.
        """
        for name in ("rds", "eds"):
            (self._envoy / name).mkdir(parents=True, exist_ok=True)
        bootstrap = bootstrap_text(
            self._fronts, endpoints=self._envoy / "eds", routes=self._envoy / "rds", admin=self._admin
        )
        _replace(self._envoy / "bootstrap.json", bootstrap)
        for front in self._fronts:
            self._prepare_service(front.service)

    def _prepare_service(self, service: str) -> None:
        for slot in Slot:
            if not self._endpoints_file(service, slot).exists():
                self.set_endpoints(service, slot, ())
        if not self._route_file(service).exists():
            route = PlaneRoute(service=service, slot=self._slot_of_others(), fallback=None, version=_unique(), fence="")
            _replace(self._route_file(service), route_text(route))

    def _slot_of_others(self) -> Slot | None:
        """The slot that all route files name which are there; None: there is none, or they do not agree."""
        there = [front.service for front in self._fronts if self._route_file(front.service).exists()]
        slots = {self.read_route(service).slot for service in there}
        return slots.pop() if len(slots) == 1 else None

    def set_endpoints(self, service: str, slot: Slot, ports: Sequence[int]) -> None:
        """Say which replicas the slot has. Requests under way to one that is left out are finished."""
        text = endpoints_text(service, slot, ports=ports, version=_unique())
        _replace(self._endpoints_file(service, slot), text)

    def endpoints(self, service: str, slot: Slot) -> tuple[int, ...]:
        """The ports of the slot's replicas. Raises PlatformError for a file that is missing or damaged."""
        path = self._endpoints_file(service, slot)
        with _readable(path) as text:
            return endpoints_from(text)

    def read_route(self, service: str) -> PlaneRoute:
        """Where the service's users go. Raises PlatformError for a file that is missing or damaged."""
        path = self._route_file(service)
        with _readable(path) as text:
            return route_from(service, text)

    def write_route(
        self, service: str, *, to: Slot, fallback: Slot | None, fence: str, expect: str | None
    ) -> PlaneRoute:
        """Send the service's users to a slot, if the route is still the version ``expect`` (None: names no slot yet).

        Durable when it returns; Envoy takes it some milliseconds later (``wait_applied``). Raises RouteConflict, or
        PlatformError when it cannot be written.
        """
        route = PlaneRoute(service=service, slot=to, fallback=fallback, version=f"{fence}.{_unique()}", fence=fence)
        path = self._route_file(service)
        self._note_refusals(service)
        with _fresh(path, route_text(route), spare=self._folder) as fresh:
            self._replaced[service] = self._swap(service, fresh, expect=expect)
        return route

    def _swap(self, service: str, fresh: Path, *, expect: str | None) -> PlaneRoute:
        """Compare and rename under the lock: nothing slow happens while it is held, so nobody waits for long.

        Returns what was replaced.
        """
        with _locked(self._folder / "routes.lock"):
            found = self.read_route(service)
            if not _as_expected(found, expect):
                raise RouteConflict(found=found)
            fresh.replace(self._route_file(service))
        return found

    def _take_back(self, service: str, version: str) -> None:
        """Put back what a refused file replaced, so that the file says again what Envoy does."""
        before = self._replaced.pop(service, None)
        if before is None:
            return  # another process wrote it, and takes it back
        text, path = route_text(before), self._route_file(service)
        with contextlib.suppress(RouteConflict), _fresh(path, text, spare=self._folder) as fresh:
            self._swap(service, fresh, expect=version)

    def _route_file(self, service: str) -> Path:
        return self._envoy / "rds" / f"{service}.json"

    def _endpoints_file(self, service: str, slot: Slot) -> Path:
        return self._envoy / "eds" / f"{service}-{slot}.json"

    # --- admin API --------------------------------------------------------------------------------------------

    def wait_applied(self, service: str, version: str, *, clock: Clock, until: Instant) -> None:
        """Return once Envoy routes by this version.

        Raises DeadlineExceeded, or PlatformError with Envoy's words when it refuses the file: then the old routing is
        kept, and so is the old file.
        """
        pause = _FIRST_POLL
        while not self._applied(service, version, timeout=until - clock.now()):
            if clock.now() >= until:
                raise DeadlineExceeded(f"Envoy has not taken the new route of {service}", mend=self._mend)
            clock.wait(until=min(until, after(clock.now(), pause)))
            pause = min(pause * 1.5, _SLOWEST_POLL)

    def _applied(self, service: str, version: str, *, timeout: Seconds) -> bool:
        try:
            told = self._route_stats(service, timeout=timeout)
        except PlatformError:
            return False  # it may be starting again; then it reads the new file by itself
        if told.get("version_text") == f'"{version}"':
            return True
        before = self._refused.setdefault(service, _refusals(told))
        if _refusals(told) > before:
            self._take_back(service, version)
            raise PlatformError(f"Envoy refused the new route of {service}: {self._words()}", mend=self._mend)
        return False

    def counters(self, *, timeout: Seconds) -> tuple[PlaneCounters, ...]:
        """Every slot of every service, all of the same instant. Raises PlatformError when Envoy does not answer."""
        stats = self._stats(rf"^cluster\..*\.({_COUNTED})$", timeout=timeout)
        return tuple(_counters(stats, front.service, slot) for front in self._fronts for slot in Slot)

    def answering(self) -> bool:
        """Whether Envoy is up: all that it was told at its start is loaded, and its listeners are open."""
        try:
            return self._get("/ready", timeout=_ADMIN_TIMEOUT).startswith("LIVE")
        except PlatformError:
            return False

    def _note_refusals(self, service: str) -> None:
        """Remember the count before a write. A write needs no running Envoy, so a silent one is no error here."""
        try:
            self._refused[service] = _refusals(self._route_stats(service, timeout=_ADMIN_TIMEOUT))
        except PlatformError:
            self._refused.pop(service, None)

    def _route_stats(self, service: str, *, timeout: Seconds) -> Mapping[str, str]:
        prefix = f"http.{service}.rds.{service}."
        stats = self._stats("^" + prefix.replace(".", r"\."), timeout=timeout)
        return {name.removeprefix(prefix): value for name, value in stats.items()}

    def _stats(self, wanted: str, *, timeout: Seconds) -> Mapping[str, str]:
        lines = self._get(f"/stats?filter={_quoted(wanted)}", timeout=timeout).splitlines()
        pairs = (line.partition(": ") for line in lines)
        return {name: value for name, _, value in pairs}

    def _get(self, path: str, *, timeout: Seconds) -> str:
        connection = _AdminConnection(self._admin, timeout=max(timeout, _FIRST_POLL))
        try:
            connection.request("GET", path)
            return connection.getresponse().read().decode()
        except (OSError, http.client.HTTPException) as error:
            raise PlatformError(
                f"Envoy's admin socket {self._admin} does not answer: {error}", mend=self._mend
            ) from error
        finally:
            connection.close()

    @property
    def _log(self) -> Path:
        return self._folder / "logs" / "envoy.log"

    @property
    def _mend(self) -> str:
        return f"see {self._log}; `bluegreen up` starts what is missing"

    def _words(self) -> str:
        """The newest line of Envoy's log about a refused file; the admin API counts refusals but gives no reason."""
        try:
            lines = _tail(self._log).splitlines()
        except OSError:
            return "its log cannot be read"
        refusals = [line for line in lines if "config update rejected" in line or "update failure" in line]
        return refusals[-1].rpartition("] ")[2] if refusals else "its log does not say why"


class _AdminConnection(http.client.HTTPConnection):
    """HTTP over the admin API's Unix socket."""

    def __init__(self, path: Path, *, timeout: Seconds) -> None:
        super().__init__("envoy", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket file instead of a host."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _quoted(pattern: str) -> str:
    """The pattern as part of a URL, without the import of urllib for the few characters that we use."""
    return "".join(f"%{ord(letter):02X}" if letter in "^$()|+\\%&# " else letter for letter in pattern)


def _counters(stats: Mapping[str, str], service: str, slot: Slot) -> PlaneCounters:
    users = f"cluster.{users_cluster(service, slot)}"
    preview = f"cluster.{preview_cluster(service, slot)}"
    open_now = (
        f"{cluster}.upstream_rq_{what}" for cluster in (users, preview) for what in ("active", "pending_active")
    )
    return PlaneCounters(
        service=service,
        slot=slot,
        requests=_number(stats, f"{users}.upstream_rq_total"),
        in_flight=sum(_number(stats, name) for name in open_now),
        healthy=min(_number(stats, f"{cluster}.membership_healthy") for cluster in (users, preview)),
        members=_number(stats, f"{users}.membership_total"),
    )


def _number(stats: Mapping[str, str], name: str) -> int:
    try:
        return int(stats[name])
    except (KeyError, ValueError) as error:
        raise PlatformError(
            f"Envoy does not count {name}", mend="`bluegreen up` starts it with the stack's services"
        ) from error


def _refusals(told: Mapping[str, str]) -> int:
    return sum(int(told.get(name, "0")) for name in ("update_rejected", "update_failure"))


def _as_expected(found: PlaneRoute, expect: str | None) -> bool:
    if expect is None:
        return found.slot is None
    return found.version == expect


def _unique() -> str:
    return os.urandom(8).hex()


def _tail(path: Path) -> str:
    with path.open("rb") as log:
        log.seek(max(0, log.seek(0, os.SEEK_END) - _LOG_TAIL))
        return log.read().decode(errors="replace")


# --- files by rename --------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[str]:
    """The file's text; what is wrong with it is told by its name."""
    try:
        yield path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise NotStarted(f"{path} does not exist", mend="start the stack with `bluegreen up`") from error
    except (OSError, ValueError) as error:
        mend = "remove the file and run `bluegreen up`, which writes a new one"
        raise PlatformError(f"{path} cannot be used: {error}", mend=mend) from error


def _replace(path: Path, text: str) -> None:
    with _fresh(path, text) as fresh:
        fresh.replace(path)


@contextlib.contextmanager
def _fresh(path: Path, text: str, *, spare: Path | None = None) -> Iterator[Path]:
    """The text as a durable file beside ``path``, to be renamed over it; the rename is durable at the end.

    ``spare``: the folder whose reserve is given up when the disk is full.
    """
    fresh = path.with_name(f".{path.name}.{_unique()}")
    try:
        _write_with_reserve(fresh, text, spare=spare)
        yield fresh
        _sync_folder(path.parent)
    except OSError as error:
        raise PlatformError(
            f"{path} cannot be written: {error.strerror}", mend="see the disk and the rights"
        ) from error
    finally:
        fresh.unlink(missing_ok=True)


def _write_with_reserve(path: Path, text: str, *, spare: Path | None) -> None:
    try:
        _write_durably(path, text)
    except OSError as error:
        if spare is None or error.errno not in _NO_ROOM or not reserve.give_up(spare):
            raise
        _write_durably(path, text)


def _write_durably(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock file; the kernel frees it when the holder dies."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
