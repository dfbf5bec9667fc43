"""What Envoy is told, as values: texts that read back, clusters that exist, files that are whole or refused."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluegreen.clock import SystemClock
from bluegreen.domain.errors import DeadlineExceeded, NotStarted, PlatformError
from bluegreen.domain.stack import Slot, after
from bluegreen.platforms.local import envoy
from bluegreen.platforms.local.dataplane import DataPlane, Front, PlaneRoute, RouteConflict

if TYPE_CHECKING:
    from pathlib import Path

BLUE, GREEN = Slot.BLUE, Slot.GREEN
FRONTS = (
    Front(service="backend", public_port=8000, preview_ports=((BLUE, 8001), (GREEN, 8002)), health_path="/health"),
    Front(service="gateway", public_port=8080, preview_ports=((BLUE, 8081), (GREEN, 8082)), health_path="/ready"),
)

slots = st.one_of(st.none(), st.sampled_from(Slot))
routes = st.builds(
    PlaneRoute, service=st.just("backend"), slot=slots, fallback=slots, version=st.text(), fence=st.text()
)


@given(routes)
def test_a_route_reads_back(route: PlaneRoute) -> None:
    assert envoy.route_from("backend", envoy.route_text(route)) == route


@given(st.lists(st.integers(1, 65535)))
def test_endpoints_read_back(ports: list[int]) -> None:
    text = envoy.endpoints_text("backend", BLUE, ports=ports, version="1")
    assert envoy.endpoints_from(text) == tuple(ports)


@given(routes, st.data())
def test_a_part_of_a_route_is_refused(route: PlaneRoute, data: st.DataObject) -> None:
    text = envoy.route_text(route).rstrip()
    cut = data.draw(st.integers(0, len(text) - 1))
    with pytest.raises(ValueError, match=r".+"):
        envoy.route_from("backend", text[:cut])


def _bootstrap(tmp_path: Path) -> dict[str, Any]:
    text = envoy.bootstrap_text(FRONTS, endpoints=tmp_path / "eds", routes=tmp_path / "rds", admin=tmp_path / "sock")
    found = json.loads(text)
    assert isinstance(found, dict)
    return found


def _clusters(tmp_path: Path) -> dict[str, dict[str, Any]]:
    return {cluster["name"]: cluster for cluster in _bootstrap(tmp_path)["static_resources"]["clusters"]}


def _route(slot: Slot | None, fallback: Slot | None) -> dict[str, Any]:
    route = PlaneRoute(service="backend", slot=slot, fallback=fallback, version="v", fence="f")
    found = json.loads(envoy.route_text(route))["resources"][0]["virtual_hosts"][0]["routes"][0]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("slot", list(Slot))
def test_every_route_names_a_cluster_that_exists(tmp_path: Path, slot: Slot) -> None:
    known = _clusters(tmp_path)
    assert _route(slot, None)["route"]["cluster"] == f"backend/{slot}"
    assert _route(slot, slot.other)["route"]["cluster"] == f"backend/to-{slot}"
    assert {f"backend/{slot}", f"backend/to-{slot}"} <= known.keys()


@pytest.mark.parametrize("slot", list(Slot))
def test_the_fallback_is_the_other_slot_and_comes_second(tmp_path: Path, slot: Slot) -> None:
    order = _clusters(tmp_path)[f"gateway/to-{slot}"]["cluster_type"]["typed_config"]["clusters"]
    assert order == [f"gateway/{slot}", f"gateway/{slot.other}"]


def test_without_a_slot_the_route_answers_itself() -> None:
    assert _route(None, None)["direct_response"]["status"] == 503


def test_retries_repeat_nothing_that_may_have_been_executed() -> None:
    causes = set(_route(BLUE, GREEN)["route"]["retry_policy"]["retry_on"].split(","))
    assert causes == {"connect-failure", "refused-stream", "reset-before-request"}


def test_previews_never_send_to_the_users_clusters(tmp_path: Path) -> None:
    """Otherwise the users' counters would count more than users."""
    listeners = _bootstrap(tmp_path)["static_resources"]["listeners"]
    static = [json.dumps(listener) for listener in listeners if '"route_config"' in json.dumps(listener)]
    assert len(static) == 4
    for text in static:
        assert text.count('"cluster": ') == text.count('/preview", "timeout"') == 1


def test_everything_listens_on_loopback_and_the_admin_api_is_a_private_socket(tmp_path: Path) -> None:
    start = _bootstrap(tmp_path)
    addresses = {
        listener["address"]["socket_address"]["address"] for listener in start["static_resources"]["listeners"]
    }
    assert addresses == {"127.0.0.1"}
    assert start["admin"]["address"]["pipe"] == {"path": str(tmp_path / "sock"), "mode": 0o600}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (("common_lb_config", "update_merge_window"), "0s"),
        (("ignore_health_on_host_removal",), True),
        (("outlier_detection", "successful_active_health_check_uneject_host"), False),
        (("outlier_detection", "max_ejection_percent"), 100),
    ],
)
def test_measured_settings_hold_for_both_clusters_of_a_slot(
    tmp_path: Path, name: tuple[str, ...], value: object
) -> None:
    for cluster in ("backend/blue", "backend/blue/preview", "gateway/green", "gateway/green/preview"):
        found: Any = _clusters(tmp_path)[cluster]
        for step in name:
            found = found[step]
        assert found == value


# --- files, without an Envoy ------------------------------------------------------------------------------------


@pytest.fixture
def plane(tmp_path: Path) -> DataPlane:
    made = DataPlane(folder=tmp_path, admin=tmp_path / "no.sock", fronts=FRONTS)
    made.prepare()
    return made


def test_prepare_makes_what_is_missing_and_keeps_what_is_there(plane: DataPlane) -> None:
    written = plane.write_route("backend", to=GREEN, fallback=BLUE, fence="f1", expect=None)
    plane.set_endpoints("backend", GREEN, [9001, 9002])
    plane.prepare()
    assert plane.read_route("backend") == written
    assert plane.endpoints("backend", GREEN) == (9001, 9002)
    assert plane.read_route("gateway").slot is None
    assert plane.endpoints("gateway", BLUE) == ()


def test_each_write_has_a_version_of_its_own_and_only_the_judged_one_is_replaced(plane: DataPlane) -> None:
    first = plane.write_route("backend", to=BLUE, fallback=None, fence="f", expect=None)
    second = plane.write_route("backend", to=BLUE, fallback=None, fence="f", expect=first.version)
    assert first.version != second.version
    with pytest.raises(RouteConflict) as conflict:
        plane.write_route("backend", to=GREEN, fallback=None, fence="g", expect=first.version)
    assert conflict.value.found == second == plane.read_route("backend")


def test_a_write_leaves_no_other_file(plane: DataPlane, tmp_path: Path) -> None:
    plane.write_route("backend", to=BLUE, fallback=None, fence="f", expect=None)
    with pytest.raises(RouteConflict):
        plane.write_route("backend", to=GREEN, fallback=None, fence="g", expect="another")
    assert sorted(path.name for path in (tmp_path / "envoy" / "rds").iterdir()) == ["backend.json", "gateway.json"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no JSON from line 1"),
        ('{"version_info": "1", "resour', "no JSON from line 1"),
        ("[]", "no JSON object"),
        ("{}", "no 'resources' in it"),
        ('{"resources": []}', "not exactly one resource"),
        ('{"resources": [{"name": "gateway"}]}', "it is the route of 'gateway', not of 'backend'"),
        ('{"resources": [{"name": "backend"}]}', "no 'metadata' in it"),
    ],
)
def test_a_damaged_route_is_told_by_its_place_and_mend(plane: DataPlane, tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "envoy" / "rds" / "backend.json"
    path.write_text(text)
    for use in (lambda: plane.read_route("backend"), lambda: _write(plane)):
        with pytest.raises(PlatformError) as told:
            use()
        assert str(told.value).startswith(f"{path} cannot be used: ")
        assert why in str(told.value)
        assert "bluegreen up" in told.value.mend
    assert path.read_text() == text


def _write(plane: DataPlane) -> None:
    plane.write_route("backend", to=BLUE, fallback=None, fence="f", expect=None)


def test_an_unknown_slot_in_a_route_is_damage(plane: DataPlane, tmp_path: Path) -> None:
    _write(plane)
    path = tmp_path / "envoy" / "rds" / "backend.json"
    path.write_text(path.read_text().replace('"slot":"blue"', '"slot":"pink"'))
    with pytest.raises(PlatformError, match="'pink' is not a valid Slot"):
        plane.read_route("backend")


def test_files_that_were_never_written_mean_not_started(tmp_path: Path) -> None:
    empty = DataPlane(folder=tmp_path, admin=tmp_path / "no.sock", fronts=FRONTS)
    with pytest.raises(NotStarted, match="does not exist"):
        empty.read_route("backend")
    with pytest.raises(NotStarted, match="does not exist"):
        empty.endpoints("backend", BLUE)


def test_a_folder_that_takes_no_files_is_said(plane: DataPlane, tmp_path: Path) -> None:
    before = plane.read_route("backend")
    (tmp_path / "routes.lock").mkdir()
    with pytest.raises(PlatformError, match="cannot be written: Is a directory"):
        _write(plane)
    assert plane.read_route("backend") == before


def test_without_envoy_it_is_said_within_the_limit(plane: DataPlane) -> None:
    clock = SystemClock()
    assert not plane.answering()
    with pytest.raises(PlatformError, match="does not answer"):
        plane.counters(timeout=1)
    with pytest.raises(DeadlineExceeded, match="has not taken the new route of backend"):
        plane.wait_applied("backend", "v", clock=clock, until=after(clock.now(), 0.05))


@pytest.mark.slow
def test_a_rollback_need_not_import_much_for_it() -> None:
    heavy = ("asyncio", "urllib3", "msgspec", "yaml", "click", "concurrent", "multiprocessing", "subprocess", "logging")
    code = "import bluegreen.platforms.local.dataplane, sys; print(*(n for n in sys.modules if '.' not in n))"
    told = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert set(told.stdout.split()) & set(heavy) == set()
