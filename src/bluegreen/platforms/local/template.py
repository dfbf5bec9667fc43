"""A service's settings as a flat template, and back: what a restore puts back is all in the record of the slot.

Values of variables that look like secrets are sealed: the template carries a mark that is the same for the same value
and says nothing of it, because templates are shown in plans and kept in the journal.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from bluegreen.domain.snapshot import Template
from bluegreen.domain.stack import Need, Probe, Probes, Service
from bluegreen.domain.values import dataclass, field, replace

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECRET = re.compile(r"(?i)(token|secret|passw|credential|private|api_?key|auth|dsn)")
_MARK = re.compile(r"\(secret [0-9a-f]{12}\)\Z")
_PROBES = ("startup", "readiness", "liveness")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """Makes marks with a key of this stack's own, so that a short secret cannot be guessed from its mark."""

    key: bytes = field(repr=False)

    def mark(self, value: str) -> str:
        """The mark of a value."""
        import hmac

        return f"(secret {hmac.new(self.key, value.encode(), 'sha256').hexdigest()[:12]})"


def template_of(service: Service, *, seal: Seal) -> Template:
    """All settings besides image and size, each under its own name."""
    settings = {
        "command": shlex.join(service.command) or "run",
        "grace": f"{service.grace:g}",
        **{name: _probe_text(getattr(service.probed, name)) for name in _PROBES},
        **{f"environment.{name}": _shown(name, value, seal) for name, value in service.environment},
        **{f"needs.{need.service}": need.variable for need in service.needs},
    }
    return Template(settings=tuple(sorted(settings.items())))


def readiness_path(template: Template) -> str:
    """The path that its readiness probe asks; empty: it has none."""
    return dict(template.settings).get("readiness", "").partition(" GET ")[2]


def _shown(name: str, value: str, seal: Seal) -> str:
    if _SECRET.search(name):
        return seal.mark(value)
    return value


def _probe_text(probe: Probe) -> str:
    return f"period={probe.period:g} timeout={probe.timeout:g} failures={probe.failures} GET {probe.path}"


def sealed_values(service: Service, *, seal: Seal) -> dict[str, str]:
    """The marks that ``template_of`` makes, with what each stands for."""
    return {seal.mark(value): value for name, value in service.environment if _SECRET.search(name)}


def with_template(service: Service, template: Template, *, sealed: Mapping[str, str]) -> Service:
    """The service with the template's settings in place of its own. Raises ValueError for a template that is none."""
    settings = dict(template.settings)
    try:
        return replace(
            service,
            command=_command_from(settings["command"]),
            grace=float(settings["grace"]),
            probes=Probes(**{name: _probe_from(settings[name]) for name in _PROBES}),
            environment=tuple((name, _opened(value, sealed)) for name, value in _below(settings, "environment.")),
            needs=tuple(Need(service=name, variable=variable) for name, variable in _below(settings, "needs.")),
        )
    except KeyError as error:
        raise ValueError(f"the template of {service.name} lacks {error}") from error


def _command_from(text: str) -> tuple[str, ...]:
    if text == "run":
        return ()
    return tuple(shlex.split(text))


def _probe_from(text: str) -> Probe:
    head, found, path = text.partition(" GET ")
    fields = dict(part.split("=", 1) for part in head.split())
    if not found:
        raise ValueError(f"{text!r} is not a probe")
    return Probe(
        path=path,
        period=float(fields["period"]),
        timeout=float(fields["timeout"]),
        failures=int(fields["failures"]),
    )


def _below(settings: Mapping[str, str], prefix: str) -> list[tuple[str, str]]:
    return [(name.removeprefix(prefix), value) for name, value in settings.items() if name.startswith(prefix)]


def _opened(value: str, sealed: Mapping[str, str]) -> str:
    if not _MARK.match(value):
        return value
    return sealed[value]
