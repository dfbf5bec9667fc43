"""List and watch: the newest state of one kind of object, kept by a thread that never gives up and never ends silently.

List, then watch from the list's version, with bookmarks. What may happen, and what is done:

- the server ends the watch (it does so every few minutes): on from the last version, at once;
- a reset, 429, 5xx: on from the last version, after a growing pause (Retry-After is kept to), and told as trouble;
- silence, for longer than bookmarks are apart: the connection counts as dead; list anew;
- the version is too old (410, as an answer or as an event), or any other event that is an error: list anew and compare,
  so that what was deleted meanwhile is told too;
- a right is missing, or anything unforeseen: told as trouble, then tried again after a pause. Whether to give up is the
  reader's decision.

After a list that differs, and after each event, an immutable view goes into the inbox.
"""

from __future__ import annotations

import queue
import threading
from contextlib import closing, suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from bluegreen.domain.errors import BluegreenError, DeadlineExceeded, Interrupted, PlatformError
from bluegreen.domain.stack import Instant, after
from bluegreen.domain.values import dataclass, field
from bluegreen.platforms.kubernetes.errors import (
    Gone,
    NotKubernetes,
    Refused,
    Silent,
    Unreachable,
    asked_of,
    error_of,
    status_from,
)
from bluegreen.platforms.kubernetes.node import Node
from bluegreen.platforms.kubernetes.pace import Backoff, Pace
from bluegreen.platforms.kubernetes.threadclock import ThreadClock
from bluegreen.platforms.kubernetes.transport import Api
from bluegreen.ports import Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bluegreen.domain.stack import Seconds
    from bluegreen.platforms.kubernetes.cluster import Cluster
    from bluegreen.platforms.kubernetes.node import Json
    from bluegreen.platforms.kubernetes.transport import WatchEvent

T = TypeVar("T")

_FAREWELL: Seconds = 1.0
"""How long closing waits for the thread: only a name server can hold it up, and it ends with the process."""
_GLANCE: Seconds = 0.1
"""How late an interrupt may be while the inbox is empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View(Generic[T]):
    """All objects of one kind at one instant."""

    objects: Mapping[str, T]
    """By uid; read-only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed(Generic[T]):
    """A new view. ``name``: the reflector's own."""

    name: str
    view: View[T]
    gone: tuple[T, ...] = ()
    """What is no longer there, as it was last seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Troubled:
    """The view may be old: its reflector has trouble, and goes on trying."""

    name: str
    error: BluegreenError


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """The trouble is over: the view is kept up again."""

    name: str


News = Changed[Any] | Troubled | Recovered


class Inbox:
    """Where all reflectors of one reader put their news."""

    def __init__(self) -> None:
        """Empty."""
        self._queue: queue.SimpleQueue[News] = queue.SimpleQueue()

    def put(self, news: News) -> None:
        """From any thread."""
        self._queue.put(news)

    def take(self, *, until: Instant, clock: Clock) -> News:
        """The oldest news, waited for. Raises DeadlineExceeded, Interrupted."""
        while True:
            clock.raise_if_interrupted()
            left = until - clock.now()
            try:
                return self._queue.get(timeout=min(_GLANCE, max(0.0, left)))
            except queue.Empty:
                if left <= 0:
                    raise DeadlineExceeded("nothing changed within the limit") from None

    def take_all(self) -> tuple[News, ...]:
        """What is there, at once."""
        found: list[News] = []
        while not self._queue.empty():
            found.append(self._queue.get_nowait())
        return tuple(found)


class StoppableClock(Clock, Protocol):
    """A clock whose waits end for good when it is stopped."""

    def stop(self) -> None:
        """From any thread: every wait raises Interrupted from now on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Settings of a watch."""

    lasts: Seconds = 240.0
    """How long the server is asked to let one connection live (``timeoutSeconds``)."""
    silence: Seconds = 70.0
    """Bookmarks come about once a minute: nothing for longer than that means that nobody is there."""
    listing: Seconds = 30.0
    """For one list."""
    pace: Pace = field(default_factory=Pace)


class Reflector(Generic[T]):
    """One kind of object, followed. Start it; close it."""

    def __init__(
        self,
        cluster: Cluster,
        path: str,
        *,
        name: str,
        parse: Callable[[Json], T],
        inbox: Inbox,
        labels: str = "",
        fields: str = "",
        at_least: str = "",
        clock: StoppableClock | None = None,
        patience: Patience | None = None,
    ) -> None:
        """``path``: the collection's. ``parse``: what to keep of an object; called in the reflector's thread.

        ``at_least``: the first list may come from the API server's cache, but be no older than this version.
        """
        self._path = path
        self._labels = labels
        self._fields = fields
        self._at_least = at_least
        self._name = name
        self._parse = parse
        self._inbox = inbox
        self._clock = clock or ThreadClock()
        self._patience = patience or Patience()
        self._api = Api(cluster, clock=self._clock, pace=self._patience.pace)
        self._backoff = Backoff(self._patience.pace)
        self._view: View[T] | None = None
        self._version = ""
        self._trouble: BluegreenError | None = None
        self._thread = threading.Thread(target=self._run, name=f"watch {name}", daemon=True)

    @property
    def view(self) -> View[T] | None:
        """The newest view; None: nothing was listed yet. From any thread."""
        return self._view

    @property
    def trouble(self) -> BluegreenError | None:
        """Why the view may be old; None: a watch is open. From any thread."""
        return self._trouble

    def start(self) -> None:
        """Begin to list and watch."""
        self._thread.start()

    def close(self) -> None:
        """End the thread and its connection."""
        self._clock.stop()
        self._api.abandon()
        if self._thread.is_alive():
            self._thread.join(_FAREWELL)
        if not self._thread.is_alive():
            self._api.close()

    # --- the thread -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        with suppress(Interrupted):
            while True:
                pause = self._round()
                self._clock.wait(until=after(self._clock.now(), pause))

    def _round(self) -> Seconds:
        """A list where one is needed, then one watch to its end, good or bad. The pause before the next round."""
        began = self._clock.now()
        try:
            if not self._version:
                self._list()
            self._watch()
            asked = 0.0
        except Interrupted:
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, a watch never ends silently
            self._clock.raise_if_interrupted()  # being abandoned is no trouble
            asked = self._failed(error)
        if self._clock.now() - began > self._patience.pace.longest:
            self._backoff.worked()
        return self._backoff.next(asked=asked)

    def _list(self) -> None:
        until = after(self._clock.now(), self._patience.listing)
        at_least, self._at_least = self._at_least, ""  # a list that follows trouble is exact
        listing = self._api.list(self._path, labels=self._labels, fields=self._fields, at_least=at_least, until=until)
        if not listing.version:
            raise NotKubernetes(f"list {self._name}: an answer without a version")
        objects = {_uid(item): self._parse(item) for item in listing.items}
        self._version = listing.version
        known = self._view.objects if self._view else {}
        if self._view is None or dict(known) != objects:
            self._tell(objects, gone=tuple(known[uid] for uid in known if uid not in objects))

    def _watch(self) -> None:
        events = self._api.watch(
            self._path,
            version=self._version,
            lasts=self._patience.lasts,
            silence=self._patience.silence,
            labels=self._labels,
            fields=self._fields,
        )
        with closing(events):
            self._recovered()
            for event in events:
                self._take(event)

    def _take(self, event: WatchEvent) -> None:
        if event.kind == "ERROR":
            self._version = ""
            status = status_from(event.object)
            raise error_of(asked_of("watch", self._path), status, code=500, server="the API server")
        version = Node(event.object).at("metadata", "resourceVersion").text()
        if event.kind in {"ADDED", "MODIFIED", "DELETED"}:
            self._change(event)
        elif event.kind != "BOOKMARK":
            raise NotKubernetes(f"watch {self._name}: an event of a kind that does not exist")
        self._version = version

    def _change(self, event: WatchEvent) -> None:
        objects = dict(self._view.objects) if self._view else {}
        uid, new = _uid(event.object), self._parse(event.object)
        if event.kind == "DELETED":
            objects.pop(uid, None)
            self._tell(objects, gone=(new,))
        else:
            objects[uid] = new
            self._tell(objects)

    def _tell(self, objects: dict[str, T], *, gone: tuple[T, ...] = ()) -> None:
        self._view = View(objects=MappingProxyType(objects))
        self._inbox.put(Changed(name=self._name, view=self._view, gone=gone))

    def _failed(self, error: Exception) -> Seconds:
        """Tell it, and decide whether the next round lists. Returns the pause that the server asks for."""
        if not _resumes(error):
            self._version = ""
        if isinstance(error, BluegreenError):
            self._troubled(error)
        else:
            self._troubled(PlatformError(f"watch {self._name}: {type(error).__name__}"))
        return error.status.retry_after if isinstance(error, Refused) else 0.0

    def _troubled(self, error: BluegreenError) -> None:
        if isinstance(error, Gone):
            return  # nobody's trouble: the list that follows tells all
        before, self._trouble = self._trouble, error
        if str(error) != str(before):
            self._inbox.put(Troubled(name=self._name, error=error))

    def _recovered(self) -> None:
        if self._trouble is not None:
            self._trouble = None
            self._inbox.put(Recovered(name=self._name))


def _resumes(error: Exception) -> bool:
    """Whether the version that was reached is still good to go on from."""
    if isinstance(error, Refused):
        return error.status.code == 429 or error.status.code >= 500
    return isinstance(error, Unreachable) and not isinstance(error, Silent)


def _uid(item: Json) -> str:
    uid = Node(item).at("metadata", "uid").text()
    if not uid:
        raise NotKubernetes("an object without metadata.uid")
    return uid
