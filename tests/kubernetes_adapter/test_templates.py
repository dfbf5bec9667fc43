"""Pod templates as settings: slot-neutral, sealed, and back to whole ones."""

from __future__ import annotations

import pytest
from tests.kubernetes_adapter.objects_kit import STACK, template

from bluegreen.domain.errors import UsageError
from bluegreen.domain.snapshot import Template
from bluegreen.domain.stack import Slot
from bluegreen.platforms.kubernetes import names
from bluegreen.platforms.kubernetes.templates import for_slot, released, template_of

FRONT = STACK.service("pair-front")


def settings(slot: Slot, *, key: str = "k", **env: str) -> Template:
    made = template("pair-front", slot, **env)
    return template_of(made, service=FRONT, slot=slot, stack=names.marks_of_all(STACK), key=key)


def test_two_slots_of_the_same_settings_are_equal() -> None:
    assert settings(Slot.BLUE) == settings(Slot.GREEN)
    found = dict(settings(Slot.GREEN).settings)
    assert found["spec.containers.front.env.SLOT"] == "{slot}"
    assert found["spec.containers.front.env.BACK_URL"] == "http://pair-back-{slot}:8000"


def test_what_a_release_sets_is_no_setting() -> None:
    one = template("pair-front", Slot.BLUE, image="pair/front:v1", release="r-1")
    other = template("pair-front", Slot.BLUE, image="pair/front:v2", release="r-2")
    assert template_of(one, service=FRONT, slot=Slot.BLUE, stack=names.marks_of_all(STACK), key="k") == template_of(
        other, service=FRONT, slot=Slot.BLUE, stack=names.marks_of_all(STACK), key="k"
    )
    assert "v1" not in str(settings(Slot.BLUE))


def test_another_containers_image_is_a_setting() -> None:
    made = template("pair-front", Slot.BLUE)
    made["spec"]["containers"].append({"name": "proxy", "image": "proxy:v1"})
    found = template_of(made, service=FRONT, slot=Slot.BLUE, stack=names.marks_of_all(STACK), key="k")
    assert ("spec.containers.proxy.image", "proxy:v1") in found.settings


def test_a_setting_that_differs_is_told_by_its_place() -> None:
    lines = settings(Slot.BLUE, LEVEL="info").differences(settings(Slot.GREEN, LEVEL="debug"))
    assert lines == ("spec.containers.front.env.LEVEL: info -> debug",)


def test_the_other_slots_address_in_a_slot_is_a_difference() -> None:
    wrong = settings(Slot.GREEN, BACK_URL="http://pair-back-blue:8000")
    assert settings(Slot.BLUE).differences(wrong) == (
        "spec.containers.front.env.BACK_URL: http://pair-back-{slot}:8000 -> http://pair-back-blue:8000",
    )


def test_secrets_are_sealed_and_still_compared() -> None:
    one, same, other = (settings(Slot.BLUE, DB_PASSWORD=word) for word in ("canary", "canary", "parrot"))
    assert one == same
    assert len(one.differences(other)) == 1
    assert "canary" not in str(one)
    assert settings(Slot.BLUE, key="another", DB_PASSWORD="canary") != one


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LEVEL", "info"),
        ("DEBUG", "true"),
        ("PORT", "8080"),
        ("HOST", "0.0.0.0"),
        ("TIMEOUT", "2.5s"),
        ("VERSION", "v2.1.0"),
        ("DATA", "/var/lib/data"),
        ("OTHER_URL", "http://orders.shop.svc:8000"),
        ("CACHE", "redis.cache:6379"),
    ],
)
def test_what_can_be_no_secret_is_shown(name: str, value: str) -> None:
    assert dict(settings(Slot.BLUE, **{name: value}).settings)[f"spec.containers.front.env.{name}"] == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "postgres://ann:canary@db/shop"),
        ("HOOK", "https://hooks.example/services/canary/T0"),
        ("CONNECTION", "Server=db;User=ann;Pwd=canary"),
        ("X", "hunter2-canary"),
        ("DB_PASS", "canary"),
        ("SIGNING_KEY", "canary"),
        ("SESSION_COOKIE", "canary"),
    ],
)
def test_what_may_be_a_secret_is_not_shown(name: str, value: str) -> None:
    one, other = settings(Slot.BLUE, **{name: value}), settings(Slot.BLUE, **{name: f"{value}2"})
    assert "canary" not in str(one)
    assert len(one.differences(other)) == 1


def test_what_is_sealed_is_slot_neutral_before() -> None:
    """Else the two slots of every service with such an address would differ for ever."""
    one = settings(Slot.BLUE, PEER="http://pair-back-blue:8000/api/v1?token=canary")
    other = settings(Slot.GREEN, PEER="http://pair-back-green:8000/api/v1?token=canary")
    assert one == other
    assert "canary" not in str(one)


@pytest.mark.parametrize(
    ("place", "shown"),
    [
        ({"args": ["--level=info", "--port", "8080"]}, True),
        ({"args": ["--password=canary"]}, False),
        ({"command": ["serve", "postgres://ann:canary@db"]}, False),
        ({"readinessProbe": {"httpGet": {"httpHeaders": [{"name": "Authorization", "value": "Basic canary"}]}}}, False),
    ],
)
def test_command_lines_and_headers_are_sealed_too(place: dict[str, object], shown: bool) -> None:  # noqa: FBT001
    container = {"name": "front", "image": "a:1", **place}
    made = {"spec": {"containers": [container]}}
    found = str(template_of(made, service=FRONT, slot=Slot.BLUE, stack=names.marks_of_all(STACK), key="k"))
    assert "canary" not in found
    assert ("(secret " not in found) is shown


def _with(**fields: object) -> Template:
    """Fields of the pod, or of its container: ``env`` and ``volumeMounts``."""
    made = template("pair-front", Slot.BLUE)
    container = made["spec"]["containers"][0]
    for name, value in fields.items():
        (container if name in {"env", "volumeMounts"} else made["spec"])[name] = value
    return template_of(made, service=FRONT, slot=Slot.BLUE, stack=names.marks_of_all(STACK), key="k")


@pytest.mark.parametrize(
    ("one", "other", "line"),
    [
        ({}, {"imagePullSecrets": [{"name": "mine"}]}, "spec.imagePullSecrets.mine: (not set) -> (there)"),
        ({}, {"volumes": [{"name": "tmp", "emptyDir": {}}]}, "spec.volumes.tmp: (not set) -> (there)"),
        ({"env": []}, {"env": [{"name": "X"}]}, "spec.containers.front.env.X: (not set) -> "),
    ],
    ids=["pull secret", "empty folder", "variable without a value"],
)
def test_what_has_a_name_and_nothing_else_is_a_setting(
    one: dict[str, object], other: dict[str, object], line: str
) -> None:
    assert _with(**one).differences(_with(**other)) == (line,)


def test_one_volume_mounted_twice_is_two_settings() -> None:
    def mounts(first: str) -> list[dict[str, object]]:
        return [{"name": "data", "mountPath": path} for path in (first, "/z")]

    assert _with(volumeMounts=mounts("/a")).differences(_with(volumeMounts=mounts("/b"))) == (
        "spec.containers.front.volumeMounts.data.mountPath: /a -> /b",
    )


def test_a_long_text_is_cut_and_still_compared() -> None:
    one, other = settings(Slot.BLUE, TEXT="x" * 500 + "1"), settings(Slot.BLUE, TEXT="x" * 500 + "2")
    assert one != other
    assert max(len(value) for _, value in one.settings) < 300


def test_the_charts_template_becomes_one_of_a_slot() -> None:
    chart = {"metadata": {"labels": {"app": "pair-back"}}, "spec": {"x": ["http://pair-back-__SLOT__:1", 5, None]}}
    assert for_slot(chart, Slot.GREEN, names.convention("pair-front")) == {
        "metadata": {"labels": {"app": "pair-back", "slot": "green"}},
        "spec": {"x": ["http://pair-back-green:1", 5, None]},
    }


def test_a_released_template_has_image_and_mark_and_leaves_the_old_one_alone() -> None:
    old = template("pair-front", Slot.BLUE, release="r-1")
    old["metadata"]["labels"]["pod-template-hash"] = "abc"
    new = released(old, service=FRONT, image="pair/front:v2", release="r-2")
    assert new["metadata"] == {
        "labels": {"app": "pair-front", "slot": "blue"},
        "annotations": {"bluegreen.dev/release": "r-2"},
    }
    spec = new["spec"]
    assert isinstance(spec, dict)
    assert spec["containers"][0]["image"] == "pair/front:v2"
    assert old["spec"]["containers"][0]["image"] == "pair/front:v1"


def test_without_a_release_the_mark_is_taken_out() -> None:
    new = released(template("pair-front", Slot.BLUE, release="r-1"), service=FRONT, image="a:b", release="")
    meta = new["metadata"]
    assert isinstance(meta, dict)
    assert meta["annotations"] == {}


def test_a_template_without_the_container_is_refused() -> None:
    made = template("pair-back", Slot.BLUE)
    with pytest.raises(UsageError) as caught:
        released(made, service=FRONT, image="a:b", release="r-1")
    assert "'front'" in str(caught.value)
    assert caught.value.mend
