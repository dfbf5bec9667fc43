"""The change that a stage makes: what it holds, what it leaves alone, and when it must not be taken."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.kubernetes_adapter.alfred_kit import BACKEND, GREEN, Object, alfred, deployment, view

from bluegreen.domain.errors import UsageError
from bluegreen.domain.image import ImageReference
from bluegreen.platforms.kubernetes import names
from bluegreen.platforms.kubernetes.stage_patch import container_of, stage_patch

if TYPE_CHECKING:
    from bluegreen.platforms.kubernetes.node import Json

SERVICE = alfred().service(BACKEND)
IMAGE = ImageReference.parse("alfredai/backend:v2@sha256:" + "a" * 64)


def patched(made: Object) -> tuple[Json, ...]:
    return stage_patch(view(made), service=SERVICE, image=IMAGE, replicas=4, release="r-1")


def test_image_mark_and_size_of_the_very_deployment_that_was_judged() -> None:
    made = deployment(BACKEND, GREEN)
    made["spec"]["template"]["spec"]["containers"].insert(0, {"name": "proxy", "image": "proxy:1"})
    assert patched(made) == (
        {"op": "test", "path": "/metadata/uid", "value": "uid-alfred-backend-green"},
        {"op": "test", "path": "/metadata/generation", "value": 3},
        {"op": "test", "path": "/spec/template/spec/containers/1/name", "value": "backend"},
        {"op": "replace", "path": "/spec/template/spec/containers/1/image", "value": str(IMAGE)},
        {"op": "add", "path": "/spec/template/metadata/annotations", "value": {names.RELEASE: "r-1"}},
        {"op": "add", "path": "/spec/replicas", "value": 4},
    )


def test_other_annotations_stay() -> None:
    made = deployment(BACKEND, GREEN)
    made["spec"]["template"]["metadata"]["annotations"] = {"prometheus.io/scrape": "true", names.RELEASE: "r-0"}
    mark = {"op": "add", "path": "/spec/template/metadata/annotations/bluegreen.dev~1release", "value": "r-1"}
    assert mark in patched(made)


def test_the_only_container_needs_no_name() -> None:
    made = deployment(BACKEND, GREEN)
    assert container_of(view(made), replace(SERVICE, container="")) == 0


@pytest.mark.parametrize(
    ("containers", "wanted", "error"),
    [
        (["app"], "backend", "has no container 'backend'; it has app"),
        (["app", "proxy"], "", "has not one container, and none is named; it has app, proxy"),
        ([], "", "has not one container, and none is named; it has none"),
    ],
)
def test_a_container_that_cannot_be_told_is_refused(containers: list[str], wanted: str, error: str) -> None:
    made = deployment(BACKEND, GREEN)
    made["spec"]["template"]["spec"]["containers"] = [{"name": name, "image": "a:1"} for name in containers]
    with pytest.raises(UsageError, match=error) as caught:
        container_of(view(made), replace(SERVICE, container=wanted))
    assert "container: NAME" in caught.value.mend
