"""One HTTP/1.1 connection to the API server, directly or through a proxy: a request out, an answer in.

It decides nothing about repeating. What it raises says whether the request had left: Broken.sent.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from bluegreen.domain.errors import UsageError
from bluegreen.domain.values import dataclass, field
from bluegreen.platforms.kubernetes.answer import Answer, NotHttp
from bluegreen.platforms.kubernetes.errors import NotKubernetes
from bluegreen.platforms.kubernetes.tls import context_of
from bluegreen.platforms.kubernetes.wire import Wire

if TYPE_CHECKING:
    from bluegreen.domain.stack import Seconds
    from bluegreen.platforms.kubernetes.cluster import Cluster, Identity, Proxy, Server
    from bluegreen.platforms.kubernetes.wire import Deadline, Limit

CONNECT_LIMIT: Seconds = 5.0
"""For one address, for the proxy's answer, for the TLS handshake."""

_USER_AGENT = "bluegreen"


class Broken(Exception):
    """The connection did not hold. ``sent``: the server may have got the whole request; ``answered``: the head of an
    answer had come.
    """

    def __init__(self, why: str, *, sent: bool, answered: bool = False) -> None:
        """``why``: for the screen; no part of a request or an answer."""
        super().__init__(why)
        self.sent = sent
        self.answered = answered


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What goes out. Headers and body may hold secrets: neither is ever shown."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes | None = field(default=None, repr=False)


class Connection:
    """Connects when it is first used, and again after it broke. One thread's; close it."""

    def __init__(self, cluster: Cluster) -> None:
        """Nothing is connected yet."""
        self._cluster = cluster
        self._wire: Wire | None = None
        self._identity: Identity | None = None
        self._context: ssl.SSLContext | None = None

    def close(self) -> None:
        """Let go; the next request connects anew."""
        if self._wire is not None:
            self._wire.close()
        self._wire = None

    def abandon(self) -> None:
        """End whatever is under way, from another thread."""
        wire = self._wire
        if wire is not None:
            wire.abandon()

    def limit(self, limit: Limit) -> None:
        """Set how long what follows may take."""
        if self._wire is not None:
            self._wire.limit = limit

    def send(self, request: Request, identity: Identity, *, deadline: Deadline) -> Answer:
        """Send it and read the answer's head. Raises Broken, NotKubernetes, UsageError, what the deadline raises."""
        try:
            wire = self._ready(identity, deadline)
        except OSError as error:
            raise self._not_connected(error) from error
        try:
            wire.limit = deadline
            wire.sendall(_head(request, self._cluster.server, identity))
            return _answer(wire)
        except OSError as error:
            self.close()
            raise Broken(_why(error), sent=True) from error
        except NotHttp as error:
            self.close()
            raise Broken("the answer was cut off or is not HTTP", sent=True) from error
        except BaseException:
            self.close()
            raise

    def _not_connected(self, error: OSError) -> Broken | NotKubernetes:
        if isinstance(error, ssl.SSLCertVerificationError):
            text = f"the certificate of {self._cluster.server} is not trusted: {error.verify_message}"
            return NotKubernetes(text, mend="compare certificate-authority-data and tls-server-name in the kubeconfig")
        if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            text = f"no TLS connection comes about with {self._cluster.server}: {_why(error)}"
            return NotKubernetes(
                text, mend="check the server's address; and the client certificate, which may have ended"
            )
        return Broken(_why(error), sent=False)

    def _ready(self, identity: Identity, deadline: Deadline) -> Wire:
        if self._wire is not None and (identity.certificate != self._certificate() or self._wire.stale()):
            self.close()
        if self._wire is None:
            self._context_for(identity)
            self._wire = self._connected(deadline)
        return self._wire

    def _certificate(self) -> object:
        return self._identity.certificate if self._identity else None

    def _context_for(self, identity: Identity) -> None:
        if not self._cluster.server.tls:
            return
        if self._context is None or identity.certificate != self._certificate():
            self._context = context_of(self._cluster.trust, identity.certificate)
            self._identity = identity

    def _connected(self, deadline: Deadline) -> Wire:
        server, proxy = self._cluster.server, self._cluster.proxy
        host, port = (proxy.host, proxy.port) if proxy else (server.host, server.port)
        wire = Wire.dial(host, port, limit=lambda: deadline.patience(CONNECT_LIMIT))
        wire.limit = deadline.patience(CONNECT_LIMIT)
        try:
            if proxy:
                _tunnel(wire, server, proxy)
            if self._context is not None:
                wire = wire.secure(self._context, name=self._cluster.trust.name or server.host)
        except BaseException:
            wire.close()
            raise
        return wire


def _head(request: Request, server: Server, identity: Identity) -> bytes:
    """The request as it goes over the wire."""
    headers = [
        ("Host", server.authority),
        ("User-Agent", _USER_AGENT),
        *request.headers,
        *identity.headers,
    ]
    if identity.authorization:
        headers.append(("Authorization", identity.authorization))
    if request.body is not None:
        headers.append(("Content-Length", str(len(request.body))))
    return _lines(f"{request.method} {request.target} HTTP/1.1", headers) + (request.body or b"")


def _lines(first: str, headers: list[tuple[str, str]]) -> bytes:
    lines = [first, *(f"{name}: {value}" for name, value in headers)]
    if any("\r" in line or "\n" in line or not line.isascii() for line in lines):
        raise UsageError(
            "a token, user name or path for the API server holds a character that no request can carry",
            mend="look for a line break or a letter with an accent in the kubeconfig's user",
        )
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


def _answer(wire: Wire) -> Answer:
    stream = wire.stream()
    try:
        return Answer(stream)
    except BaseException:
        stream.close()
        raise


def _tunnel(wire: Wire, server: Server, proxy: Proxy) -> None:
    """Ask the proxy for a way to the server."""
    host = f"[{server.host}]" if ":" in server.host else server.host
    place = f"{host}:{server.port}"
    headers = [("Host", place)]
    if proxy.authorization:
        headers.append(("Proxy-Authorization", proxy.authorization))
    wire.sendall(_lines(f"CONNECT {place} HTTP/1.1", headers))
    try:
        response = _answer(wire)
    except NotHttp:
        raise OSError(f"the proxy at {proxy.host}:{proxy.port} does not speak HTTP") from None
    response.close()
    if response.status == 407:
        raise UsageError(
            f"the proxy at {proxy.host}:{proxy.port} wants to know who asks (407)",
            mend="put the user and password in proxy-url or HTTPS_PROXY, or name the server in NO_PROXY",
        )
    if not 200 <= response.status < 300:
        raise OSError(f"the proxy at {proxy.host}:{proxy.port} answered {response.status}")


def _why(error: OSError) -> str:
    """What broke, in few words: never what a server wrote."""
    if isinstance(error, ssl.SSLError):
        return (error.reason or "TLS failed").lower().replace("_", " ")
    return error.strerror or str(error) or type(error).__name__
