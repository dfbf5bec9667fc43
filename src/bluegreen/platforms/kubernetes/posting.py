"""Posting Kubernetes Events, which ``kubectl describe`` shows with their object. It can fail nobody."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from bluegreen.domain.errors import BluegreenError, Interrupted
from bluegreen.domain.events import Summary
from bluegreen.domain.excerpt import shown
from bluegreen.domain.stack import after
from bluegreen.platforms.kubernetes import names
from bluegreen.platforms.kubernetes.errors import AlreadyExists, NotFound
from bluegreen.platforms.kubernetes.node import Node
from bluegreen.platforms.kubernetes.resources import EVENTS
from bluegreen.platforms.kubernetes.telling import tell

if TYPE_CHECKING:
    from collections.abc import Callable

    from bluegreen.domain.events import Event
    from bluegreen.domain.stack import Instant, Seconds, Stack
    from bluegreen.platforms.kubernetes.node import Json
    from bluegreen.platforms.kubernetes.telling import About, Told
    from bluegreen.platforms.kubernetes.transport import Api
    from bluegreen.ports import Clock, SteadyClock

LIMIT: Seconds = 5.0
"""For one object: what hangs for longer is given up."""
BRIEF: Seconds = 1.0
"""The same where a run waits for it."""
_LONGEST = 1000
"""Characters of a message; the API takes 1024."""


class Post:
    """Posts Events on objects of one namespace, up to the first failure."""

    def __init__(self, api: Api, *, namespace: str, clock: Clock, seen: Callable[[str], str] | None = None) -> None:
        """``seen``: the uid of the Service of that name where it is known, else nothing. It does not own ``api``."""
        self.api = api
        self.trouble = ""
        """Why it has stopped; empty: it has not."""
        self._namespace = namespace
        self._clock = clock
        self._seen = seen
        self._objects: dict[About, Json] = {}
        self._count = 0
        self._heard = False

    def new_trouble(self) -> str:
        """Why it has stopped, once; empty: nothing has failed since the last call."""
        trouble = "" if self._heard else self.trouble
        self._heard = self._heard or bool(trouble)
        return trouble

    def post(self, told: Told, *, at: float, limit: Seconds = LIMIT) -> None:
        """Post one, as of ``at``. Raises NotFound for an object that is not there, Interrupted."""
        if self.trouble:
            return
        until = after(self._clock.now(), limit)
        try:
            about = self._objects.get(told.about) or self._found(told.about, until=until)
            self._objects[told.about] = about
            self._count += 1
            body = _event(told, about, namespace=self._namespace, at=at, number=self._count)
            with suppress(AlreadyExists):  # our own first try, whose answer was lost: the name is only ours
                self.api.create(EVENTS.all(self._namespace), body, until=until)
        except (Interrupted, NotFound):
            raise
        except BluegreenError as error:
            self.trouble = str(error)

    def _found(self, about: About, *, until: Instant) -> Json:
        """As an Event names an object. ``kubectl describe`` looks for Events by the uid."""
        uid = self._seen(about.name) if self._seen is not None and about.kind == "Service" else ""
        if not uid:
            found = Node(self.api.get(about.resource.one(self._namespace, about.name), until=until))
            uid = found.at("metadata", "uid").text()
        return {
            "kind": about.kind,
            "apiVersion": about.resource.group_version,
            "namespace": self._namespace,
            "name": about.name,
            "uid": uid,
        }


class Afterword:
    """The story of a command that is over in a moment: told over its own connection when its users are safe."""

    def __init__(self, post: Post, *, stack: Stack, clock: SteadyClock) -> None:
        """Nothing is told yet. ``clock``: the run's own, whose interrupts are left for the run."""
        self._post = post
        self._stack = stack
        self._clock = clock
        self._kept: list[tuple[Told, float]] = []

    def __call__(self, event: Event) -> None:
        """Keep what there is to tell of it; a summary comes when users are safe, and so lets it out."""
        self._kept += [(told, self._clock.wall()) for told in tell(event, stack=self._stack, plan=None, run="")]
        if isinstance(event, Summary):
            self._tell()

    def new_trouble(self) -> str:
        """Why nothing more is told, once; empty: nothing has failed since the last call."""
        return self._post.new_trouble()

    def close(self) -> str:
        """Tell what is left. Why the story is not told to its end; empty: it is."""
        self._tell()
        return self._post.trouble

    def _tell(self) -> None:
        kept, self._kept = self._kept, []
        with self._clock.undisturbed():
            for told, at in kept:
                with suppress(NotFound):
                    self._post.post(told, at=at, limit=BRIEF)


def _event(told: Told, about: Json, *, namespace: str, at: float, number: int) -> Json:
    """The core group's kind: what ``kubectl describe`` reads, with the fields that it prints."""
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
    return {
        "kind": "Event",
        "apiVersion": "v1",
        "metadata": {"namespace": namespace, "name": f"{told.about.name}.{int(at * 1000):x}.{number}"},
        "involvedObject": about,
        "type": "Warning" if told.warning else "Normal",
        "reason": told.reason,
        "message": shown(told.message, longest=_LONGEST),
        "source": {"component": names.MANAGER},
        "reportingComponent": names.MANAGER,
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
    }
