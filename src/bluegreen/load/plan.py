"""What a run of the load generator is to do, and its bounds.

Decides which plans are refused. Does not know how a request is made (``exchange``, ``websocket``) or what an
answer counts as (``classify``).
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Seconds = float

MAX_SECONDS: Seconds = 1800.0
MAX_RATE = 5000.0
MAX_CONNECTIONS = 2000
MAX_TIMEOUT: Seconds = 60.0


class PlanError(ValueError):
    """The plan is refused; the text is one line that says what is wrong and what to do."""


class Kind(StrEnum):
    """A sort of client, as users have them."""

    NEW = "new"
    KEEPALIVE = "keepalive"
    SLOW = "slow"
    POST = "post"
    STREAM = "stream"
    WEBSOCKET = "websocket"


@dataclass(frozen=True, slots=True, kw_only=True)
class KindPlan:
    """One kind of client: how often it asks, over how many connections, and what is a right answer."""

    kind: Kind
    rate: float
    """Requests per second, of all connections of this kind together."""
    connections: int = 0
    """Kept-alive connections; 0: a new one for each request. WebSockets: how many are held."""
    path: str = ""
    """What is asked for, with its query; empty: the path of the plan's URL."""
    contains: str = ""
    """Text that a right answer's body holds (its first 64 KiB are searched); empty: any body."""
    takes: Seconds = 0.0
    """How long a right answer takes by design; what is called too slow, and the time limit, begin after it."""
    timeout: Seconds = 5.0
    """After how long without a complete answer a request is given up, counted from its sending."""

    def __post_init__(self) -> None:
        """Refuse what is out of bounds or makes no sense. Raises PlanError."""
        _refuse_unless(self.rate > 0, f"the rate of {self.kind} must be above 0, not {self.rate:g}")
        _refuse_unless(self.timeout > 0, f"the time limit of {self.kind} must be above 0 s, not {self.timeout:g}")
        fits = self.takes >= 0 and self.timeout + self.takes <= MAX_TIMEOUT
        _refuse_unless(fits, f"a request of {self.kind} may take {MAX_TIMEOUT:g} s at most; give a shorter time limit")
        _refuse_unless(self.connections >= 0, f"{self.kind} cannot have {self.connections} connections")
        if self.kind is Kind.NEW:
            _refuse_unless(self.connections == 0, "new opens a connection for each request; use keepalive to keep some")
        if self.kind is Kind.WEBSOCKET:
            _refuse_unless(self.connections > 0, "websocket needs at least 1 connection")
        _refuse_unless(not self.path or self.path.startswith("/"), f"the path {self.path!r} must begin with /")
        _refuse_unless(_plain(self.path), f"the path {self.path!r} {_NOT_PLAIN}")
        _refuse_unless("#" not in self.path, f"the path {self.path!r} has a fragment, which no request can hold")

    @classmethod
    def usual(cls, kind: Kind, *, rate: float) -> KindPlan:
        """The kind as it is meant to be used, against a stack that has the paths of the Alfred example."""
        usual = _USUAL[kind]
        return cls(kind=kind, rate=rate, connections=usual.connections, path=usual.path, takes=usual.takes)

    def requests(self, duration: Seconds) -> int:
        """How many requests are due in that many seconds."""
        return int(self.rate * duration + 1e-6)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Usual:
    connections: int = 0
    path: str = ""
    takes: Seconds = 0.0


_USUAL: Mapping[Kind, _Usual] = {
    Kind.NEW: _Usual(),
    Kind.KEEPALIVE: _Usual(connections=8),
    Kind.SLOW: _Usual(connections=4, path="/api/slow?seconds=2", takes=2.0),
    Kind.POST: _Usual(connections=4, path="/api/work"),
    Kind.STREAM: _Usual(connections=4, path="/api/stream?chunks=5&interval=0.1", takes=0.4),
    Kind.WEBSOCKET: _Usual(connections=4, path="/ws"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """One run: where to, for how long, with which clients. Refused here when it is out of bounds."""

    url: str
    duration: Seconds
    kinds: tuple[KindPlan, ...]
    bad_versions: frozenset[str] = frozenset()
    """Versions whose wrong or slow answers count as ``answered_badly`` instead of ``failed``."""
    slow_over_ms: float | None = None
    """A complete answer that took longer, from its sending, is noted as too slow; None: none is."""
    max_connections: int = MAX_CONNECTIONS
    """A request that would need one more is counted as failed: it could not be shown to succeed."""
    allow: frozenset[str] = frozenset()
    """Hosts other than this machine that the caller means to put under load."""

    def __post_init__(self) -> None:
        """Refuse what is out of bounds. Raises PlanError."""
        _check_kinds(self.kinds)
        _refuse_unless(self.duration > 0, f"the duration must be above 0 s, not {self.duration:g}")
        _at_most(self.duration, MAX_SECONDS, "the duration", "s")
        _at_most(sum(kind.rate for kind in self.kinds), MAX_RATE, "the rate of all kinds", "req/s")
        _at_most(self.max_connections, MAX_CONNECTIONS, "the connection limit", "connections")
        _refuse_unless(self.max_connections > 0, "with no connection allowed every request would fail; allow some")
        _at_most(
            sum(kind.connections for kind in self.kinds),
            self.max_connections,
            "the number of kept connections",
            "connections",
        )
        _refuse_unless(self.requests > 0, "no request is due in that time; give a longer duration or a higher rate")
        _refuse_unless(self.slow_over_ms is None or self.slow_over_ms > 0, "the time that is slow must be above 0 ms")
        _split(self.url)

    @property
    def requests(self) -> int:
        """How many requests are due in the whole run."""
        return sum(kind.requests(self.duration) for kind in self.kinds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where every request of a run goes: resolved once, so that no look-up happens while it runs."""

    address: str
    port: int
    host: str
    """The ``Host`` header."""
    path: str


def resolve(plan: LoadPlan) -> Target:
    """Find the address to connect to.

    Raises PlanError for a name that does not resolve, for an address that is not this machine and was not
    allowed by the caller, and always for one on the public internet: this is no tool to use on others.
    """
    name, port, path = _split(plan.url)
    addresses = _addresses(name, port)
    for address in addresses:
        _check_address(address, name=name, allow=plan.allow)
    return Target(address=addresses[0], port=port, host=urlsplit(plan.url).netloc, path=path)


def _check_kinds(kinds: Iterable[KindPlan]) -> None:
    names = [kind.kind for kind in kinds]
    _refuse_unless(bool(names), "no kind of client is given; give at least one, for example --new 50")
    for name in names:
        _refuse_unless(names.count(name) == 1, f"{name} is given twice; give each kind once")


def _split(url: str) -> tuple[str, int, str]:
    """Host name, port and path with query of ``url``. Raises PlanError."""
    try:
        parts = urlsplit(url)
        port = 80 if parts.port is None else parts.port
    except ValueError as error:
        raise PlanError(f"{url!r} is no URL: {error}") from error
    _refuse_unless(_plain(url), f"{url!r} {_NOT_PLAIN}")
    _refuse_unless(port > 0, f"{url!r} has port 0, where nobody can listen")
    right = parts.scheme == "http" and parts.hostname and "@" not in parts.netloc
    if not right or parts.hostname is None:
        raise PlanError(f"{url!r} is no URL of this kind: http://HOST:PORT/PATH")
    query = f"?{parts.query}" * bool(parts.query)
    return parts.hostname, port, f"{parts.path or '/'}{query}"


def _addresses(name: str, port: int) -> list[str]:
    """All addresses of ``name``, IPv4 first: most services under test listen there only."""
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise PlanError(f"cannot find the host {name!r}: {error}") from error
    found.sort(key=lambda entry: entry[0] is not socket.AF_INET)
    return [str(entry[4][0]) for entry in found]


def _check_address(address: str, *, name: str, allow: frozenset[str]) -> None:
    ip = ipaddress.ip_address(address.partition("%")[0])
    _refuse_unless(not ip.is_global, f"{name} is a public address ({address}); load is only for your own namespace")
    named = name in allow or address in allow
    _refuse_unless(
        ip.is_loopback or named, f"{name} ({address}) is not this machine; add --allow {name} if it is yours"
    )


def _plain(text: str) -> bool:
    """Whether the first line of a request can hold it."""
    return all("!" <= letter <= "~" for letter in text)


_NOT_PLAIN = "has a character that no request can hold; write it as %XX"


def _at_most(value: float, limit: float, what: str, unit: str) -> None:
    _refuse_unless(value <= limit, f"{what}, {value:g} {unit}, is above the limit of {limit:g} {unit}")


def _refuse_unless(right: bool, message: str) -> None:  # noqa: FBT001 - reads as a sentence where it is used
    if not right:
        raise PlanError(message)
