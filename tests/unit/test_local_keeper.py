"""Supervisord's log lines, as supervisor 4.3 writes them."""

from __future__ import annotations

import pytest

from bluegreen.platforms.local.keeper import Ended, Spawned, event_from

STAMP = "2026-01-02 03:04:05,678"


@pytest.mark.parametrize(
    ("line", "event"),
    [
        (f"{STAMP} INFO spawned: 'shop-web-green-0' with pid 4711", Spawned(name="shop-web-green-0", pid=4711)),
        (
            f"{STAMP} WARN exited: shop-web-green-0 (exit status 3; not expected)",
            Ended(name="shop-web-green-0", exit_code=3, how="exit status 3"),
        ),
        (
            f"{STAMP} INFO exited: web-blue-1 (exit status 0; expected)",
            Ended(name="web-blue-1", exit_code=0, how="exit status 0"),
        ),
        (
            f"{STAMP} WARN exited: web-blue-1 (terminated by SIGKILL; not expected)",
            Ended(name="web-blue-1", exit_code=137, how="terminated by SIGKILL"),
        ),
        (
            f"{STAMP} WARN exited: web-blue-1 (terminated by SIGSEGV (core dumped); not expected)",
            Ended(name="web-blue-1", exit_code=139, how="terminated by SIGSEGV (core dumped"),
        ),
        (
            f"{STAMP} WARN stopped: web-blue-1 (terminated by SIGTERM)",
            Ended(name="web-blue-1", exit_code=143, how="terminated by SIGTERM"),
        ),
        (f"{STAMP} INFO success: web-blue-1 entered RUNNING state, process has stayed up for > than 1 seconds", None),
        (f"{STAMP} INFO gave up: web-blue-1 entered FATAL state, too many start retries too quickly", None),
        ("", None),
    ],
)
def test_each_kind_of_line(line: str, event: Spawned | Ended | None) -> None:
    assert event_from(line) == event
