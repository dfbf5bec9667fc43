"""One socket, plain or TLS, that never waits longer than it may.

Every wait is short and asks a Limit again, so a deadline holds however slowly bytes trickle, an interrupt is noticed
while the server is silent, and virtual time works. It knows no HTTP; it decides no limit.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import select
import socket
import ssl
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

from bluegreen.domain.errors import DeadlineExceeded
from bluegreen.domain.stack import after

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import WriteableBuffer

    from bluegreen.domain.stack import Instant, Seconds
    from bluegreen.ports import Clock

T = TypeVar("T")

_GLANCE: Seconds = 0.1
"""The longest wait without asking the limit again: how late an interrupt may be."""


class Limit(Protocol):
    """How long to wait."""

    def left(self) -> Seconds:
        """Seconds left, more than none. Raises what is to be raised when there are none."""


class Deadline:
    """A caller's ``until``."""

    def __init__(self, clock: Clock, until: Instant, *, what: str) -> None:
        """``what``: what is waited for, for the error."""
        self.clock = clock
        self.until = until
        self._what = what

    def left(self) -> Seconds:
        """As in Limit. Raises DeadlineExceeded, Interrupted."""
        self.clock.raise_if_interrupted()
        left = self.until - self.clock.now()
        if left <= 0:
            raise DeadlineExceeded(f"{self._what}: no answer within the limit")
        return left

    def patience(self, seconds: Seconds) -> Patience:
        """A shorter limit within this one, from now on."""
        return Patience(self, seconds)


class Patience:
    """How long the other side may do nothing before it counts as dead: TimeoutError, an OSError like a reset."""

    def __init__(self, deadline: Deadline, seconds: Seconds) -> None:
        """It starts now."""
        self._deadline = deadline
        self._over = after(deadline.clock.now(), seconds)

    def left(self) -> Seconds:
        """As in Limit. Raises TimeoutError, and what the deadline raises."""
        left = self._deadline.left()
        silent = self._over - self._deadline.clock.now()
        if silent <= 0:
            raise TimeoutError("the other side is silent")
        return min(left, silent)


class Wire:
    """A connected socket. Close it."""

    def __init__(self, sock: socket.socket, limit: Limit) -> None:
        """``limit`` holds for what follows; it may be set anew at any time."""
        sock.settimeout(0)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock = sock
        self.limit = limit

    @classmethod
    def dial(cls, host: str, port: int, *, limit: Callable[[], Limit]) -> Self:
        """Connect to the first address that answers, with a limit for each. Raises OSError."""
        fault: OSError = OSError(f"{host} has no address")
        for family, kind, protocol, _, address in socket.getaddrinfo(_plain(host), port, type=socket.SOCK_STREAM):
            wire = cls(socket.socket(family, kind, protocol), limit())
            try:
                wire._connect(address)
                return wire
            except OSError as error:
                wire.close()
                fault = error
            except BaseException:
                wire.close()
                raise
        raise fault

    def _connect(self, address: tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]) -> None:
        with contextlib.suppress(BlockingIOError):
            self._sock.connect(address)
            return
        self._wait(select.POLLOUT)
        code = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))

    def secure(self, context: ssl.SSLContext, *, name: str) -> Wire:
        """Go over to TLS. This wire is used up. Raises ssl.SSLError, OSError."""
        inner = context.wrap_socket(self._sock, server_hostname=_plain(name), do_handshake_on_connect=False)
        wire = Wire(inner, self.limit)
        try:
            wire._done(inner.do_handshake, otherwise=select.POLLIN)
        except BaseException:
            wire.close()
            raise
        return wire

    def stale(self) -> bool:
        """Whether something came while nothing was asked: most often the end."""
        return bool(_ready(self._sock, select.POLLIN, 0.0))

    def sendall(self, data: bytes) -> None:
        """Send everything."""
        sent = 0
        while sent < len(data):
            rest = memoryview(data)[sent:]
            sent += self._done(functools.partial(self._sock.send, rest), otherwise=select.POLLOUT)

    def receive_into(self, buffer: WriteableBuffer) -> int:
        """Receive what is there, at least one byte; 0: the other side has ended."""
        self.limit.left()  # what never makes us wait has to end as well
        return self._done(lambda: self._sock.recv_into(buffer), otherwise=select.POLLIN)

    def stream(self) -> io.BufferedReader:
        """What an answer is read from. Closing it leaves the wire open."""
        return io.BufferedReader(_Reader(self))

    def abandon(self) -> None:
        """End it from another thread: whoever reads is told that the other side has ended."""
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of the socket."""
        self._sock.close()

    def _done(self, operation: Callable[[], T], *, otherwise: int) -> T:
        """Repeat it until it needs not wait. ``otherwise``: what a plain socket waits for."""
        while True:
            try:
                return operation()
            except ssl.SSLWantReadError:
                self._wait(select.POLLIN)
            except ssl.SSLWantWriteError:
                self._wait(select.POLLOUT)
            except BlockingIOError:
                self._wait(otherwise)

    def _wait(self, event: int) -> None:
        while not _ready(self._sock, event, min(_GLANCE, self.limit.left())):
            pass


class _Reader(io.RawIOBase):
    """The wire as a file. Unlike the socket's own it survives a wait that found nothing."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        return self._wire.receive_into(buffer)


def _plain(host: str) -> str | bytes:
    """A name without letters of other scripts as bytes: for a text Python loads its tables of them, every time."""
    return host.encode("ascii") if host.isascii() else host


def _ready(sock: socket.socket, event: int, seconds: Seconds) -> bool:
    poll = select.poll()
    poll.register(sock, event)
    return bool(poll.poll(seconds * 1000))
