"""What Envoy is told: bootstrap, endpoints and routes as text, and back from text.

Pure: nothing here opens a file or a socket. It decides how requests travel; it does not decide where to (the caller
names the slot). A service has one public listener, whose route comes from a file, and one preview listener a slot,
whose route never changes. A slot has two clusters over the same endpoints: one for users, so that its counter counts
users only, and one for the preview address, which is also how a slot's own services call each other. The settings and
the reason of each are in the constants below; the figures come from measurements with Envoy 1.40.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

from bluegreen.domain.stack import Slot
from bluegreen.domain.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

Json = dict[str, object]

ADDRESS = "127.0.0.1"
"""Where every listener binds and every replica listens."""
SLOT_HEADER = "x-bluegreen-slot"
"""Set on every answer from the metadata of the endpoint that gave it; what an application says itself is replaced."""

_NAMESPACE = "bluegreen"
_TYPE = "type.googleapis.com/envoy"
_ROUTES = f"{_TYPE}.config.route.v3.RouteConfiguration"
_ENDPOINTS = f"{_TYPE}.config.endpoint.v3.ClusterLoadAssignment"
_ADMIN_MODE = 0o600  # the admin API has no authentication but this
_UPSTREAM = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_HOURS = "86400s"  # a quiet WebSocket or stream is not ours to end
_NO_LIMIT = 1_000_000_000
_CONNECT = "1.5s"
"""A dead replica refuses at once. One whose queue of new connections is full, of five in Python's own server, lets the
system try again after a second: within that it has had its pause, and is not taken for a dead one.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """One service's listeners, and the path that says whether a replica is ready."""

    service: str
    public_port: int
    preview_ports: tuple[tuple[Slot, int], ...]
    health_path: str
    own_paths: tuple[tuple[Slot, str], ...] = ()
    """Of slots that held a version with another readiness path when Envoy was told."""

    def path_in(self, slot: Slot) -> str:
        """Which path is asked there."""
        return dict(self.own_paths).get(slot, self.health_path)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaneRoute:
    """What a route file says. ``slot`` None: no slot yet, every request is answered 503."""

    service: str
    slot: Slot | None
    fallback: Slot | None
    version: str
    """Opaque, another one for each write."""
    fence: str
    """The id of the write."""


# --- names, which are also how counters are found ---------------------------------------------------------------


def users_cluster(service: str, slot: Slot) -> str:
    """The cluster that only the public route sends to."""
    return f"{service}/{slot}"


def preview_cluster(service: str, slot: Slot) -> str:
    """The cluster behind the slot's own address."""
    return f"{service}/{slot}/preview"


def fallback_cluster(service: str, slot: Slot) -> str:
    """The slot first, and the other one as long as the slot has no replica that can answer."""
    return f"{service}/to-{slot}"


# --- endpoints --------------------------------------------------------------------------------------------------


def endpoints_text(service: str, slot: Slot, *, ports: Sequence[int], version: str) -> str:
    """The replicas of a slot by their ports; none is valid too."""
    assignment: Json = {
        "@type": _ENDPOINTS,
        "cluster_name": users_cluster(service, slot),
        # With the default of 140 a slot with one of two replicas down sends a third of its users to the other slot.
        "policy": {"overprovisioning_factor": 100_000},
        "endpoints": [{"lb_endpoints": [_endpoint(slot, port) for port in ports]}],
    }
    return _text({"version_info": version, "resources": [assignment]})


def _endpoint(slot: Slot, port: int) -> Json:
    return {
        "endpoint": {"address": _socket(port)},
        "metadata": {"filter_metadata": {_NAMESPACE: {"slot": slot.value}}},
    }


def endpoints_from(text: str) -> tuple[int, ...]:
    """The ports in the text. Raises ValueError that says what is wrong."""
    assignment = _only_resource(text)
    localities = cast("Iterable[Json]", _field(assignment, "endpoints", list))
    endpoints = (item for locality in localities for item in cast("Iterable[Json]", locality["lb_endpoints"]))
    return tuple(_port(endpoint) for endpoint in endpoints)


def _port(endpoint: Json) -> int:
    try:
        return int(endpoint["endpoint"]["address"]["socket_address"]["port_value"])  # type: ignore[index]
    except (KeyError, TypeError) as error:
        raise ValueError("an endpoint without a port") from error


# --- routes -----------------------------------------------------------------------------------------------------


def route_text(route: PlaneRoute) -> str:
    """The route as Envoy reads it; the slot, the fallback and the fence ride along as metadata."""
    return _text({"version_info": route.version, "resources": [_public_routes(route)]})


def _public_routes(route: PlaneRoute) -> Json:
    facts = {"slot": route.slot or "", "fallback": route.fallback or "", "fence": route.fence}
    return {
        "@type": _ROUTES,
        **_routes(route.service, _action(route)),
        # Without it a route to an unknown cluster is taken, and answers 503 to everybody.
        "validate_clusters": True,
        "metadata": {"filter_metadata": {_NAMESPACE: facts}},
    }


def _action(route: PlaneRoute) -> Json:
    if route.slot is None:
        return {"direct_response": {"status": 503, "body": {"inline_string": f"{route.service}: no slot is active\n"}}}
    if route.fallback is None:
        return _to(users_cluster(route.service, route.slot))
    return _to(fallback_cluster(route.service, route.slot))


def route_from(service: str, text: str) -> PlaneRoute:
    """The route in the text. Raises ValueError that says what is wrong."""
    resource = _only_resource(text)
    if resource.get("name") != service:
        raise ValueError(f"it is the route of {resource.get('name')!r}, not of {service!r}")
    metadata = cast("Json", _field(resource, "metadata", dict))
    facts = cast("Json", _field(cast("Json", _field(metadata, "filter_metadata", dict)), _NAMESPACE, dict))
    return PlaneRoute(
        service=service,
        slot=_slot(facts, "slot"),
        fallback=_slot(facts, "fallback"),
        version=str(_field(_parsed(text), "version_info", str)),
        fence=str(_field(facts, "fence", str)),
    )


def _slot(facts: Json, name: str) -> Slot | None:
    value = str(_field(facts, name, str))
    return Slot(value) if value else None


def _routes(name: str, action: Json) -> Json:
    """One virtual host for everything: which names an application answers to is its own affair."""
    return {
        "name": name,
        "virtual_hosts": [{"name": name, "domains": ["*"], "routes": [{"match": {"prefix": "/"}, **action}]}],
        "response_headers_to_add": [_slot_header()],
    }


def _slot_header() -> Json:
    return {
        "header": {"key": SLOT_HEADER, "value": f"%UPSTREAM_METADATA({_NAMESPACE}:slot)%"},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    }


def _to(cluster: str) -> Json:
    return {
        "route": {
            "cluster": cluster,
            # How long a request may take is known to the application; a stream has no end.
            "timeout": "0s",
            "idle_timeout": _HOURS,
            "retry_policy": _retries(),
        }
    }


def _retries() -> Json:
    """Repeat only what cannot have been executed, so a POST too; first on another replica, then in the other slot."""
    return {
        "retry_on": "connect-failure,refused-stream,reset-before-request",
        "num_retries": 3,
        "retry_back_off": {"base_interval": "0.01s", "max_interval": "0.1s"},
        # So often is drawn again until it is another replica than before: a busy twin is drawn once in four times only,
        # for the dead one has the fewest requests. With 5 the second attempt went to the dead one in 20 of 100 cases.
        "host_selection_retry_max_attempts": "50",
        "retry_host_predicate": [_extension("retry.host.previous_hosts.v3.PreviousHostsPredicate")],
        # Two attempts a slot: one dead replica must not send anybody to the other slot while its twin can answer.
        "retry_priority": _extension(
            "retry.priority.previous_priorities.v3.PreviousPrioritiesConfig", update_frequency=2
        ),
    }


# --- bootstrap --------------------------------------------------------------------------------------------------


def bootstrap_text(fronts: Sequence[Front], *, endpoints: Path, routes: Path, admin: Path) -> str:
    """The start: listeners and clusters of all services; where slots are and where users go is read from the folders.

    ``endpoints`` holds ``<service>-<slot>.json``, ``routes`` holds ``<service>.json``; ``admin`` is a socket's path.
    """
    start: Json = {
        "node": {"id": "bluegreen", "cluster": "local"},
        "admin": {"address": {"pipe": {"path": str(admin), "mode": _ADMIN_MODE}}},
        "static_resources": {
            "listeners": [listener for front in fronts for listener in _listeners(front, routes)],
            "clusters": [cluster for front in fronts for cluster in _clusters(front, endpoints)],
        },
    }
    return json.dumps(start, indent=1) + "\n"


def _listeners(front: Front, routes: Path) -> Iterable[Json]:
    source = {"route_config_name": front.service, "config_source": _source(routes / f"{front.service}.json")}
    yield _listener(front.service, front.public_port, {"rds": source})
    for slot, port in front.preview_ports:
        name = preview_cluster(front.service, slot)
        yield _listener(name, port, {"route_config": _routes(name, _to(name))})


def _listener(name: str, port: int, routes: Json) -> Json:
    manager = _extension("filters.network.http_connection_manager.v3.HttpConnectionManager", **_manager(name), **routes)
    return {
        "name": name,
        "address": _socket(port),
        # One socket, not one a worker: a port that somebody else listens on is then an error at start, not a share.
        "enable_reuse_port": False,
        "filter_chains": [{"filters": [manager]}],
    }


def _manager(name: str) -> Json:
    """HTTP/1.1 and clear-text HTTP/2 by what the client opens with; requests and answers pass as they are."""
    return {
        "stat_prefix": name,
        "codec_type": "AUTO",
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "stream_idle_timeout": _HOURS,
        "common_http_protocol_options": {"idle_timeout": "3600s"},
        "server_header_transformation": "PASS_THROUGH",
        # Users are outsiders: their x-envoy-* headers must not turn on retries that could run a POST twice.
        "use_remote_address": True,
        "generate_request_id": False,
        "preserve_external_request_id": True,
        "http_filters": [_extension("filters.http.router.v3.Router", suppress_envoy_headers=True)],
    }


def _clusters(front: Front, endpoints: Path) -> Iterable[Json]:
    for slot in Slot:
        source = endpoints / f"{front.service}-{slot}.json"
        yield _cluster(front, slot, users_cluster(front.service, slot), source) | {"outlier_detection": _outliers()}
        yield _cluster(front, slot, preview_cluster(front.service, slot), source) | {
            "outlier_detection": _outliers_of_preview()
        }
        yield _fallback(front.service, slot)


def _cluster(front: Front, slot: Slot, name: str, source: Path) -> Json:
    return {
        "name": name,
        "type": "EDS",
        "eds_cluster_config": {"service_name": users_cluster(front.service, slot), "eds_config": _source(source)},
        "connect_timeout": _CONNECT,
        "lb_policy": "LEAST_REQUEST",
        "common_lb_config": _balance(),
        "circuit_breakers": _breakers(),
        "health_checks": [_health(front.path_in(slot))],
        # A replica that was taken out of the file is out, whether or not it still passes its health check.
        "ignore_health_on_host_removal": True,
        "typed_extension_protocol_options": {_UPSTREAM: _upstream()},
    }


def _upstream() -> Json:
    """Leave idle connections before the application does: a request sent into a closing one is lost.

    Servers close theirs after 2 s (gunicorn) to 5 s (uvicorn, Node); a new connection on loopback costs nothing.
    """
    return {
        "@type": f"{_TYPE}.extensions.upstreams.http.v3.HttpProtocolOptions",
        "common_http_protocol_options": {"idle_timeout": "1s"},
        "explicit_http_config": {"http_protocol_options": {}},
    }


def _fallback(service: str, slot: Slot) -> Json:
    order = [users_cluster(service, slot), users_cluster(service, slot.other)]
    return {
        "name": fallback_cluster(service, slot),
        "connect_timeout": _CONNECT,
        "lb_policy": "CLUSTER_PROVIDED",
        "circuit_breakers": _breakers(),
        "cluster_type": _extension("clusters.aggregate.v3.ClusterConfig", clusters=order),
    }


def _balance() -> Json:
    return {
        # The default gathers health changes for a second: measured, 350 to 500 failed requests instead of 4.
        "update_merge_window": "0s",
        # Not 0: a slot without a healthy replica and without a fallback is tried anyhow, because an answer of an
        # overloaded application is better than a certain 503. A fallback is still taken first.
        "healthy_panic_threshold": {"value": 1},
    }


def _breakers() -> Json:
    """Off: overload is the application's to judge, and the defaults (1024, 3 retries) refuse users under load."""
    names = ("max_connections", "max_pending_requests", "max_requests", "max_retries")
    return {"thresholds": [dict.fromkeys(names, _NO_LIMIT)]}


def _health(path: str) -> Json:
    """Fast checks of the readiness path.

    A dead replica refuses and is out after two checks. The time-out is for one that hangs: longer than the pauses of a
    busy machine, so that a slow answer is not taken for a dead replica.
    """
    return {
        "timeout": "1s",
        "interval": "0.5s",
        # An idle slot is watched as closely as the one that serves; the default is a minute.
        "no_traffic_interval": "0.5s",
        "unhealthy_interval": "0.25s",
        "unhealthy_threshold": 2,
        "healthy_threshold": 1,
        "http_health_check": {"path": path, "host": ADDRESS, "expected_statuses": [{"start": 200, "end": 400}]},
    }


def _outliers() -> Json:
    """Take a replica out that refuses connections twice in a row, or answers 5xx five times in a row."""
    return {
        "consecutive_5xx": 5,
        "consecutive_local_origin_failure": 2,
        "split_external_local_origin_errors": True,
        "enforcing_success_rate": 0,
        "enforcing_local_origin_success_rate": 0,
        "interval": "0.5s",
        "base_ejection_time": "5s",
        "max_ejection_percent": 100,
        # Otherwise a passing health check brings back a replica that answers 500 every half second.
        "successful_active_health_check_uneject_host": False,
    }


def _outliers_of_preview() -> Json:
    """The same without the answers: whoever asks the slot's own address must see what the slot really says."""
    return _outliers() | {"enforcing_consecutive_5xx": 0}


# --- small parts ------------------------------------------------------------------------------------------------


def _source(path: Path) -> Json:
    return {"resource_api_version": "V3", "path_config_source": {"path": str(path)}}


def _socket(port: int) -> Json:
    return {"socket_address": {"address": ADDRESS, "port_value": port}}


def _extension(kind: str, **fields: object) -> Json:
    return {"name": kind, "typed_config": {"@type": f"{_TYPE}.extensions.{kind}", **fields}}


def _text(value: Mapping[str, object]) -> str:
    return json.dumps(value, separators=(",", ":")) + "\n"


def _parsed(text: str) -> Json:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"no JSON from line {error.lineno}, column {error.colno} on") from error
    if not isinstance(value, dict):
        raise ValueError("no JSON object")  # noqa: TRY004 - a file's content, not a caller's type error
    return value


def _only_resource(text: str) -> Json:
    resources = cast("list[Json]", _field(_parsed(text), "resources", list))
    if len(resources) != 1 or not isinstance(resources[0], dict):
        raise ValueError("not exactly one resource")
    return resources[0]


def _field(value: Json, name: str, kind: type) -> object:
    found = value.get(name)
    if not isinstance(found, kind):
        raise ValueError(f"no {name!r} in it")  # noqa: TRY004 - as above
    return found
