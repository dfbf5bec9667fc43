"""The second witness: a client that asks one request after the other with a blocking socket.

It shares no code with the load generator, reads just enough HTTP and WebSocket for the misbehaving server, and
is built the other way round: no event loop, no library, no schedule. What the two agree on is what happened.
"""

from __future__ import annotations

import json
import os
import select
import socket
from collections import Counter

WHOLE = ("none", "wrong_status", "wrong_body")


class HttpWitness:
    """Asks for ``/``, on one kept connection or on a new one each time."""

    def __init__(self, port: int, *, keep: bool, contains: bytes, timeout: float, post: bool = False) -> None:
        """``timeout``: seconds without news after which a request is given up."""
        self._port = port
        self._keep = keep
        self._contains = contains
        self._timeout = timeout
        self._post = post
        self._socket: socket.socket | None = None

    def ask(self, times: int) -> Counter[str]:
        """Ask that often, each time once. Returns how often each cause was met."""
        totals = Counter(self._ask() for _ in range(times))
        self._hang_up()
        return totals

    def _ask(self) -> str:
        try:
            got, cause = self._exchange(self._connected())
        except ConnectionRefusedError:
            return "connect_refused"
        cause = cause or self._judged(got)
        if not self._keep or cause not in WHOLE or b"\r\nConnection: close\r\n" in got:
            self._hang_up()
        return cause

    def _connected(self) -> socket.socket:
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=self._timeout)
        return self._socket

    def _exchange(self, sock: socket.socket) -> tuple[bytes, str]:
        """What was got, and why that is not a whole answer; no cause: it is one."""
        got = b""
        try:
            sock.sendall(self._request())
            while not _is_whole(got):
                news = sock.recv(65536)
                if not news:
                    return got, "truncated" if got else "reset_before_first_byte"
                got += news
        except TimeoutError:
            return got, "timeout"
        except ConnectionError:
            return got, "reset_after_first_byte" if got else "reset_before_first_byte"
        return got, ""

    def _judged(self, got: bytes) -> str:
        if not got.startswith(b"HTTP/1.1 "):
            return "malformed"
        if got[9:12] != b"200":
            return "wrong_status"
        return "none" if self._contains in got else "wrong_body"

    def _request(self) -> bytes:
        last = b"\r\n" if self._keep else b"Connection: close\r\n\r\n"
        if self._post:
            return b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n" + last + b"{}"
        return b"GET / HTTP/1.1\r\nHost: test\r\n" + last

    def _hang_up(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _is_whole(got: bytes) -> bool:
    if got and not b"HTTP/1.1 ".startswith(got[:9]):
        return True
    head, blank, body = got.partition(b"\r\n\r\n")
    if not blank:
        return False
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b": ")
        if name == b"Content-Length":
            return len(body) >= int(value)
        if name == b"Transfer-Encoding":
            return body.endswith(b"\r\n0\r\n\r\n")
    return False


class WebSocketWitness:
    """Sends messages on one WebSocket, each after the echo of the last, and opens a new one when it ended."""

    def __init__(self, port: int, *, timeout: float) -> None:
        """``timeout``: seconds without news after which a message is given up."""
        self._port = port
        self._timeout = timeout
        self._socket: socket.socket | None = None
        self._number = 0
        self.totals: Counter[str] = Counter()
        self.moved = 0

    def ask_until(self, total: int) -> None:
        """Send until that many requests are accounted for, a socket lost between two messages counting as one."""
        while self.totals.total() < total:
            self._notice_end()
            if self.totals.total() < total:
                self.totals[self._ask()] += 1
        self._hang_up()

    def _ask(self) -> str:
        if self._socket is None:
            cause = self._open()
            if cause:
                return cause
        assert self._socket is not None
        self._number += 1
        text = f"witness {self._number}"
        try:
            self._socket.sendall(_masked(text.encode()))
            return self._read(text)
        except TimeoutError:
            return "timeout"
        except ConnectionError:
            return self._lost(1006)

    def _open(self) -> str:
        """Returns why there is no socket; empty: there is one."""
        try:
            sock = socket.create_connection(("127.0.0.1", self._port), timeout=self._timeout)
        except ConnectionRefusedError:
            return "connect_refused"
        sock.sendall(_HANDSHAKE)
        head = b""
        try:
            while b"\r\n\r\n" not in head:
                news = sock.recv(1)
                if not news:
                    break
                head += news
        except TimeoutError:
            sock.close()
            return "timeout"
        if head.startswith(b"HTTP/1.1 101 ") and head.endswith(b"\r\n\r\n"):
            self._socket = sock
            return ""
        sock.close()
        return _refusal(head)

    def _notice_end(self) -> None:
        """Look whether the socket has ended since the last message, without waiting."""
        if self._socket is None or not select.select([self._socket], [], [], 0)[0]:
            return
        cause = self._read("")
        if cause not in ("ws_closed 1001", "ws_closed 1012"):
            self.totals[cause] += 1

    def _read(self, text: str) -> str:
        head = self._exactly(2)
        data = self._exactly(head[1]) if len(head) == 2 else b""
        if len(head) < 2 or len(data) < head[1]:
            return self._lost(1006)
        if head[0] == 0x88:
            return self._lost(int.from_bytes(data[:2], "big"))
        return "none" if json.loads(data)["echo"] == text else "wrong_body"

    def _exactly(self, number: int) -> bytes:
        """That many bytes, or fewer at the end of the connection."""
        assert self._socket is not None
        got = b""
        while len(got) < number:
            news = self._socket.recv(number - len(got))
            if not news:
                return got
            got += news
        return got

    def _lost(self, code: int) -> str:
        self._hang_up()
        self.moved += code in (1001, 1012)
        return f"ws_closed {code}"

    def _hang_up(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


_HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


def _refusal(head: bytes) -> str:
    if not head:
        return "reset_before_first_byte"
    if not head.startswith(b"HTTP/1.1 "):
        return "malformed"
    return "wrong_status" if b"\r\n\r\n" in head else "truncated"


def _masked(data: bytes) -> bytes:
    """A text frame as a client sends it."""
    mask = os.urandom(4)
    return bytes([0x81, 0x80 | len(data)]) + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(data))
