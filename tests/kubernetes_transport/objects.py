"""Objects as an API server keeps them, answered by the scripted server: for what may happen between two requests.

Names, versions, merge patches, preconditions, selectors by label, metadata-only lists. Nothing else is checked: what
the real one takes is for the tests that run on the real one.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from tests.kubernetes_transport.kit import PACE, cluster_at
from tests.kubernetes_transport.server import ScriptedServer, refuse, reply, reset

from bluegreen.platforms.kubernetes.transport import Api

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.kubernetes_transport.kit import RecordingClock
    from tests.kubernetes_transport.server import Conversation, Heard, Step

    from bluegreen.domain.stack import Instant

Object = dict[str, Any]
_MANY = 500


class Objects:
    """By path. A test may change them as anybody could, by ``patch`` and ``remove``."""

    def __init__(self) -> None:
        self.by_path: dict[str, Object] = {}
        self.version = 0

    def steps(self, *first: Step) -> list[Step]:
        """A script: these, then answers without end."""
        return [*first, *([self.answer] * _MANY)]

    def answer(self, conversation: Conversation) -> None:
        """Do what is asked, and answer."""
        self.done(conversation.heard)(conversation)

    def lose(self, conversation: Conversation) -> None:
        """Do what is asked; the answer is lost."""
        self.done(conversation.heard)
        reset(conversation)

    def after(self, action: Callable[[], object]) -> Step:
        """Answer, when something else was done."""

        def step(conversation: Conversation) -> None:
            action()
            self.answer(conversation)

        return step

    def done(self, heard: Heard) -> Step:
        """Do what is asked; the answer to it."""
        body: Object = json.loads(heard.body) if heard.body else {}
        match heard.method:
            case "GET" if heard.path in self.by_path:
                return reply(self.by_path[heard.path])
            case "GET" if heard.path.rsplit("/", 1)[-1] in {"leases", "configmaps"}:
                return self._listed(heard)
            case "POST":
                return self._created(f"{heard.path}/{body['metadata']['name']}", body)
            case "PATCH" if heard.path in self.by_path:
                return self._patched(heard.path, body)
            case "DELETE" if heard.path in self.by_path:
                return self._deleted(heard.path, body)
            case _:
                return refuse(404, "NotFound", f"{heard.path} not found")

    def patch(self, path: str, body: Object) -> None:
        """Merge it in, whatever is there."""
        self._stored(path, merged(self.by_path.get(path, {}), body))

    def remove(self, path: str) -> None:
        """Delete it."""
        del self.by_path[path]

    def _listed(self, heard: Heard) -> Step:
        wanted = dict(pair.split("=", 1) for pair in heard.query.get("labelSelector", "").split(",") if pair)
        under = [one for path, one in self.by_path.items() if path.rpartition("/")[0] == heard.path]
        items = [one for one in under if wanted.items() <= one["metadata"].get("labels", {}).items()]
        if "PartialObjectMetadataList" in heard.header("Accept"):
            items = [{"metadata": one["metadata"]} for one in items]
        return reply({"kind": "List", "metadata": {"resourceVersion": str(self.version)}, "items": items})

    def _created(self, path: str, body: Object) -> Step:
        if path in self.by_path:
            return refuse(409, "AlreadyExists", f"{path} already exists")
        return reply(self._stored(path, body), status=201)

    def _patched(self, path: str, body: Object) -> Step:
        expected = body.get("metadata", {}).get("resourceVersion")
        if expected not in {None, self.by_path[path]["metadata"]["resourceVersion"]}:
            return refuse(409, "Conflict", "the object has been modified")
        return reply(self._stored(path, merged(self.by_path[path], body)))

    def _deleted(self, path: str, body: Object) -> Step:
        uid = (body.get("preconditions") or {}).get("uid")
        if uid not in {None, self.by_path[path]["metadata"]["uid"]}:
            return refuse(409, "Conflict", "the UID in the precondition is another")
        self.remove(path)
        return reply({"kind": "Status", "status": "Success"})

    def _stored(self, path: str, item: Object) -> Object:
        self.version += 1
        kept = deepcopy(item)
        kept["metadata"].setdefault("uid", f"uid-{self.version}")
        kept["metadata"]["resourceVersion"] = str(self.version)
        self.by_path[path] = kept
        return kept


class Closable(Protocol):
    """What a test has opened."""

    def close(self) -> None: ...


class Served:
    """Objects behind a script, and the processes that work on them."""

    def __init__(self, server: ScriptedServer, objects: Objects, clock: RecordingClock) -> None:
        self.server = server
        self.objects = objects
        self.clock = clock
        self.cluster = cluster_at(server.port)
        self.closed_at_the_end: list[Closable] = []

    @property
    def now(self) -> Instant:
        return self.clock.now()

    def api(self, *, clock: RecordingClock | None = None) -> Api:
        """Another process's."""
        made = Api(self.cluster, clock=clock or self.clock, pace=PACE)
        self.closed_at_the_end.append(made)
        return made

    def first(self, *steps: Step) -> None:
        """What the next requests meet."""
        self.server.script.extendleft(reversed(steps))

    def well(self) -> None:
        """All requests are answered from here on."""
        self.server.script.clear()
        self.server.script.extend(self.objects.steps())

    def asked(self, act: Callable[[], object]) -> list[str]:
        """The methods of the requests that something makes."""
        before = len(self.server.heard)
        act()
        return [heard.method for heard in self.server.heard[before:]]

    def hang(self, conversation: Conversation) -> None:
        """No answer for longer than anybody waits."""
        self.clock.skip(60)
        reset(conversation)

    def close(self) -> None:
        for each in self.closed_at_the_end:
            each.close()


S = TypeVar("S", bound=Served)


@contextmanager
def served(kind: type[S], clock: RecordingClock) -> Iterator[S]:
    """As long as the block lasts."""
    objects = Objects()
    with ScriptedServer(*objects.steps()) as server:
        made = kind(server, objects, clock)
        yield made
        made.close()


def merged(target: Object, patch: Object) -> Object:
    """RFC 7386."""
    result = dict(target)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            before = result.get(name)
            result[name] = merged(before if isinstance(before, dict) else {}, value)
        else:
            result[name] = value
    return result
