"""What an app file may say, as structs: the one source of its rules, of its JSON Schema and of its documentation.

A description is written for whoever edits the file. What may be left out is UNSET and not None, so that a key without a
value, always a mistake, is refused. Defaults are the specification's where it names one.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

NAME = r"^[a-z]([a-z0-9-]*[a-z0-9])?$"
PORT_NAME = r"^(?=.*[a-z])[a-z0-9]([a-z0-9-]*[a-z0-9])?$"
PATH = r"^/[!-~]*$"
SERVICE = rf"{NAME}|^$"
URL = r"^https?://[!-~]+$"
CLASS = r"^[1-5]xx$"
HEADER = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"
HEADER_VALUE = r"^[\t -~]*$"
JSON_PATH = r"^[^.\s]+(\.[^.\s]+)*$"
OCCASION = r"^(release|failure|rollback|held)$"
METHOD = r"^(GET|POST)$"
LABEL = r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$"
LABEL_KEY = r"^([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$"
UNIT = r"^m?s$"
VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
LONGEST_NAME = 57
"""A Kubernetes name has 63 characters at most, and ``-green`` is added."""

Name = Annotated[str, Meta(pattern=NAME, max_length=LONGEST_NAME)]
Text = Annotated[str, Meta(min_length=1)]
Path = Annotated[str, Meta(pattern=PATH)]
Port = Annotated[int, Meta(ge=1, le=65535)]
PortName = Annotated[str, Meta(pattern=PORT_NAME, max_length=63)]
"""As a Service calls a port: it may begin with a digit (``8080-tcp``), and be longer than a container may call one."""
Count = Annotated[int, Meta(ge=1, le=1000)]
LONGEST: float = 86400
"""Seconds. Only what is counted in seconds ends there: so an error knows their unit."""
Duration = Annotated[float, Meta(gt=0, le=LONGEST)]
Status = Annotated[int, Meta(ge=100, le=599)] | Annotated[str, Meta(pattern=CLASS)]
Header = Annotated[str, Meta(pattern=HEADER)]
JsonPath = Annotated[str, Meta(pattern=JSON_PATH)]
Label = Annotated[str, Meta(pattern=LABEL, max_length=63)]
LabelKey = Annotated[str, Meta(pattern=LABEL_KEY, max_length=317)]
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

    path: Annotated[Path, _about("Where they are, at the port that users call.")] = "/metrics"
    requests: Annotated[str, _about("A counter with the label `status`.")] = ""
    duration: Annotated[
        str, _about("A histogram of the whole request: milliseconds, or seconds when its name ends in `_seconds`.")
    ] = ""
    overhead: Annotated[str, _about("The same of what this service itself adds.")] = ""


class ToldFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where in an answer it stands: in a header, or in the JSON body."""

    header: Annotated[Header | UnsetType, _about("A header's name.")] = UNSET
    json: Annotated[JsonPath | UnsetType, _about("A path in the body, such as `build.version`.")] = UNSET


class TellsFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the service says in which slot it runs and which version it is. It is compared before the switch."""

    path: Annotated[Path | UnsetType, _about("What is asked; the readiness path, unless another is named.")] = UNSET
    slot: Annotated[ToldFile, _about("Where it says `blue` or `green`.")] = ToldFile()
    version: Annotated[ToldFile, _about("Where it says its version: the tag of its image.")] = ToldFile()


class KubernetesServiceFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a service's objects are called on Kubernetes. All else is found by labels."""

    service: Annotated[str, Meta(pattern=SERVICE, max_length=63), _about("The Service that users call.")] = ""


class ServiceFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One service of the stack."""

    name: Annotated[Name, _about("Lower-case letters, digits and dashes.")]
    image: Annotated[Text, _about("The image's repository; with a tag it is also what `up` starts with.")]
    port: Annotated[
        Port | PortName,
        _about("The port that users call; on Kubernetes it may be the name that their Service gives it."),
    ]
    replicas: Annotated[Count, _about("Replicas in each slot.")] = 2
    health: Annotated[Path | UnsetType, _about("Short for all three probes at this path.")] = UNSET
    probes: Annotated[ProbesFile, _about("The probes one by one.")] = ProbesFile()
    entry: Annotated[
        Annotated[str, Meta(pattern=URL)] | UnsetType,
        _about("Kubernetes: where users call it from outside, to see that the switch has reached them."),
    ] = UNSET
    container: Annotated[str, _about("Kubernetes: the container that a release replaces, when there are more.")] = ""
    command: Annotated[list[Text], _about("One machine: how a replica is started; else the image's own `run`.")] = (
        field(default_factory=list)
    )
    environment: Annotated[dict[Variable, str], _about("One machine: environment variables.")] = field(
        default_factory=dict
    )
    metrics: Annotated[MetricsFile | UnsetType, _about("What the observation window reads.")] = UNSET
    tells: Annotated[TellsFile | UnsetType, _about("Where it says which slot and which version it is.")] = UNSET
    needs: Annotated[
        dict[Name, Variable],
        _about("Services that this one calls: name, and the variable that carries the address in its own slot."),
    ] = field(default_factory=dict)
    grace: Annotated[Duration, _about("Seconds from the request to end until the kill.")] = 60.0
    lame_duck: Annotated[
        Annotated[float, Meta(ge=0, le=LONGEST)],
        _about("Seconds for which it answers on when it was told to end, each answer with `Connection: close`."),
    ] = 0.0
    kubernetes: Annotated[KubernetesServiceFile, _about("What its objects are called, where it is not its name.")] = (
        KubernetesServiceFile()
    )


class JsonFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one value of a JSON body must be. With the path alone it must be there, and not null."""

    path: Annotated[JsonPath, _about("Keys, and numbers from 0 in lists, with dots between: `replicas.0.state`.")]
    equals: Annotated[bool | int | float | str | UnsetType, _about("The value itself.")] = UNSET
    at_least: Annotated[float | UnsetType, _about("The least number that is good.")] = UNSET
    at_most: Annotated[float | UnsetType, _about("The greatest number that is good.")] = UNSET
    above: Annotated[float | UnsetType, _about("A number that it must be greater than.")] = UNSET
    below: Annotated[float | UnsetType, _about("A number that it must be less than.")] = UNSET


class CheckFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What must be good before users get a new version: a request to every replica, or a command."""

    name: Annotated[Text, _about("What it is called on the screen.")]
    service: Annotated[Name | UnsetType, _about("Of a request: the service that is asked.")] = UNSET
    path: Annotated[Path | UnsetType, _about("Of a request: the path, with its query.")] = UNSET
    method: Annotated[Annotated[str, Meta(pattern=METHOD)], _about("GET or POST.")] = "GET"
    body: Annotated[str, _about("What a POST sends.")] = ""
    request_headers: Annotated[
        dict[Header, Annotated[str, Meta(pattern=HEADER_VALUE)]], _about("Headers that are sent.")
    ] = field(default_factory=dict)
    status: Annotated[
        Status | list[Status],
        _about("The status that the answer must have, a class such as 2xx, or a list of these."),
    ] = 200
    contains: Annotated[str, _about("Text that the body must hold.")] = ""
    matches: Annotated[str, _about("A regular expression (Python's), found in the body's first 64 KiB.")] = ""
    json: Annotated[list[JsonFile], _about("What the JSON body must say.")] = field(default_factory=list)
    headers: Annotated[dict[Text, str], _about("Headers that the answer must carry, with these values.")] = field(
        default_factory=dict
    )
    latency: Annotated[Duration | UnsetType, _about("Seconds within which the whole answer must be there.")] = UNSET
    command: Annotated[
        list[Text],
        _about("Instead of a request: a program and its arguments, run where the release runs; 0 is good."),
    ] = field(default_factory=list)
    timeout: Annotated[Duration | UnsetType, _about("Seconds for one try: 5, and 30 for a command.")] = UNSET
    consecutive: Annotated[Count, _about("So many tries in a row must be good.")] = 1
    interval: Annotated[Duration, _about("Seconds between two tries.")] = 1.0
    within: Annotated[
        Duration | UnsetType,
        _about("Seconds for all tries: until then a bad one only begins the row anew. Else the first bad one fails."),
    ] = UNSET


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


class NotifyFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is told how a run ended. `--notify` and BLUEGREEN_NOTIFY win over these addresses."""

    urls: Annotated[
        list[Text],
        _about("URLs of apprise. `${NAME}` stands for an environment variable, so that no secret is in this file."),
    ]
    on: Annotated[
        list[Annotated[str, Meta(pattern=OCCASION)]],
        _about("Of what: release, failure, held. Of a rollback they are always told."),
    ] = field(default_factory=lambda: ["rollback", "failure", "held"])


class SlotsFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the slot's label says in each slot."""

    blue: Annotated[Label, _about("In blue.")]
    green: Annotated[Label, _about("In green.")]


class KubernetesFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the slots are told on Kubernetes. What is left out is found on the objects."""

    slot_label: Annotated[LabelKey | UnsetType, _about("The label that names the slot, in selector and pods.")] = UNSET
    slots: Annotated[SlotsFile | UnsetType, _about("What that label says in each slot.")] = UNSET


class QueriesFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What Prometheus is asked for one service: raw counters by pod, never rates. `$pods` is a pattern of its pods."""

    requests: Annotated[str, _about("Requests by pod and status.")] = ""
    duration: Annotated[str, _about("Buckets of the whole request's time by pod and `le`.")] = ""
    overhead: Annotated[str, _about("Buckets of what the service itself adds, by pod and `le`.")] = ""


class PrometheusFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A Prometheus server from which the observation window reads, instead of from the pods."""

    url: Annotated[Annotated[str, Meta(pattern=URL)], _about("Its address, without a user or a password.")]
    pod_label: Annotated[
        Annotated[str, Meta(pattern=VARIABLE)] | UnsetType,
        _about("The label that names the pod; `instance` holds its address. Else `pod`; on one machine `instance`."),
    ] = UNSET
    status_label: Annotated[
        Annotated[str, Meta(pattern=VARIABLE)], _about("The label that holds the answer's status.")
    ] = "status"
    unit: Annotated[
        Annotated[str, Meta(pattern=UNIT)] | UnsetType,
        _about("Of the histograms' edges: `ms` or `s`. Else told by their names: `s` when they end in `_seconds`."),
    ] = UNSET
    scrapes: Annotated[
        Annotated[str, Meta(min_length=1)],
        _about("A selector of series that have a sample at each scrape: they tell how old the counters are."),
    ] = "up"
    queries: Annotated[
        dict[Name, QueriesFile], _about("Queries of a service; else its metric names are asked for.")
    ] = field(default_factory=dict)
    token_file: Annotated[str, _about("A file with a bearer token, relative to this file.")] = ""
    ca_file: Annotated[str, _about("Certificates that vouch for the server, relative to this file.")] = ""


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
    prometheus: Annotated[
        PrometheusFile | UnsetType, _about("Where the observation window reads; else from the pods themselves.")
    ] = UNSET
    notify: Annotated[NotifyFile | UnsetType, _about("Who is told how a run ended, by apprise.")] = UNSET
    local: Annotated[LocalFile, _about("Settings for one machine.")] = LocalFile()
    kubernetes: Annotated[KubernetesFile, _about("How the slots are told on Kubernetes.")] = KubernetesFile()


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of the app file, for editors and for `bluegreen schema`."""
    schema = msgspec.json.schema(AppFile)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "bluegreen.yaml", **schema}
