"""One Prometheus server over HTTP: a query in, rows out, within a time.

Bounded in every way: one request a query on a connection of its own, no redirect followed (it would carry the token to
a stranger), no answer above a size, and no wait beyond the limit, whatever hangs: a name that is not answered, a
handshake, or an answer that comes byte by byte. Proxies of the environment are not used.
"""

from __future__ import annotations

import base64
import http.client
import queue
import ssl
import threading
import time
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from bluegreen.domain.errors import UsageError
from bluegreen.domain.stack import PROMETHEUS_VARIABLES
from bluegreen.domain.values import dataclass
from bluegreen.metrics import prometheus_answer
from bluegreen.metrics.counts import Unreadable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from urllib.parse import SplitResult

    from bluegreen.domain.stack import Prometheus, Seconds
    from bluegreen.metrics.prometheus_answer import Row

_LARGEST = 8 * 1024 * 1024
_PIECE = 64 * 1024
_PATH = "/api/v1/query"
_NOW = {"nocache": "1"}
"""VictoriaMetrics answers as of 30 s ago without it, and calls that now. The others take no notice of it."""

TOKEN, USER, PASSWORD = PROMETHEUS_VARIABLES


class NoAnswer(Unreadable):
    """The server cannot be asked now: the next question would end alike."""


@dataclass(frozen=True, slots=True)
class _Heard:
    status: int
    kind: str
    body: bytes


class Server:
    """Asks one server. Threads may share it."""

    def __init__(self, source: Prometheus, environment: Mapping[str, str]) -> None:
        """Read what it takes. Raises UsageError for a file that cannot be read, or credentials that contradict."""
        parts = _parts(source.url)
        self.name = f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")
        self._host, self._port = parts.hostname or "", _port(parts)
        self._path = parts.path.rstrip("/") + _PATH
        self._tls = _tls(source.ca_file) if parts.scheme == "https" else None
        self._credentials = _credentials(source.token_file, environment)
        self.in_clear = bool(self._credentials) and self._tls is None
        """Whether a credential goes over the network for everybody to read."""

    def ask(self, query: str, *, timeout: Seconds) -> tuple[Row, ...]:
        """The rows of an instant query. Raises NoAnswer, and Unreadable for an answer that cannot be used."""
        heard = self._within(query, timeout)
        if heard.status != http.client.OK:
            raise _unwilling(heard)
        return prometheus_answer.rows(heard.body, kind=heard.kind)

    def _within(self, query: str, timeout: Seconds) -> _Heard:
        """In a thread, for not all that can hang can be given a limit (a name's look-up cannot)."""
        late = NoAnswer(f"does not answer within {max(timeout, 0.0):.1f} s")
        if timeout <= 0:
            raise late
        heard: queue.SimpleQueue[_Heard | Unreadable] = queue.SimpleQueue()
        work = (query, time.monotonic() + timeout, heard)
        threading.Thread(target=self._hear, args=work, name="prometheus", daemon=True).start()
        try:
            found = heard.get(timeout=timeout)
        except queue.Empty:
            raise late from None
        if isinstance(found, Unreadable):
            raise found
        return found

    def _hear(self, query: str, end: float, heard: queue.SimpleQueue[_Heard | Unreadable]) -> None:
        try:
            heard.put(self._request(query, end))
        except TimeoutError:
            heard.put(NoAnswer("does not answer in time"))
        except (OSError, http.client.HTTPException) as error:
            heard.put(NoAnswer(f"cannot be reached: {_reason(error)}"))
        except ValueError:  # a name with two dots in a row, a path with letters of no URL
            heard.put(NoAnswer("cannot be reached: it is no address that can be asked"))
        except Unreadable as error:
            heard.put(error)

    def _request(self, query: str, end: float) -> _Heard:
        connection = self._connection(end)
        try:
            connection.request("GET", f"{self._path}?{urlencode({'query': query} | _NOW)}", headers=self._headers())
            with connection.getresponse() as answer:
                body = _read(answer, connection, end)
                return _Heard(answer.status, answer.headers.get("content-type", ""), body)
        finally:
            connection.close()

    def _connection(self, end: float) -> http.client.HTTPConnection:
        left = max(end - time.monotonic(), 0.001)
        if self._tls is None:
            return http.client.HTTPConnection(self._host, self._port, timeout=left)
        return http.client.HTTPSConnection(self._host, self._port, timeout=left, context=self._tls)

    def _headers(self) -> dict[str, str]:
        headers = {"accept": "application/json", "connection": "close", "user-agent": "bluegreen"}
        return headers | ({"authorization": self._credentials} if self._credentials else {})


def _parts(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as error:
        raise UsageError(f"prometheus: {url!r} is no URL of a server", mend="write https://host:9090") from error


def _port(parts: SplitResult) -> int | None:
    try:
        return parts.port
    except ValueError as error:
        raise UsageError(f"prometheus: {parts.netloc!r} has no port that there is", mend="write host:9090") from error


def _read(answer: http.client.HTTPResponse, connection: http.client.HTTPConnection, end: float) -> bytes:
    """All of it, until the end of the time and up to a size. Raises TimeoutError, Unreadable."""
    pieces, size = [], 0
    while piece := answer.read1(_PIECE):
        pieces.append(piece)
        size += len(piece)
        if size > _LARGEST:
            raise Unreadable(f"answers with more than {_LARGEST // 1024 // 1024} MiB: narrow the query")
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        if connection.sock is not None:
            connection.sock.settimeout(left)
    if answer.length:  # which http.client takes for the end
        raise NoAnswer("cuts its answer off")
    return b"".join(pieces)


def _unwilling(heard: _Heard) -> Unreadable:
    """Another status than 200, in words that say what to do."""
    status = heard.status
    if status in {http.client.UNAUTHORIZED, http.client.FORBIDDEN}:
        return NoAnswer(f"answers {status}: it wants other credentials (docs/prometheus.md says how to give them)")
    if http.client.MULTIPLE_CHOICES <= status < http.client.BAD_REQUEST:
        return NoAnswer(f"answers {status}, which leads elsewhere: name the address behind it")
    if why := prometheus_answer.refusal(heard.body):
        return NoAnswer(why) if status == http.client.SERVICE_UNAVAILABLE else Unreadable(why)
    if status == http.client.NOT_FOUND:
        return NoAnswer(f"answers {status}: there is no {_PATH} below this address")
    return NoAnswer(f"answers {status}")


def _reason(error: Exception) -> str:
    """What went wrong, without what was sent."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return type(error).__name__


def _tls(ca_file: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(
            f"prometheus: {ca_file} holds no certificates that can be read", mend="name a PEM file under ca_file"
        ) from error


def _credentials(token_file: str, environment: Mapping[str, str]) -> str:
    """The header's value: a token from the file, else from the environment; else a user's password from there."""
    token = _token_of(token_file) if token_file else environment.get(TOKEN, "")
    user, password = environment.get(USER, ""), environment.get(PASSWORD, "")
    if token and user:
        raise UsageError(f"prometheus: both a token and {USER} are given", mend="give one of them")
    if bool(user) is not bool(password):
        raise UsageError(f"prometheus: {USER} and {PASSWORD} go together", mend="set both, or none")
    if user:
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    if not token:
        return ""
    if not (token.isascii() and token.isprintable()):
        raise UsageError("prometheus: the token has characters that no token has", mend="look for a line break in it")
    return f"Bearer {token}"


def _token_of(file: str) -> str:
    try:
        with open(file, encoding="ascii") as opened:  # noqa: PTH123 - one line, without pathlib's import
            token = opened.read().strip()
    except (OSError, ValueError) as error:
        raise UsageError(
            f"prometheus: the token in {file} cannot be read", mend="name a readable file under token_file"
        ) from error
    if not token:
        raise UsageError(f"prometheus: {file} holds no token", mend="name the file that holds it under token_file")
    return token
