"""The API as verbs. It decides what is sent again, and when; it does not decide what an answer means for a release.

What is sent again, with a growing pause, until the call's own limit:

- answered 429: every verb, for nothing was done; the server's Retry-After is kept to;
- no connection: every verb, for nothing was sent;
- a reset, silence or 5xx: what reads or reviews, and what writes with a precondition. It is read from the call itself:
  ``metadata.resourceVersion`` in a patch, a ``test`` in a JSON patch, the name of a new object, the preconditions of a
  deletion. Its second try may find its own first one and be told Conflict, AlreadyExists or NotFound: read back. Any
  other write ends as LostAnswer;
- 401: once, when fetching the credentials anew gave others.

One Api is one thread's and holds one connection. Cluster and credentials are shared: another thread makes an Api of its
own.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Self
from urllib.parse import urlencode

from bluegreen.domain.errors import DeadlineExceeded, PlatformError
from bluegreen.domain.stack import after
from bluegreen.domain.values import dataclass, field
from bluegreen.platforms.kubernetes.answer import NotHttp
from bluegreen.platforms.kubernetes.connection import Broken, Connection, Request
from bluegreen.platforms.kubernetes.errors import (
    LostAnswer,
    NotKubernetes,
    Refused,
    Silent,
    TooMany,
    Unauthorized,
    Unreachable,
    asked_of,
    error_of,
    own_status,
    status_of,
)
from bluegreen.platforms.kubernetes.node import Node
from bluegreen.platforms.kubernetes.pace import Backoff, Pace
from bluegreen.platforms.kubernetes.wire import Deadline

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    from bluegreen.domain.stack import Instant, Seconds
    from bluegreen.platforms.kubernetes.answer import Answer
    from bluegreen.platforms.kubernetes.cluster import Cluster, Identity
    from bluegreen.platforms.kubernetes.errors import Asked
    from bluegreen.platforms.kubernetes.node import Json
    from bluegreen.ports import Clock

LARGEST: int = 64 * 2**20
"""Bytes of an answer; 500 pods are about 5 MB."""
LARGEST_TEXT: int = 8 * 2**20
"""Bytes of a log or of a pod's own answer; what is longer is cut."""
LARGEST_EVENT: int = 8 * 2**20
"""Bytes of one line of a watch; etcd takes no object over 1.5 MB."""
_CHUNK = 64 * 1024

_JSON = "application/json"
_METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_MERGE_PATCH = "application/merge-patch+json"
_JSON_PATCH = "application/json-patch+json"
_APPLY_PATCH = "application/apply-patch+yaml"  # JSON is YAML

Query = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """All objects at one version, from which a watch goes on."""

    items: tuple[Json, ...] = field(repr=False)
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PodRequest:
    """What a pod is asked."""

    path: str = "/"
    method: str = "GET"
    """GET, which takes the right to ``get`` its proxy, or POST, which takes that to ``create`` it."""
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)

    @property
    def verb(self) -> str:
        """As a Role has it."""
        return "create" if self.method == "POST" else "get"


_PLAIN = PodRequest()


@dataclass(frozen=True, slots=True, kw_only=True)
class PodAnswer:
    """What a pod itself answered through the API server."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)
    """Cut at LARGEST_TEXT."""

    def header(self, name: str) -> str:
        """By its name in any case; empty: not there."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class NotReached:
    """The API server answered by itself: nobody asked the pod, or nobody got through. Never the pod's fault."""

    error: PlatformError
    """Among them MissingRight, for which checks through the API server are given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchEvent:
    """One line of a watch: ADDED, MODIFIED, DELETED, BOOKMARK or ERROR, whose object is a Status."""

    kind: str
    object: Json = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """One call, however often it is sent."""

    method: str
    path: str
    asked: Asked
    query: Query = ()
    body: bytes | None = field(default=None, repr=False)
    kind: str = _JSON
    accept: str = _JSON
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Instead of the two that every call has."""
    guarded: bool
    """It reads, or its precondition makes a second try harmless."""

    def request(self, prefix: str) -> Request:
        query = f"?{urlencode(self.query)}" if self.query else ""
        named = {name.lower() for name, _ in self.headers}
        usual = [("Accept", self.accept), *((("Content-Type", self.kind),) if self.body is not None else ())]
        headers = [*(each for each in usual if each[0].lower() not in named), *self.headers]
        return Request(method=self.method, target=f"{prefix}{self.path}{query}", headers=tuple(headers), body=self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    listed: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)


class Api:
    """One connection to one API server. Every call takes the limit of its wait, and raises

    DeadlineExceeded at it; Unreachable, LostAnswer, NotKubernetes or Refused (errors.py); Interrupted; UsageError when
    credentials cannot be had. Paths are those of resources.py. Close it.
    """

    def __init__(self, cluster: Cluster, *, clock: Clock, pace: Pace | None = None) -> None:
        """Nothing is connected yet."""
        self._cluster = cluster
        self._clock = clock
        self._pace = pace or Pace()
        self._met = False
        """Whether the server has ever answered."""
        self._connection = Connection(cluster)

    def __enter__(self) -> Self:
        """Close it at the end of the block."""
        return self

    def __exit__(self, *exc: object) -> None:
        """As ``close``."""
        self.close()

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()

    def abandon(self) -> None:
        """End what is under way in the Api's own thread, from another one."""
        self._connection.abandon()

    # --- reading --------------------------------------------------------------------------------------------------

    def get(self, path: str, *, until: Instant) -> Json:
        """One object, or whatever else is JSON. Raises NotFound."""
        return self._json(_read("get", path), until=until)

    def list(self, path: str, *, until: Instant, labels: str = "", fields: str = "", at_least: str = "") -> Listing:
        """All objects of a collection, as of now. ``labels``, ``fields``: selectors, as kubectl takes them.

        ``at_least``: from the API server's cache, no older than this version (``0``: any), which does not wait.
        """
        query = (*_selection(labels, fields), *_no_older(at_least))
        return self._listing(_read("list", path, query=query), until=until)

    def list_metadata(self, path: str, *, until: Instant, labels: str = "", at_least: str = "") -> Listing:
        """As ``list``, but of each object the metadata alone, however large it is."""
        query = (*_selection(labels, ""), *_no_older(at_least))
        return self._listing(_read("list", path, query=query, accept=_METADATA), until=until)

    def _listing(self, call: _Call, *, until: Instant) -> Listing:
        found = Node(self._json(call, until=until))
        version = found.at("metadata", "resourceVersion").text()
        return Listing(items=tuple(item.mapping() for item in found.at("items").items()), version=version)

    def review(self, path: str, body: Json, *, until: Instant) -> Json:
        """POST a question, of which the API server keeps nothing: as harmless to repeat as any that is read."""
        return self._json(_write("POST", path, body, verb="create", guarded=True, query=()), until=until)

    def text(self, path: str, *, until: Instant, query: Query = ()) -> str:
        """Plain text, such as a container's log; cut at LARGEST_TEXT."""
        call = _read("get", path, query=query, accept="*/*")
        return self._sent(call, until=until, largest=LARGEST_TEXT).body.decode("utf-8", "replace")

    def pod(self, path: str, asked: PodRequest = _PLAIN, *, until: Instant) -> PodAnswer | NotReached:
        """Ask by way of ``pods/proxy``, at this path of the API. What the pod answers is not asked for again, whatever
        it is; a POST is not sent again at all.
        """
        posted = asked.method == "POST"
        call = _Call(
            method=asked.method,
            path=path,
            asked=asked_of(asked.verb, path),
            body=asked.body if posted else None,
            accept="*/*",
            headers=asked.headers,
            guarded=not posted,
        )
        try:
            answer = self._sent(call, until=until, largest=LARGEST_TEXT, foreign=True)
        except PlatformError as error:
            return NotReached(error=error)
        return PodAnswer(status=answer.status, headers=answer.listed, body=answer.body)

    # --- writing --------------------------------------------------------------------------------------------------

    def create(self, path: str, body: Json, *, until: Instant, dry_run: bool = False) -> Json:
        """POST a new object to its collection. Raises AlreadyExists. Guarded when it has a name."""
        named = bool(Node(body).at("metadata", "name").text())
        call = _write("POST", path, body, verb="create", guarded=named, query=_dry(dry_run=dry_run))
        return self._json(call, until=until)

    def merge_patch(self, path: str, body: Json, *, until: Instant, dry_run: bool = False) -> Json:
        """Merge the body into the object. With ``metadata.resourceVersion`` it raises Conflict when that is old."""
        call = _write("PATCH", path, body, kind=_MERGE_PATCH, guarded=_versioned(body), query=_dry(dry_run=dry_run))
        return self._json(call, until=until)

    def json_patch(self, path: str, ops: Sequence[Json], *, until: Instant, dry_run: bool = False) -> Json:
        """Apply the operations, all or none. Raises Conflict when a ``test`` among them fails."""
        tests = any(op.get("op") == "test" for op in ops)
        query = _dry(dry_run=dry_run)
        call = _write("PATCH", path, list(ops), kind=_JSON_PATCH, guarded=tests, query=query, tests=tests)
        return self._json(call, until=until)

    def apply(
        self, path: str, body: Json, *, manager: str, until: Instant, force: bool = False, dry_run: bool = False
    ) -> Json:
        """Server-side apply as ``manager``. Raises Conflict when others own a field, unless forced."""
        query = (("fieldManager", manager), *((("force", "true"),) if force else ()), *_dry(dry_run=dry_run))
        call = _write("PATCH", path, body, kind=_APPLY_PATCH, guarded=_versioned(body), query=query)
        return self._json(call, until=until)

    def delete(self, path: str, *, until: Instant, uid: str = "", version: str = "", dry_run: bool = False) -> None:
        """Delete one object: only that of this uid or version, when given. Raises NotFound, Conflict."""
        conditions = {name: value for name, value in (("uid", uid), ("resourceVersion", version)) if value}
        body: Json = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": conditions or None}
        call = _write("DELETE", path, body, verb="delete", guarded=bool(conditions), query=_dry(dry_run=dry_run))
        self._json(call, until=until)

    # --- watching -------------------------------------------------------------------------------------------------

    def watch(
        self, path: str, *, version: str, lasts: Seconds, silence: Seconds, labels: str = "", fields: str = ""
    ) -> Generator[WatchEvent]:
        """One connection's events after ``version``: once, without repeating anything. Close the iterator.

        It returns when the server ends it, which it does after ``lasts``. Raises Unreachable when it breaks,
        Silent when ``silence`` seconds pass without a byte, Refused (Gone, TooMany, ...) when it is
        not taken, NotKubernetes.
        """
        query = (
            ("watch", "1"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", version),
            ("timeoutSeconds", str(max(1, round(lasts)))),
        )
        call = _read("watch", path, query=query + _selection(labels, fields))
        deadline = Deadline(self._clock, after(self._clock.now(), lasts + silence), what=str(call.asked))
        answer = self._open(call, patience=silence)
        return self._events(call, answer, deadline=deadline, silence=silence)

    def _events(self, call: _Call, answer: Answer, *, deadline: Deadline, silence: Seconds) -> Generator[WatchEvent]:
        try:
            yield from (_event(line) for line in self._lines(call, answer, deadline=deadline, silence=silence))
        finally:
            answer.close()
            self._connection.close()

    def _open(self, call: _Call, *, patience: Seconds) -> Answer:
        """Send a watch; its first byte may be as late as any other. Raises what refuses it.

        A token ends between two watches as it does between two calls: what is newer is tried once, and nobody is told.
        """
        credentials = self._cluster.credentials
        head = Deadline(self._clock, after(self._clock.now(), patience), what=str(call.asked))
        try:
            identity = credentials.identity(head)
            answer = self._opened(call, identity, head)
            if isinstance(answer, Unauthorized) and credentials.renewed(identity, head):
                answer = self._opened(call, credentials.identity(head), head)
        except Broken as broken:
            raise self._unreachable(call, str(broken)) from broken
        except DeadlineExceeded as error:
            raise Silent(f"{call.asked}: {self._cluster.server} is silent") from error
        if isinstance(answer, PlatformError):
            raise answer
        return answer

    def _opened(self, call: _Call, identity: Identity, head: Deadline) -> Answer | PlatformError:
        """The answer that brings events, or why there is none. Raises Broken, and what the deadline raises."""
        answer = self._connection.send(call.request(self._cluster.server.prefix), identity, deadline=head)
        if answer.status == 200:
            return answer
        return self._refusal(call, self._whole(answer, head, largest=LARGEST_TEXT))

    def _lines(self, call: _Call, answer: Answer, *, deadline: Deadline, silence: Seconds) -> Iterator[bytes]:
        rest = b""
        while True:
            self._connection.limit(deadline.patience(silence))
            try:
                chunk = answer.read1(_CHUNK)
            except TimeoutError as error:
                raise Silent(f"{call.asked}: {self._cluster.server} has been silent for {silence:.0f} s") from error
            except (OSError, NotHttp):
                raise self._unreachable(call, "the stream broke") from None
            except DeadlineExceeded:
                return  # the server should have ended it by now
            if not chunk:
                return
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (line for line in lines if line.strip())
            if len(rest) > LARGEST_EVENT:
                raise NotKubernetes(f"{call.asked}: an event of more than {LARGEST_EVENT} bytes")

    # --- sending --------------------------------------------------------------------------------------------------

    def _json(self, call: _Call, *, until: Instant) -> Json:
        body = self._sent(call, until=until, largest=LARGEST).body
        try:
            found = json.loads(body)
        except (ValueError, RecursionError):
            # From None: the fault carries the body.
            raise self._not_json(call) from None
        if not isinstance(found, dict):
            raise self._not_json(call)
        return found

    def _not_json(self, call: _Call) -> NotKubernetes:
        return NotKubernetes(
            f"{call.asked}: {self._cluster.server} answered, but not with an object of the Kubernetes API",
            mend="check the server's address in KUBECONFIG, and any proxy on the way",
        )

    def _sent(self, call: _Call, *, until: Instant, largest: int, foreign: bool = False) -> _Answer:
        """Send it until it is answered. ``foreign``: an answer that is not the API server's own is good as it is."""
        outage = self._pace.outage if self._met else min(self._pace.outage, self._pace.stranger)
        tries = _Tries(call.asked, clock=self._clock, pace=self._pace, outage=outage, until=until)
        while True:
            deadline = Deadline(self._clock, until, what=str(call.asked))
            deadline.left()
            identity = self._cluster.credentials.identity(deadline)
            try:
                answer = self._once(call, identity, deadline, largest=largest)
            except Broken as broken:
                if broken.sent and not call.guarded:
                    raise self._lost(call, broken) from broken
                if foreign and (broken.answered or (broken.sent and tries.broken)):
                    raise PlatformError(f"{call.asked}: {broken}") from broken  # by the pod, as far as anybody knows
                tries.broken = broken.sent
                tries.failed(self._unreachable(call, str(broken)))
                continue
            if 200 <= answer.status < 300 or (foreign and _is_of_pod(answer)):
                return answer
            refusal = self._refusal(call, answer)
            if foreign and _is_trouble(refusal):
                raise refusal  # about the pod, not the server: it is asked again when it is asked again
            self._judge(call, refusal, identity, tries, deadline)

    def _judge(self, call: _Call, error: PlatformError, identity: Identity, tries: _Tries, deadline: Deadline) -> None:
        """Return when the call is to be sent again, after the pause; else raise."""
        if isinstance(error, Unauthorized):
            if tries.renewed or not self._cluster.credentials.renewed(identity, deadline):
                raise error
            tries.renewed = True
        elif isinstance(error, TooMany):
            tries.busy(error)
        elif _is_trouble(error):
            if not call.guarded:
                raise self._lost(call, error) from error
            tries.failed(error)
        else:
            raise error

    def _once(self, call: _Call, identity: Identity, deadline: Deadline, *, largest: int) -> _Answer:
        response = self._connection.send(call.request(self._cluster.server.prefix), identity, deadline=deadline)
        self._met = True
        return self._whole(response, deadline, largest=largest)

    def _whole(self, response: Answer, deadline: Deadline, *, largest: int) -> _Answer:
        """Read the rest of it. Raises Broken, and NotKubernetes for more than ``largest`` of what cannot be cut."""
        self._connection.limit(deadline)
        try:
            body = response.read(largest + 1)
        except (OSError, NotHttp):
            self._connection.close()
            raise Broken("the answer was cut off", sent=True, answered=True) from None
        except BaseException:
            self._connection.close()
            raise
        finally:
            response.close()
        if response.will_close or not response.ended:
            self._connection.close()
        if len(body) > largest == LARGEST:
            raise NotKubernetes(f"{self._cluster.server} sent an answer of more than {largest} bytes")
        headers = {name.lower(): value for name, value in response.headers}
        return _Answer(status=response.status, headers=headers, listed=response.headers, body=body[:largest])

    # --- errors ---------------------------------------------------------------------------------------------------

    def _refusal(self, call: _Call, answer: _Answer) -> PlatformError:
        status = status_of(answer.body, code=answer.status, headers=answer.headers)
        return error_of(call.asked, status, code=answer.status, server=str(self._cluster.server))

    def _unreachable(self, call: _Call, why: str) -> Unreachable:
        return Unreachable(
            f"{call.asked}: the API server at {self._cluster.server} cannot be reached: {why}",
            mend="check that it runs and that this machine may reach it: kubectl cluster-info",
        )

    def _lost(self, call: _Call, error: Exception) -> LostAnswer:
        return LostAnswer(
            f"{call.asked}: sent, but not answered ({error}): it may have been done",
            mend="look at the object: bluegreen status",
        )


class _Tries:
    """One call's tries: how long the next pause is, and when it is enough."""

    def __init__(self, asked: Asked, *, clock: Clock, pace: Pace, outage: Seconds, until: Instant) -> None:
        self._asked = asked
        self._clock = clock
        self._until = until
        self._backoff = Backoff(pace)
        self._outage = after(clock.now(), outage)
        self.renewed = False
        self.broken = False
        """The last try was sent, and nothing came back."""

    def failed(self, error: PlatformError) -> None:
        """Wait for the next try. Raises the error itself when the outage has lasted long enough."""
        asked = error.status.retry_after if isinstance(error, Refused) else 0.0
        pause = self._backoff.next(asked=asked)
        if self._outage < self._until and after(self._clock.now(), pause) > self._outage:
            raise error
        self._wait(pause, error)

    def busy(self, error: TooMany) -> None:
        """The server is there and asks to come back later: only the call's own limit ends that."""
        self._wait(self._backoff.next(asked=error.status.retry_after), error)

    def _wait(self, pause: Seconds, error: PlatformError) -> None:
        then = after(self._clock.now(), pause)
        if then >= self._until:
            raise DeadlineExceeded(f"not answered within the limit: {error}", mend=error.mend) from error
        self._clock.wait(until=then)


# --- calls ------------------------------------------------------------------------------------------------------


def _read(verb: str, path: str, *, query: Query = (), accept: str = _JSON) -> _Call:
    return _Call(method="GET", path=path, asked=asked_of(verb, path), query=query, accept=accept, guarded=True)


def _write(
    method: str,
    path: str,
    body: object,
    *,
    guarded: bool,
    query: Query,
    verb: str = "patch",
    kind: str = _JSON,
    tests: bool = False,
) -> _Call:
    return _Call(
        method=method,
        path=path,
        asked=asked_of(verb, path, tests=tests),
        query=query,
        body=json.dumps(body, separators=(",", ":")).encode(),
        kind=kind,
        guarded=guarded,
    )


def _versioned(body: Json) -> bool:
    return bool(Node(body).at("metadata", "resourceVersion").text())


def _dry(*, dry_run: bool) -> Query:
    return (("dryRun", "All"),) if dry_run else ()


def _no_older(version: str) -> Query:
    return (("resourceVersion", version), ("resourceVersionMatch", "NotOlderThan")) if version else ()


def _selection(labels: str, fields: str) -> Query:
    return tuple((name, text) for name, text in (("labelSelector", labels), ("fieldSelector", fields)) if text)


def _is_of_pod(answer: _Answer) -> bool:
    """Whether a pod said this: an answer that came through the API server and is not its own.

    It marks all that passes it with an Audit-Id, which a load balancer's own error page has not. What it says itself is
    a Status as JSON with the code of the answer, or, too busy to make one, a word and Retry-After.
    """
    code, headers = answer.status, answer.headers
    if code < 400:
        return True
    if "audit-id" not in headers or (code == 429 and "retry-after" in headers):
        return False
    status = own_status(answer.body, code=code) if headers.get("content-type", "").startswith(_JSON) else None
    return status is None or status.code != code


def _is_trouble(error: PlatformError) -> bool:
    """Whether the server, or what stands before it, has trouble of its own, which may pass."""
    return isinstance(error, Unreachable) or (isinstance(error, Refused) and error.status.code >= 500)


def _event(line: bytes) -> WatchEvent:
    try:
        found = Node(json.loads(line))
    except (ValueError, RecursionError):
        # From None: the fault carries the line.
        raise NotKubernetes("a watch brought a line that is not JSON") from None
    return WatchEvent(kind=found.at("type").text(), object=found.at("object").mapping())
