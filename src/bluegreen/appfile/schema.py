"""What an app file may say, as structs: the one source of its rules, of its JSON Schema and of its documentation.

A description is written for whoever edits the file. What may be left out is UNSET and not None, so that a key without a
value, always a mistake, is refused. Defaults are the specification's where it names one.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

NAME = r"^[a-z]([a-z0-9-]*[a-z0-9])?$"
PATH = r"^/[!-~]*$"
VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
LONGEST_NAME = 57
"""A Kubernetes name has 63 characters at most, and ``-green`` is added."""

Name = Annotated[str, Meta(pattern=NAME, max_length=LONGEST_NAME)]
Text = Annotated[str, Meta(min_length=1)]
Path = Annotated[str, Meta(pattern=PATH)]
Port = Annotated[int, Meta(ge=1, le=65535)]
Count = Annotated[int, Meta(ge=1, le=1000)]
Duration = Annotated[float, Meta(gt=0, le=86400)]
Status = Annotated[int, Meta(ge=100, le=599)]
Variable = Annotated[str, Meta(pattern=VARIABLE)]


def _about(what: str) -> Meta:
    return Meta(description=what)


class ProbeFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One HTTP probe."""

    path: Annotated[Path, _about("The path that answers 200 to 399 when all is well.")]
    period: Annotated[Duration, _about("Seconds between two probes.")] = 10.0
    timeout: Annotated[Duration, _about("Seconds until an answer counts as none.")] = 1.0
    failures: Annotated[Count, _about("Failures in a row before it counts as failed.")] = 3


class StartupProbeFile(ProbeFile, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asked until it passes once; the others wait for it."""

    period: Annotated[Duration, _about("Seconds between two probes.")] = 3.0
    failures: Annotated[Count, _about("Failures in a row before the process is started again.")] = 30


class ReadinessProbeFile(ProbeFile, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether this replica may get requests now."""

    period: Annotated[Duration, _about("Seconds between two probes.")] = 5.0


class LivenessProbeFile(ProbeFile, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether the process must be started again."""


class ProbesFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The three probes. One that is left out is made from `health`."""

    startup: Annotated[StartupProbeFile | UnsetType, _about("Asked until it passes once.")] = UNSET
    readiness: Annotated[ReadinessProbeFile | UnsetType, _about("May this replica get requests?")] = UNSET
    liveness: Annotated[LivenessProbeFile | UnsetType, _about("Must the process be started again?")] = UNSET


class MetricsFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the service's own metrics are called (Prometheus text format). Leave out what it does not have."""

    path: Annotated[Path, _about("Where they are.")] = "/metrics"
    requests: Annotated[str, _about("A counter with the label `status`.")] = ""
    duration: Annotated[str, _about("A histogram in milliseconds of the whole request.")] = ""
    overhead: Annotated[str, _about("A histogram in milliseconds of what this service itself adds.")] = ""


class ServiceFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One service of the stack."""

    name: Annotated[Name, _about("Lower-case letters, digits and dashes.")]
    image: Annotated[Text, _about("The image's repository; with a tag it is also what `up` starts with.")]
    port: Annotated[Port, _about("The port that users call.")]
    replicas: Annotated[Count, _about("Replicas in each slot.")] = 2
    health: Annotated[Path | UnsetType, _about("Short for all three probes at this path.")] = UNSET
    probes: Annotated[ProbesFile, _about("The probes one by one.")] = ProbesFile()
    container: Annotated[str, _about("Kubernetes: the container that a release replaces, when there are more.")] = ""
    command: Annotated[list[Text], _about("One machine: how a replica is started; else the image's own `run`.")] = (
        field(default_factory=list)
    )
    environment: Annotated[dict[Variable, str], _about("Environment variables.")] = field(default_factory=dict)
    metrics: Annotated[MetricsFile | UnsetType, _about("What the observation window reads.")] = UNSET
    needs: Annotated[
        dict[Name, Variable],
        _about("Services that this one calls: name, and the variable that carries the address in its own slot."),
    ] = field(default_factory=dict)
    grace: Annotated[Duration, _about("Seconds from the request to end until the kill.")] = 60.0


class CheckFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request that every replica of the new version must answer well before users get it."""

    name: Annotated[Text, _about("What it is called on the screen.")]
    service: Annotated[Name, _about("The service that is asked.")]
    path: Annotated[Path, _about("The path, with its query.")]
    status: Annotated[Status, _about("The status that the answer must have.")] = 200
    contains: Annotated[str, _about("Text that the body must hold.")] = ""
    headers: Annotated[dict[Text, str], _about("Headers that the answer must carry, with these values.")] = field(
        default_factory=dict
    )
    timeout: Annotated[Duration, _about("Seconds.")] = 5.0


class LimitsFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a release may not exceed in the observation window."""

    error_share: Annotated[
        Annotated[float, Meta(gt=0, lt=1)] | Annotated[str, Meta(pattern=r"^[0-9]+(\.[0-9]+)? ?%$")],
        _about("Share of answers with status 5xx: a percentage such as 1%, or a fraction such as 0.01."),
    ] = 0.01
    p95_overhead_ms: Annotated[
        Annotated[float, Meta(gt=0, le=3_600_000)],
        _about("What the entry service may add, in milliseconds, at the 95th percentile."),
    ] = 150.0


class LocalFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What only the platform of one machine uses."""

    images: Annotated[Text, _about("The image folder, relative to this file.")] = "images"


class AppFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An app file of bluegreen: the services that are released together."""

    stack: Annotated[Name, _about("The stack's name.")]
    services: Annotated[
        list[ServiceFile], Meta(min_length=1, description="In switch order; a rollback goes the other way.")
    ]
    checks: Annotated[list[CheckFile], _about("Your own checks of a new version, before the switch.")] = field(
        default_factory=list
    )
    limits: Annotated[LimitsFile, _about("What rolls a release back.")] = LimitsFile()
    contacts: Annotated[list[Text], _about("Who is told of a rollback.")] = field(default_factory=list)
    local: Annotated[LocalFile, _about("Settings for one machine.")] = LocalFile()


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of the app file, for editors and for `bluegreen schema`."""
    schema = msgspec.json.schema(AppFile)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "bluegreen.yaml", **schema}
