"""A scripted API server on real sockets: each request gets the next step of the script, one fault a step.

When the script is at its end a request is answered by silence, as a server does that hangs.
"""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

JsonObject = dict[str, object]


@dataclass(frozen=True)
class Heard:
    """A request as it came."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    connection: int
    """Which connection it came by, counted from 0."""
    certificate: str = ""
    """The common name of the client's certificate; empty: it showed none."""

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    @property
    def json(self) -> object:
        return json.loads(self.body)


@dataclass
class Conversation:
    """One request and the connection it came by, for a step to do its worst with."""

    sock: socket.socket
    heard: Heard
    server: ScriptedServer
    goes_on: bool = True
    """Whether the connection lives on after the step."""

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def reset(self) -> None:
        """RST instead of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.goes_on = False

    def client_is_there(self) -> bool:
        """False once the client has closed, or the test is over."""
        if self.server.closing.is_set():
            return False
        self.sock.settimeout(0)
        try:
            return self.sock.recv(1) != b""
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            return False
        finally:
            self.sock.settimeout(None)


Step = Callable[[Conversation], None]


class ScriptedServer:
    """Listens on 127.0.0.1 as long as its block lasts."""

    def __init__(self, *steps: Step, tls: ssl.SSLContext | None = None) -> None:
        self.script: deque[Step] = deque(steps)
        self.heard: list[Heard] = []
        self.closing = threading.Event()
        self.closed: set[int] = set()
        """The connections that this side has closed."""
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for sock in self._sockets:
            with suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive(), "a step of the script does not end"
        self._listener.close()

    def _accept(self) -> None:
        while not self.closing.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(sock)
            thread = threading.Thread(target=self._serve, args=(sock, len(self._sockets) - 1), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, plain: socket.socket, number: int) -> None:
        sock = plain
        try:
            if self._tls is not None:
                sock = self._tls.wrap_socket(plain, server_side=True)
            while (heard := self._read(sock, number)) is not None:
                self.heard.append(heard)
                conversation = Conversation(sock, heard, self)
                step = self.script.popleft() if self.script else silence
                step(conversation)
                if not conversation.goes_on:
                    return
        except OSError:
            pass  # the client is gone, or did not like our certificate
        finally:
            sock.close()
            self.closed.add(number)

    def _read(self, sock: socket.socket, number: int) -> Heard | None:
        data = b""
        while b"\r\n\r\n" not in data:
            chunk = sock.recv(65536)
            if not chunk:
                return None
            data += chunk
        head, _, body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("ascii").split("\r\n")
        method, target, _ = first.split(" ")
        headers = tuple((line.partition(": ")[0], line.partition(": ")[2]) for line in lines)
        length = int({name.lower(): value for name, value in headers}.get("content-length", "0"))
        while len(body) < length:
            body += sock.recv(65536)
        return Heard(method, target, headers, body, number, _common_name(sock))


def _common_name(sock: socket.socket) -> str:
    shown = sock.getpeercert() if isinstance(sock, ssl.SSLSocket) else None
    subject = shown.get("subject", ()) if shown else ()
    fields: list[tuple[str, str]] = [pair for part in subject for pair in part]  # type: ignore[misc]
    return dict(fields).get("commonName", "")


# --- steps ------------------------------------------------------------------------------------------------------


def head(status: int, headers: Iterable[tuple[str, str]]) -> bytes:
    lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def raw(data: bytes, *, close: bool = True) -> Step:
    """These bytes, then the end."""

    def step(conversation: Conversation) -> None:
        conversation.send(data)
        conversation.goes_on = not close

    return step


def page(status: int, text: str, *, kind: str = "text/html", **headers: str) -> Step:
    """An answer that is not JSON of ours."""
    listed = [("Content-Type", kind), ("Content-Length", str(len(text.encode())))]
    listed += [(name.replace("_", "-"), value) for name, value in headers.items()]
    return raw(head(status, listed) + text.encode(), close=False)


def reply(body: object, *, status: int = 200, **headers: str) -> Step:
    """JSON. ``Retry_After="1"`` becomes a header."""
    return page(status, json.dumps(body), kind="application/json", **headers)


def status_body(code: int, reason: str = "", message: str = "", **details: object) -> JsonObject:
    """The API server's own answer."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "reason": reason,
        "message": message,
        "code": code,
        **({"details": details} if details else {}),
    }


def refuse(
    code: int, reason: str = "", message: str = "", *, details: JsonObject | None = None, **headers: str
) -> Step:
    return reply(status_body(code, reason, message, **(details or {})), status=code, **headers)


def reset(conversation: Conversation) -> None:
    """Nothing, and a RST."""
    conversation.reset()


def hang_up(conversation: Conversation) -> None:
    """Nothing, and a FIN."""
    conversation.goes_on = False


def last(step: Step) -> Step:
    """The step, then a FIN."""

    def last_step(conversation: Conversation) -> None:
        step(conversation)
        conversation.goes_on = False

    return last_step


def silence(conversation: Conversation) -> None:
    """Nothing, until the client gives up."""
    while conversation.client_is_there():
        conversation.server.closing.wait(0.002)
    conversation.goes_on = False


def silence_while(tick: Callable[[], None]) -> Step:
    """Nothing, while time goes by: ``tick`` is called again and again."""

    def step(conversation: Conversation) -> None:
        while conversation.client_is_there():
            tick()
            conversation.server.closing.wait(0.002)
        conversation.goes_on = False

    return step


def half_close(data: bytes) -> Step:
    """These bytes, then FIN from this side only: the socket stays."""

    def step(conversation: Conversation) -> None:
        conversation.send(data)
        socket.socket.shutdown(conversation.sock, socket.SHUT_WR)
        silence(conversation)

    return step


def trickle(data: bytes, *, tick: Callable[[], None]) -> Step:
    """The bytes one by one, time going by before each."""

    def step(conversation: Conversation) -> None:
        for index in range(len(data)):
            if not conversation.client_is_there():
                break
            tick()
            conversation.send(data[index : index + 1])
            conversation.server.closing.wait(0.0005)
        silence(conversation)

    return step


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


STREAM_HEAD = head(200, [("Content-Type", "application/json"), ("Transfer-Encoding", "chunked")])


def line(kind: str, item: JsonObject) -> bytes:
    return json.dumps({"type": kind, "object": item}).encode() + b"\n"


def stream(*lines: bytes, then: Step | None = None) -> Step:
    """A watch: these lines, a chunk each, then a good end; or whatever ``then`` does."""

    def step(conversation: Conversation) -> None:
        conversation.send(STREAM_HEAD)
        for one in lines:
            conversation.send(chunk(one))
        if then is None:
            conversation.send(b"0\r\n\r\n")
        else:
            then(conversation)

    return step


# --- objects ----------------------------------------------------------------------------------------------------


def thing(name: str, version: int, *, uid: str = "", **fields: object) -> JsonObject:
    return {"metadata": {"name": name, "uid": uid or f"uid-{name}", "resourceVersion": str(version)}, **fields}


def listing(version: int, *items: JsonObject) -> JsonObject:
    return {"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": str(version)}, "items": list(items)}


def bookmark(version: int) -> bytes:
    return line("BOOKMARK", {"metadata": {"resourceVersion": str(version)}})
