"""From an app file to domain types, and which app file it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import UnsetType

from bluegreen.appfile.check import Places, check, nearest
from bluegreen.appfile.nodes import read
from bluegreen.appfile.schema import AppFile, LivenessProbeFile, ReadinessProbeFile, StartupProbeFile
from bluegreen.domain.errors import AppFileError, UsageError
from bluegreen.domain.image import ImageReference
from bluegreen.domain.stack import HttpCheck, Limits, MetricNames, Need, Probe, Probes, Service, Stack

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bluegreen.appfile.schema import CheckFile, LimitsFile, MetricsFile, ProbeFile, ServiceFile

APP_FILE = "bluegreen.yaml"
_BUILT_IN = Path(__file__).with_name("alfred.yaml")
_PERCENT = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSettings:
    """What only the platform of one machine uses."""

    images: Path
    """The image folder, absolute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """One app file, read."""

    stack: Stack
    local: LocalSettings
    path: Path | None
    """The file, absolute; None: the built-in Alfred stack."""


def load_app(path: Path | None = None) -> App:
    """Read the app file: ``path``, else ``./bluegreen.yaml``, else the built-in Alfred stack with images in ./images.

    Raises AppFileError with path and line for the first thing that is wrong with it.
    """
    here = Path(APP_FILE)
    if path is None and here.exists():
        path = here
    file = path or _BUILT_IN
    places = Places(str(file))
    parsed = _parse(file, places)
    folder = Path() if path is None else path.parent
    local = LocalSettings(images=(folder / parsed.local.images).absolute())
    return App(stack=_stack(parsed, places), local=local, path=path.absolute() if path is not None else None)


def _parse(file: Path, places: Places) -> AppFile:
    plain = check(read(file), msgspec.inspect.type_info(AppFile), places)
    return msgspec.convert(plain, AppFile)


def _stack(app: AppFile, places: Places) -> Stack:
    _check_names([service.name for service in app.services], "services", places)
    _check_names([each.name for each in app.checks], "checks", places)
    names = [service.name for service in app.services]
    services = tuple(_service(service, index, names, places) for index, service in enumerate(app.services))
    checks = tuple(_check(each, index, names, places) for index, each in enumerate(app.checks))
    limits = _limits(app.limits, places)
    try:
        return Stack(name=app.stack, services=services, checks=checks, limits=limits, contacts=tuple(app.contacts))
    except UsageError as error:
        raise places.error(str(error), "services", mend=error.mend) from error


def _check_names(names: list[str], what: str, places: Places) -> None:
    for index, name in enumerate(names):
        if name in names[:index]:
            message = f"two {what} are called {name!r}"
            raise places.error(message, what, index, "name", mend="give each its own name")


def _service(service: ServiceFile, index: int, names: list[str], places: Places) -> Service:
    at = ("services", index)
    _check_image(service.image, places, index)
    for name in service.needs:
        if name not in names or name == service.name:
            raise _stranger(name, [each for each in names if each != service.name], places, *at, "needs", name)
    return Service(
        name=service.name,
        image=service.image,
        port=service.port,
        probes=_probes(service, index, places),
        replicas=service.replicas,
        container=service.container,
        command=tuple(service.command),
        environment=tuple(service.environment.items()),
        needs=_needs(service, index, places),
        metrics=_metrics(service.metrics),
        grace=service.grace,
    )


def _check_image(image: str, places: Places, index: int) -> None:
    try:
        ImageReference.parse(image)
    except UsageError as error:
        raise places.error(str(error), "services", index, "image", mend=error.mend) from error


def _stranger(name: str, others: Iterable[str], places: Places, *at: str | int) -> AppFileError:
    message = f"{name!r} is not {'another' if 'needs' in at else 'a'} service of the stack"
    return places.error(message, *at, mend=nearest(name, others))


def _needs(service: ServiceFile, index: int, places: Places) -> tuple[Need, ...]:
    needs = tuple(Need(service=name, variable=variable) for name, variable in service.needs.items())
    taken = set(service.environment)
    for need in needs:
        if need.variable in taken:
            message = f"the variable {need.variable} is set twice: by 'needs' and in 'environment', or by two needs"
            raise places.error(message, "services", index, "needs", need.service, mend="keep one of them")
        taken.add(need.variable)
    return needs


def _probes(service: ServiceFile, index: int, places: Places) -> Probes:
    given = service.probes
    startup = _probe(StartupProbeFile, given.startup, service.health)
    readiness = _probe(ReadinessProbeFile, given.readiness, service.health)
    liveness = _probe(LivenessProbeFile, given.liveness, service.health)
    if startup is None or readiness is None or liveness is None:
        named = {"startup": startup, "readiness": readiness, "liveness": liveness}
        missing = " and ".join(name for name, probe in named.items() if probe is None)
        message = f"service {service.name} does not say how to probe {missing}"
        mend = "add it under 'probes', or write health: /path for all that are left out"
        raise places.error(message, "services", index, "probes", mend=mend)
    return Probes(startup=startup, readiness=readiness, liveness=liveness)


def _probe(kind: type[ProbeFile], given: ProbeFile | UnsetType, health: str | UnsetType) -> Probe | None:
    """The probe as given, else from its short form; None: neither is there."""
    if isinstance(given, UnsetType):
        if isinstance(health, UnsetType):
            return None
        given = kind(path=health)
    return Probe(path=given.path, period=given.period, timeout=given.timeout, failures=given.failures)


def _metrics(metrics: MetricsFile | UnsetType) -> MetricNames | None:
    if isinstance(metrics, UnsetType):
        return None
    return MetricNames(
        path=metrics.path, requests=metrics.requests, duration=metrics.duration, overhead=metrics.overhead
    )


def _check(each: CheckFile, index: int, names: list[str], places: Places) -> HttpCheck:
    if each.service not in names:
        raise _stranger(each.service, names, places, "checks", index, "service")
    return HttpCheck(
        name=each.name,
        service=each.service,
        path=each.path,
        status=each.status,
        contains=each.contains,
        headers=tuple(each.headers.items()),
        timeout=each.timeout,
    )


def _limits(limits: LimitsFile, places: Places) -> Limits:
    share = limits.error_share
    if isinstance(share, str):
        share = float(share.rstrip(" %")) / _PERCENT
        if not 0 < share < 1:
            message = f"an error share of {limits.error_share} is no limit"
            raise places.error(message, "limits", "error_share", mend="write a percentage above 0% and below 100%")
    return Limits(error_share=share, p95_overhead_ms=limits.p95_overhead_ms)
