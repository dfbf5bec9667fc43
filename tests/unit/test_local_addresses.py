"""Why a port cannot be had."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from bluegreen.platforms.local.addresses import bindable, obstacle
from bluegreen.platforms.local.fronts import taken

FIRST_FREE_FOR_ALL = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")

AS_NOBODY = """
import os
from bluegreen.platforms.local.fronts import taken
if os.getuid() == 0:
    os.setresuid(65534, 65534, 65534)
error = taken(80, "web")
print(error)
print(error.mend)
"""


def test_a_port_that_is_free_has_no_obstacle() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not bindable(port)
        assert obstacle(port).startswith("is taken by ")
        assert f"(pid {os.getpid()})" in str(taken(port, "web"))
    assert bindable(port)
    assert obstacle(port) == ""


@pytest.mark.skipif(
    not FIRST_FREE_FOR_ALL.exists() or int(FIRST_FREE_FOR_ALL.read_text()) <= 80, reason="port 80 is for everybody here"
)
def test_a_port_for_root_alone_is_not_called_taken() -> None:
    """There would be no program to end."""
    done = subprocess.run([sys.executable, "-c", AS_NOBODY], capture_output=True, text=True, check=False, timeout=20)
    assert done.stdout.splitlines() == [
        "port 80 of web is for root alone on this machine",
        "free it, or give another port: --port web=0 takes any free one",
    ], done.stderr
