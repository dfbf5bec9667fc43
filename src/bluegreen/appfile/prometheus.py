"""The app file's ``prometheus``, as domain types."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UnsetType

from bluegreen.appfile.check import nearest
from bluegreen.domain.errors import UsageError
from bluegreen.domain.stack import Prometheus, Queries

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bluegreen.appfile.check import Places
    from bluegreen.appfile.schema import PrometheusFile, QueriesFile

_MILLISECONDS = {"ms": 1.0, "s": 1000.0}


def prometheus_of(given: PrometheusFile, services: Sequence[str], places: Places, folder: Path) -> Prometheus:
    """``folder``: the app file's, to which its files are relative. Raises AppFileError."""
    queries = _queries(given.queries, services, places)
    try:
        return Prometheus(
            url=given.url,
            pod_label="" if isinstance(given.pod_label, UnsetType) else given.pod_label,
            status_label=given.status_label,
            scale=None if isinstance(given.unit, UnsetType) else _MILLISECONDS[given.unit],
            scrapes=given.scrapes,
            queries=queries,
            token_file=_path(given.token_file, folder),
            ca_file=_path(given.ca_file, folder),
        )
    except UsageError as error:
        raise places.error(str(error).removeprefix("prometheus: "), "prometheus", "url", mend=error.mend) from error


def _queries(given: Mapping[str, QueriesFile], services: Sequence[str], places: Places) -> tuple[Queries, ...]:
    for name in given:
        if name not in services:
            message = f"{name!r} is not a service of the stack"
            raise places.error(message, "prometheus", "queries", name, mend=nearest(name, services))
    return tuple(
        Queries(service=name, requests=each.requests, duration=each.duration, overhead=each.overhead)
        for name, each in given.items()
    )


def _path(name: str, folder: Path) -> str:
    return str((folder / name).absolute()) if name else ""
