"""From an app file to domain types, and which app file it is."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import UnsetType

from bluegreen.appfile.check import Places, check
from bluegreen.appfile.custom import custom_check, stranger
from bluegreen.appfile.nodes import read, shown
from bluegreen.appfile.prometheus import prometheus_of
from bluegreen.appfile.schema import AppFile, LivenessProbeFile, ReadinessProbeFile, StartupProbeFile
from bluegreen.domain.errors import UsageError
from bluegreen.domain.image import ImageReference
from bluegreen.domain.notice import USUAL, Occasion
from bluegreen.domain.stack import Limits, MetricNames, Need, Probe, Probes, Service, Slot, Stack, Tells, Told
from bluegreen.domain.values import dataclass, field

if TYPE_CHECKING:
    from bluegreen.appfile.schema import KubernetesFile, LimitsFile, MetricsFile, ProbeFile, ServiceFile, ToldFile
    from bluegreen.domain.stack import Prometheus

APP_FILE = "bluegreen.yaml"
_BUILT_IN = Path(__file__).with_name("alfred.yaml")
_PERCENT = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSettings:
    """What only the platform of one machine uses."""

    images: Path
    """The image folder, absolute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify:
    """Who is told how a run ended. No part of the stack, which is kept on disk and in journals: a URL is a secret."""

    urls: tuple[str, ...] = field(default=(), repr=False)
    """As the file has them: ``${NAME}`` stands for an environment variable."""
    on: tuple[Occasion, ...] = USUAL


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """One app file, read."""

    stack: Stack
    local: LocalSettings
    notify: Notify
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
    local = LocalSettings(images=_images(folder / parsed.local.images, places))
    stack, notify = _stack(parsed, places, folder), _notify(parsed)
    return App(stack=stack, local=local, notify=notify, path=path.absolute() if path is not None else None)


def _images(path: Path, places: Places) -> Path:
    """It need not exist, but must be a path that can."""
    try:
        path.lstat()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            message = f"{shown(str(path))!r} is too long for a folder"
            raise places.error(message, "local", "images", mend="name a folder, relative to this file") from error
    return path.absolute()


def _notify(app: AppFile) -> Notify:
    if isinstance(app.notify, UnsetType):
        return Notify()
    return Notify(urls=tuple(app.notify.urls), on=tuple(map(Occasion, app.notify.on)))


def _parse(file: Path, places: Places) -> AppFile:
    plain = check(read(file), msgspec.inspect.type_info(AppFile), places)
    return msgspec.convert(plain, AppFile)


def _stack(app: AppFile, places: Places, folder: Path) -> Stack:
    _check_names([service.name for service in app.services], "services", places)
    _check_names([each.name for each in app.checks], "checks", places)
    names = [service.name for service in app.services]
    services = tuple(_service(service, index, names, places) for index, service in enumerate(app.services))
    checks = tuple(custom_check(each, index, names, places) for index, each in enumerate(app.checks))
    limits, kubernetes = _limits(app.limits, places), app.kubernetes
    slot_values = _slot_values(kubernetes, places)
    prometheus = _prometheus(app, names, places, folder)
    try:
        return Stack(
            name=app.stack,
            services=services,
            checks=checks,
            limits=limits,
            contacts=tuple(app.contacts),
            slot_label="" if isinstance(kubernetes.slot_label, UnsetType) else kubernetes.slot_label,
            slot_values=slot_values,
            prometheus=prometheus,
        )
    except UsageError as error:
        raise places.error(str(error), "services", mend=error.mend) from error


def _slot_values(given: KubernetesFile, places: Places) -> tuple[tuple[Slot, str], ...]:
    """Empty: they are found."""
    if isinstance(given.slots, UnsetType):
        return ()
    if given.slots.blue == given.slots.green:
        raise places.error("both slots have the same value", "kubernetes", "slots", mend="give each its own")
    return ((Slot.BLUE, given.slots.blue), (Slot.GREEN, given.slots.green))


def _prometheus(app: AppFile, names: list[str], places: Places, folder: Path) -> Prometheus | None:
    return None if isinstance(app.prometheus, UnsetType) else prometheus_of(app.prometheus, names, places, folder)


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
            raise stranger(name, [each for each in names if each != service.name], places, *at, "needs", name)
    return Service(
        name=service.name,
        image=service.image,
        port=service.port if isinstance(service.port, int) else 0,
        port_name=service.port if isinstance(service.port, str) else "",
        users=service.kubernetes.service,
        probes=_probes(service, index, places),
        replicas=service.replicas,
        entry="" if isinstance(service.entry, UnsetType) else service.entry,
        container=service.container,
        command=tuple(service.command),
        environment=tuple(service.environment.items()),
        needs=_needs(service, index, places),
        metrics=_metrics(service.metrics),
        tells=_tells(service, index, places),
        grace=service.grace,
        lame_duck=service.lame_duck,
    )


def _check_image(image: str, places: Places, index: int) -> None:
    try:
        ImageReference.parse(image)
    except UsageError as error:
        raise places.error(str(error), "services", index, "image", mend=error.mend) from error


def _needs(service: ServiceFile, index: int, places: Places) -> tuple[Need, ...]:
    needs = tuple(Need(service=name, variable=variable) for name, variable in service.needs.items())
    taken = set(service.environment)
    for need in needs:
        if need.variable in taken:
            message = f"the variable {need.variable} is set twice: by 'needs' and in 'environment', or by two needs"
            raise places.error(message, "services", index, "needs", need.service, mend="keep one of them")
        taken.add(need.variable)
    return needs


def _probes(service: ServiceFile, index: int, places: Places) -> Probes | None:
    """None: the file says nothing of probes."""
    given = service.probes
    startup = _probe(StartupProbeFile, given.startup, service.health)
    readiness = _probe(ReadinessProbeFile, given.readiness, service.health)
    liveness = _probe(LivenessProbeFile, given.liveness, service.health)
    if startup is None and readiness is None and liveness is None:
        return None
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


def _tells(service: ServiceFile, index: int, places: Places) -> Tells | None:
    if isinstance(service.tells, UnsetType):
        return None
    path = service.tells.path
    readiness = service.probes.readiness
    if isinstance(path, UnsetType):
        path = service.health if isinstance(readiness, UnsetType) else readiness.path
    at = ("services", index, "tells")
    said = [
        _told(each, places, *at, name)
        for name, each in (("slot", service.tells.slot), ("version", service.tells.version))
    ]
    if not any(said):
        raise places.error("it tells nothing", *at, mend="name slot or version, each with a header or a json path")
    if isinstance(path, UnsetType):
        raise places.error("it has no path, and the service no health", *at, mend="add path: /PATH")
    return Tells(path=path, slot=said[0] or Told(), version=said[1] or Told())


def _told(given: ToldFile, places: Places, *at: str | int) -> Told | None:
    """None: nowhere."""
    header = "" if isinstance(given.header, UnsetType) else given.header
    path = "" if isinstance(given.json, UnsetType) else given.json
    if header and path:
        raise places.error("it stands in a header or in the body, not in both", *at, mend="keep one of them")
    return Told(header=header, json=path) if header or path else None


def _limits(limits: LimitsFile, places: Places) -> Limits:
    share = limits.error_share
    if isinstance(share, str):
        share = float(share.rstrip(" %")) / _PERCENT
        if not 0 < share < 1:
            message = f"an error share of {shown(str(limits.error_share))} is no limit"
            raise places.error(message, "limits", "error_share", mend="write a percentage above 0% and below 100%")
    return Limits(error_share=share, p95_overhead_ms=limits.p95_overhead_ms)
