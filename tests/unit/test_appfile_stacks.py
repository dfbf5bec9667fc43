"""App files of stacks that are not Alfred: what they may say, what they may leave out, and their errors with lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from bluegreen.appfile import load_app
from bluegreen.domain.errors import AppFileError, UsageError
from bluegreen.domain.stack import Slot, Stack

STACKS = Path(__file__).parents[2] / "examples" / "stacks"
HEAD = "stack: shop\n"
SERVICE = "services:\n  - name: web\n    image: shop/web\n"


def load(folder: Path, text: str) -> Stack:
    path = folder / "app.yaml"
    path.write_text(text)
    return load_app(path).stack


@pytest.mark.parametrize("path", sorted(STACKS.glob("*.yaml")), ids=lambda path: path.name)
def test_the_examples_are_read(path: Path) -> None:
    assert load_app(path).stack.name == path.stem


def test_ports_by_name_slots_and_services_of_their_own(tmp_path: Path) -> None:
    stack = load(
        tmp_path,
        HEAD
        + "kubernetes: {slot_label: shop.example/side, slots: {blue: left, green: right}}\n"
        + SERVICE
        + "    port: http\n    lame_duck: 2.5\n    kubernetes: {service: web-public}\n",
    )
    (web,) = stack.services
    assert (web.port, web.port_name, web.users, web.lame_duck) == (0, "http", "web-public", 2.5)
    assert stack.slot_label == "shop.example/side"
    assert stack.slot_values == ((Slot.BLUE, "left"), (Slot.GREEN, "right"))


@pytest.mark.parametrize("name", ["8080-tcp", "http-traffic-manager", "p"])
def test_a_port_may_be_called_what_a_service_may_call_it(tmp_path: Path, name: str) -> None:
    """Which is more than a container may: OpenShift begins with the number."""
    assert load(tmp_path, HEAD + SERVICE + f"    port: {name}\n").services[0].port_name == name


@pytest.mark.parametrize("name", ["'8080'", "-tcp", "tcp-", "web_http"])
def test_and_no_more(tmp_path: Path, name: str) -> None:
    with pytest.raises(AppFileError, match="port must be"):
        load(tmp_path, HEAD + SERVICE + f"    port: {name}\n")


@pytest.mark.parametrize(
    ("line", "mend"),
    [
        ("grace: 90s", "write the seconds without a unit: 90"),
        ("lame_duck: 500ms", "write the seconds without a unit: 0.5"),
        ("grace: 2 m", "write the seconds without a unit: 120"),
        ("grace: 48h", ""),
        ("replicas: 3s", ""),
    ],
)
def test_a_time_with_its_unit_is_told_in_seconds(tmp_path: Path, line: str, mend: str) -> None:
    with pytest.raises(AppFileError) as caught:
        load(tmp_path, HEAD + SERVICE + f"    port: 80\n    {line}\n")
    assert caught.value.mend == mend


def test_probes_and_metrics_may_be_left_out(tmp_path: Path) -> None:
    (web,) = load(tmp_path, HEAD + SERVICE + "    port: 80\n").services
    assert (web.probes, web.metrics) == (None, None)
    with pytest.raises(UsageError, match="does not say how to probe web") as caught:
        _ = web.probed
    assert "health: /path" in caught.value.mend


REFUSALS = {
    "a label that is none": (
        HEAD + "kubernetes: {slot_label: 'a b'}\n" + SERVICE + "    port: 80\n",
        2,
        (
            "kubernetes.slot_label must be a label's name, such as example.com/slot, at most 317 characters long, "
            "but is the text 'a b'"
        ),
    ),
    "one slot only": (
        HEAD + "kubernetes:\n  slots: {blue: left}\n" + SERVICE + "    port: 80\n",
        3,
        "kubernetes.slots has no 'green'",
    ),
    "both slots the same": (
        HEAD + "kubernetes:\n  slots: {blue: left, green: left}\n" + SERVICE + "    port: 80\n",
        3,
        "both slots have the same value",
    ),
    "a port's name that is none": (
        HEAD + SERVICE + "    port: HTTP\n",
        5,
        (
            "services[1].port must be a whole number from 1 up to 65535 or a port's name of lower-case letters, digits "
            "and dashes, at most 63 characters long, but is the text 'HTTP'"
        ),
    ),
    "slots of a service": (
        HEAD + SERVICE + "    port: 80\n    kubernetes: {slots: {blue: a, green: b}}\n",
        6,
        "services[1].kubernetes has the unknown key 'slots'",
    ),
}


@pytest.mark.parametrize(("text", "line", "message"), REFUSALS.values(), ids=REFUSALS.keys())
def test_refusals(tmp_path: Path, text: str, line: int, message: str) -> None:
    with pytest.raises(AppFileError) as caught:
        load(tmp_path, text)
    assert (caught.value.line, str(caught.value).partition(": ")[2]) == (line, message)
