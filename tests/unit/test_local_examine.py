"""What ``doctor`` says of a machine on which the stack is not up yet."""

from __future__ import annotations

import socket
from shlex import split
from typing import TYPE_CHECKING

from bluegreen.domain.rules import Rule
from bluegreen.domain.stack import Service, Stack
from bluegreen.platforms.local.examine import stack_findings

if TYPE_CHECKING:
    from pathlib import Path


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def shop(*ports: int) -> Stack:
    services = (Service(name=name, image=f"shop/{name}", port=port) for name, port in zip("ab", ports, strict=True))
    return Stack(name="shop", services=tuple(services))


def test_a_port_that_two_services_want_is_told_before_up_refuses_it(tmp_path: Path) -> None:
    port = free_port()
    (found,) = stack_findings(shop(port, port), tmp_path)
    assert (found.rule, found.text) == (Rule.PORT_TAKEN, f"port {port} of b is that of a, too")
    assert found.mend.endswith("bluegreen up --port b=0")


def test_a_folder_with_a_blank_in_its_name_can_be_made_as_it_is_told(tmp_path: Path) -> None:
    one, other = free_port(), free_port()
    folder = tmp_path / "my images"
    (found,) = [each for each in stack_findings(shop(one, other), folder) if each.rule == Rule.MISSING_OBJECT]
    assert split(found.mend.partition(";")[0]) == ["mkdir", "-p", str(folder)]
