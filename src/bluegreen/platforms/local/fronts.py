"""Which ports a stack is served on: as asked, as before, or any free ones; never silently others than users call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.errors import UsageError
from bluegreen.domain.stack import Slot
from bluegreen.platforms.local.addresses import Ports, bindable, obstacle
from bluegreen.platforms.local.envoy import Front
from bluegreen.platforms.local.template import readiness_path

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bluegreen.domain.stack import Service, Stack
    from bluegreen.platforms.local.store import Record


def wanted_ports(stack: Stack, *, given: Mapping[str, int], before: Record | None) -> dict[str, int]:
    """The public port of each service, 0 for any free one.

    One that is given counts. Else a stack keeps what it had, unless the app file says another one than it did then.
    """
    return {
        service.name: given.get(service.name, _as_before(service.name, stack, before)) for service in stack.services
    }


def _as_before(name: str, stack: Stack, before: Record | None) -> int:
    port = stack.service(name).port
    if before is None or before.stack.service(name).port != port:
        return port
    return before.front(name).public_port


def kept(fronts: Sequence[Front], *, wanted: Mapping[str, int]) -> tuple[Front, ...]:
    """The ports of a stack that runs. Raises UsageError when others are wanted."""
    for front in fronts:
        if wanted[front.service] not in {0, front.public_port}:
            raise UsageError(
                f"{front.service} is served on port {front.public_port} already, not {wanted[front.service]}",
                mend="bluegreen down, then bluegreen up with the new port",
            )
    return tuple(fronts)


def chosen(stack: Stack, *, wanted: Mapping[str, int], before: Record | None) -> tuple[Front, ...]:
    """The ports of a stack that does not run. Raises UsageError for a public port that is taken, or wanted twice."""
    _refuse_twice(wanted)
    ports = Ports(set(wanted.values()) - {0})
    known = {front.service: front for front in before.fronts} if before is not None else {}
    return tuple(
        Front(
            service=service.name,
            public_port=_public(wanted[service.name], service.name, known.get(service.name), ports),
            preview_ports=tuple((slot, _preview(slot, known.get(service.name), ports)) for slot in Slot),
            health_path=service.probed.readiness.path,
            own_paths=_own_paths(service, before),
        )
        for service in stack.services
    )


def _own_paths(service: Service, before: Record | None) -> tuple[tuple[Slot, str], ...]:
    """What the slots hold comes back as it was, whatever a newer app file says."""
    held = before.slots if before is not None else ()
    paths = {
        record.spec.slot: readiness_path(spec.template)
        for record in held
        for spec in record.spec.workloads
        if spec.service == service.name
    }
    usual = service.probed.readiness.path
    return tuple((slot, path) for slot, path in paths.items() if path not in {"", usual})


def _refuse_twice(wanted: Mapping[str, int]) -> None:
    ports = [port for port in wanted.values() if port]
    for port in ports:
        if ports.count(port) > 1:
            both = " and ".join(service for service, found in wanted.items() if found == port)
            raise UsageError(f"{both} both want port {port}", mend="give one of them another port by --port")


def _public(wanted: int, service: str, known: Front | None, ports: Ports) -> int:
    if wanted == 0:
        return _remembered(known.public_port if known is not None else None, ports)
    if not bindable(wanted):
        raise taken(wanted, service)
    return wanted


def _preview(slot: Slot, known: Front | None, ports: Ports) -> int:
    return _remembered(dict(known.preview_ports)[slot] if known is not None else None, ports)


def _remembered(port: int | None, ports: Ports) -> int:
    if port is not None and ports.claim(port):
        return port
    return ports.choose()


def taken(port: int, service: str) -> UsageError:
    """The error that says why, and names who holds the port where the system tells."""
    return UsageError(
        f"port {port} of {service} {obstacle(port) or 'was taken a moment ago'}",
        mend=f"free it, or give another port: --port {service}=0 takes any free one",
    )
