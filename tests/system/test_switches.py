"""A hundred switches under load of every client kind, and the same with the command killed at any instant."""

from __future__ import annotations

import random
import signal
import time
from typing import TYPE_CHECKING

import pytest

from harness import SETTLE, Counts, Rates

if TYPE_CHECKING:
    from harness import LocalStack, StartLoad

pytestmark = [pytest.mark.local, pytest.mark.slow, pytest.mark.soak, pytest.mark.timeout(1800)]

SWITCHES = 100
SEED = 20_261_124
"""Printed with each instant: a failure is replayed by running the test again with the same one."""

CALM = Rates(new=15, keepalive=30, slow=2, post=12, stream=3, websocket=8)
"""Fewer requests than the machine could take: a hundred Python processes start beside them."""


def nothing_lost(counts: Counts, *, versions: set[str]) -> None:
    assert counts.failed == 0, counts.told()
    assert counts.column("lost_to_crash") == 0, counts.told()
    assert {row["version"] for _, row in counts.versions()} == versions


def test_control_without_a_switch_nothing_is_lost(stack: LocalStack, start_load: StartLoad) -> None:
    load = start_load(stack, rates=CALM)
    time.sleep(10)  # the run's length, not a wait for something
    nothing_lost(load.stop(), versions={"v1"})


def test_a_hundred_switches_back_and_forth_lose_nothing(stack: LocalStack, start_load: StartLoad) -> None:
    stack.image("v2")
    stack.allow_slowness()
    load = start_load(stack, rates=CALM)
    time.sleep(SETTLE)
    stack.deploy("v2", "--validation-time", "2")
    for number in range(SWITCHES):
        slot = ("blue", "green")[number % 2]
        stack.must("rollback", "--to", slot)
    time.sleep(SETTLE)
    counts = load.stop()
    nothing_lost(counts, versions={"v1", "v2"})
    assert stack.status()["serving"] == "green"
    print(f"{SWITCHES} switches, {counts.requests} requests, {counts.failed} failed")


def test_a_hundred_switches_killed_at_seeded_instants_lose_nothing(stack: LocalStack, start_load: StartLoad) -> None:
    """After each kill ``status`` is right, and the next command works."""
    stack.image("v2")
    stack.deploy("v2", "--validation-time", "0")
    load = start_load(stack, rates=CALM)
    chance = random.Random(SEED)
    for number in range(SWITCHES):
        slot = ("blue", "green")[number % 2]
        instant = chance.uniform(0.0, 0.25)
        print(f"seed {SEED}, kill {number}: rollback --to {slot} at {instant * 1000:.0f} ms")
        _kill(stack, "rollback", "--to", slot, after=instant)
        status = stack.status()
        assert status["serving"] in {"blue", "green"} or status["split"]
        stack.must("rollback", "--to", slot)
        assert stack.status()["serving"] == slot
    nothing_lost(load.stop(), versions={"v1", "v2"})


KILLED_DEPLOYS = 8


def test_deploys_killed_at_seeded_instants_lose_nothing(stack: LocalStack, start_load: StartLoad) -> None:
    """The instants cover all phases; the same deploy again ends what was left."""
    stack.allow_slowness()
    load = start_load(stack, rates=CALM)
    chance = random.Random(SEED + 1)
    tags = {"v1"}
    for number in range(KILLED_DEPLOYS):
        tag = f"k{number}"
        tags.add(tag)
        stack.image(tag)
        instant = 12.0 * (number + chance.random()) / KILLED_DEPLOYS
        print(f"seed {SEED + 1}, kill {number}: deploy {tag} at {instant:.3f} s")
        words = ("--backend-image", f"alfredai/backend:{tag}", "--gateway-image", f"alfredai/gateway:{tag}")
        _kill(stack, "deploy", *words, "--validation-time", "3", after=instant)
        assert stack.status()["split"] == "" or stack.status()["unfinished"] is not None
        stack.deploy(tag, "--validation-time", "3")
        assert _serving_tag(stack) == tag
    nothing_lost(load.stop(), versions=tags)


def _kill(stack: LocalStack, *words: str, after: float) -> None:
    process = stack.start(*words, stdout=-3, stderr=-3)
    time.sleep(after)  # the seeded instant
    process.send_signal(signal.SIGKILL)
    process.wait()


def _serving_tag(stack: LocalStack) -> str:
    status = stack.status()
    slot = next(slot for slot in status["slots"] if slot["serves"])
    tags: set[str] = {service["image"].rpartition(":")[2] for service in slot["services"]}
    assert len(tags) == 1, status
    return tags.pop()
