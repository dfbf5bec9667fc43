"""The journal of runs: a ConfigMap for each run, a key for each entry. An entry is in etcd when ``record`` returns.

What the newest runs are, and which of them are to be kept, is read from the ConfigMaps' metadata alone. Reads are
always fresh; what was written or read last is remembered only to save a request, and every write carries its version.
"""

from __future__ import annotations

import re
from contextlib import contextmanager, suppress
from itertools import islice
from typing import TYPE_CHECKING

from bluegreen.domain.errors import DeadlineExceeded, JournalError, PlatformError
from bluegreen.domain.release import Began, Ended, Entry, Outcome, RollbackBegan
from bluegreen.domain.stack import after
from bluegreen.domain.values import dataclass
from bluegreen.platforms.kubernetes import names
from bluegreen.platforms.kubernetes.entries import SCHEMA, entry_of, text_of
from bluegreen.platforms.kubernetes.errors import AlreadyExists, Conflict, NotFound, in_time
from bluegreen.platforms.kubernetes.lease import read
from bluegreen.platforms.kubernetes.objects import config_map_of, meta_of, value_of
from bluegreen.platforms.kubernetes.resources import CONFIG_MAPS, LEASES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bluegreen.domain.stack import Instant, Seconds, Stack
    from bluegreen.platforms.kubernetes.node import Json
    from bluegreen.platforms.kubernetes.objects import ConfigMap, Meta
    from bluegreen.platforms.kubernetes.transport import Api
    from bluegreen.ports import Clock

KEPT = 20
"""Runs that are kept; the newest one that is in effect is kept besides, however old."""

_CALL: Seconds = 10.0
_TRIES = 5
_RUN = re.compile(r"[a-z0-9]([-a-z0-9]{0,98}[a-z0-9])?")
"""What a run can be called, for its ConfigMap to have a name."""

_IN_EFFECT = {str(outcome) for outcome in Outcome if outcome.in_effect}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tail:
    """The end of a run's journal as it was last seen."""

    version: str
    """The ConfigMap's."""
    last: int
    """The number of the last entry."""


class KubernetesJournal:
    """ports.Journal over ConfigMaps. It does not own the Api."""

    def __init__(self, api: Api, *, stack: Stack, namespace: str, clock: Clock) -> None:
        """Nothing is read yet."""
        self._api = api
        self._stack = stack
        self._namespace = namespace
        self._clock = clock
        self._tails: dict[str, _Tail] = {}
        self._order: int | None = None
        self._at_hand: ConfigMap | None = None

    def record(self, *entries: Entry) -> None:
        """Append these entries of one run, all or none. Raises JournalError when they cannot be made durable."""
        with self._explained(entries[0].run):
            texts = [text_of(entry) for entry in entries]
            before = self._listed() if isinstance(entries[0].body, Began) else ()
            self._write(entries, texts)
        self._forget(_old(before))

    def entries(self, run: str) -> Sequence[Entry]:
        """All entries of a run in order; empty: no such run. Raises JournalError, PlatformError."""
        found = self._taken(run) if _RUN.fullmatch(run) else None
        return tuple(entry_of(found.data[key], run=run) for key in _keys(found)) if found is not None else ()

    def runs(self, *, newest: int) -> Iterator[str]:
        """The ids of the newest runs, newest first. Raises PlatformError, JournalError.

        The last one that had the lock is the newest, and it is all that most rollbacks want to know: the others are
        listed when they are asked for.
        """
        if newest <= 0:
            return
        last = self._last_holder()
        self._at_hand = self._read(last) if _RUN.fullmatch(last) else None
        known = []
        if self._at_hand is not None:
            self._order = max(self._order or 0, _order(self._at_hand.meta))
            known.append(last)
            yield last
        others = (run for run in map(_run, self._current(last)) if run not in known) if newest > len(known) else ()
        yield from islice(others, newest - len(known))

    # --- writing --------------------------------------------------------------------------------------------------

    def _write(self, entries: Sequence[Entry], texts: Sequence[str]) -> None:
        """Create the ConfigMap with the entries, or append them. What comes between is read, and written after."""
        run, tail = entries[0].run, self._tails.get(entries[0].run)
        if tail is None and not isinstance(entries[0].body, Began | RollbackBegan):
            tail = self._tail(self._read(run))
        for _ in range(_TRIES):
            last = tail.last if tail is not None else 0
            data = {_key(number): text for number, text in enumerate(texts, last + 1)}
            marks = _outcome(entries)
            with suppress(Conflict, AlreadyExists if tail is None else NotFound):
                version = self._create(run, data, marks) if tail is None else self._append(run, data, marks, tail=tail)
                self._tails[run] = _Tail(version=version, last=last + len(texts))
                return
            found = self._read(run)
            tail = self._tail(found)
            if found is not None and data.items() <= found.data.items():
                return  # our own first try, whose answer was lost
        raise JournalError(
            f"the journal of {run} does not hold still",
            mend=f"see who writes it: kubectl get configmap {self._name(run)} -n {self._namespace} -o yaml",
        )

    def _create(self, run: str, data: Json, marks: Mapping[str, str]) -> str:
        self._order = max(self._newest() + 1, int(self._clock.wall() * 1000))
        annotations = {names.RELEASE: run, names.ORDER: str(self._order), names.SCHEMA: SCHEMA}
        body: Json = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": self._name(run),
                "labels": names.ours(self._stack),
                "annotations": {**annotations, **marks},
            },
            "data": data,
        }
        made = self._api.create(CONFIG_MAPS.all(self._namespace), body, until=self._limit())
        return meta_of(made).version

    def _append(self, run: str, data: Json, marks: Mapping[str, str], *, tail: _Tail) -> str:
        body: Json = {"metadata": {"resourceVersion": tail.version, "annotations": dict(marks)}, "data": data}
        return meta_of(self._api.merge_patch(self._path(run), body, until=self._limit())).version

    def _newest(self) -> int:
        """The greatest order there is. As it was seen last will do: the clock settles what has begun meanwhile."""
        if self._order is None:
            self._listed()
        return self._order or 0

    def _forget(self, old: Sequence[Meta]) -> None:
        """Delete these. What cannot be deleted now is tried again by the next release: no reason to stop this one."""
        for meta in old:
            path = CONFIG_MAPS.one(self._namespace, meta.name)
            with suppress(PlatformError, DeadlineExceeded):
                self._api.delete(path, uid=meta.uid, until=self._limit())

    @contextmanager
    def _explained(self, run: str) -> Iterator[None]:
        """Errors as the port has them."""
        if not _RUN.fullmatch(run):
            raise JournalError(f"a run cannot be called {run!r}", mend="use small letters, digits and dashes")
        try:
            yield
        except JournalError:
            raise
        except (PlatformError, DeadlineExceeded) as error:
            mend = f"see why {self._namespace} takes no ConfigMap: its quota, a policy, or a full etcd"
            raise JournalError(f"the journal of {run}: {error}", mend=error.mend or mend) from error

    # --- reading --------------------------------------------------------------------------------------------------

    def _last_holder(self) -> str:
        """The last run that had the lock; empty: there was none."""
        with in_time("the journals"):
            lease = read(self._api, LEASES.one(self._namespace, names.lease(self._stack)), until=self._limit())
        return value_of(lease.meta.annotations, names.RELEASE) if lease is not None else ""

    def _taken(self, run: str) -> ConfigMap | None:
        """The run's ConfigMap: the one that ``runs`` has read just now, or read anew."""
        found, self._at_hand = self._at_hand, None
        return found if found is not None and found.meta.name == self._name(run) else self._read(run)

    def _read(self, run: str) -> ConfigMap | None:
        """The run's ConfigMap, with its end kept in mind; None: there is none."""
        self._tails.pop(run, None)
        try:
            with in_time(f"the journal of {run}"):
                found = config_map_of(self._api.get(self._path(run), until=self._limit()))
        except NotFound:
            return None
        self._refuse_foreign(found, run)
        tail = self._tail(found)
        if tail is not None:
            self._tails[run] = tail
        return found

    def _tail(self, found: ConfigMap | None) -> _Tail | None:
        if found is None:
            return None
        return _Tail(version=found.meta.version, last=max((int(key) for key in _keys(found)), default=0))

    def _refuse_foreign(self, found: ConfigMap, run: str) -> None:
        marks = found.meta.annotations
        if value_of(marks, names.RELEASE) != run or value_of(found.meta.labels, names.STACK) != self._stack.name:
            raise JournalError(
                f"the ConfigMap {found.meta.name} in {self._namespace} is not the journal of {run}",
                mend="it has the name of one and not the marks: look whose it is, then rename or remove it",
            )
        if value_of(marks, names.SCHEMA) != SCHEMA:
            raise JournalError(
                f"the journal of {run} was written by another version of bluegreen",
                mend="use the version that wrote it",
            )

    def _current(self, last: str) -> Sequence[Meta]:
        """All journals, newest first. What the API server remembers will do when the last run with the lock is in it.

        That is answered in a millisecond; to list what is so now takes up to a hundred, too long for a rollback.
        """
        remembered = self._listed(at_least="0") if last else ()
        return remembered if last in map(_run, remembered) else self._listed()

    def _listed(self, *, at_least: str = "") -> Sequence[Meta]:
        """The metadata of all journals of the stack, newest first."""
        labels = ",".join(f"{name}={value}" for name, value in names.ours(self._stack).items())
        with in_time("the journals"):
            path = CONFIG_MAPS.all(self._namespace)
            listing = self._api.list_metadata(path, labels=labels, at_least=at_least, until=self._limit())
        found = [meta_of(item) for item in listing.items]
        journals = [meta for meta in found if _run(meta)]
        journals.sort(key=lambda meta: (_order(meta), meta.created, meta.name), reverse=True)
        self._order = max([self._order or 0, *map(_order, journals)])
        return journals

    def _limit(self) -> Instant:
        return after(self._clock.now(), _CALL)

    def _name(self, run: str) -> str:
        return names.journal(self._stack, run)

    def _path(self, run: str) -> str:
        return CONFIG_MAPS.one(self._namespace, self._name(run))


def _key(number: int) -> str:
    return f"{number:04}"


def _keys(found: ConfigMap) -> Sequence[str]:
    """Those of entries, in order."""
    return sorted((key for key in found.data if key.isascii() and key.isdigit()), key=int)


def _run(meta: Meta) -> str:
    return value_of(meta.annotations, names.RELEASE)


def _order(meta: Meta) -> int:
    text = value_of(meta.annotations, names.ORDER)
    return int(text) if text.isascii() and text.isdigit() else 0


def _old(journals: Sequence[Meta]) -> Sequence[Meta]:
    """Those to be forgotten when one more has begun."""
    good = next((one.uid for one in journals if value_of(one.annotations, names.OUTCOME) in _IN_EFFECT), "")
    return [one for one in journals[KEPT - 1 :] if one.uid != good]


def _outcome(entries: Sequence[Entry]) -> dict[str, str]:
    """How the run ended, where it can be seen without reading the entries."""
    last = entries[-1].body
    return {names.OUTCOME: str(last.outcome)} if isinstance(last, Ended) else {}
