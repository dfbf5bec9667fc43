"""Which faults and settings are understood, and what the others are told. No process is started."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alfred.faults import FaultError, Faults, parse_faults
from alfred.faulty import EvenShare, Hoard
from alfred.lameduck import LameDuck
from alfred.settings import Service, SettingError, read_settings

RIGHT = {"SLOT": "green", "VERSION": "v2.1.0", "BACKEND_URL": "http://127.0.0.1:41001/"}


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("", Faults()),
        (" , ", Faults()),
        ("cannot-start", Faults(cannot_start=True)),
        ("crash-after=20", Faults(crash_after=20)),
        ("never-ready", Faults(never_ready=True)),
        ("errors=5", Faults(errors=5)),
        ("post-errors=100", Faults(post_errors=100)),
        ("slow=250", Faults(slow_ms=250)),
        ("tail=800", Faults(tail_ms=800, tail_percent=10)),
        ("tail=800@3", Faults(tail_ms=800, tail_percent=3)),
        ("error-page", Faults(error_page=True)),
        ("memory=4", Faults(memory_mb=4)),
        ("errors=5, slow=40", Faults(errors=5, slow_ms=40)),
    ],
)
def test_faults_are_read(text: str, faults: Faults) -> None:
    assert parse_faults(text) == faults


@pytest.mark.parametrize(
    "text",
    [
        "error=5",
        "errors",
        "errors=",
        "errors=0",
        "errors=101",
        "errors=5.5",
        "errors=-1",
        "errors=\u0665",
        "errors=1000000000000000000000",
        "slow=5s",
        "tail=@5",
        "tail=100@",
        "tail=100@0",
        "never-ready=1",
        "cannot-start=",
        "Cannot-Start",
        "memory=513",
        "errors=5;slow=1",
    ],
)
def test_anything_else_is_refused_in_one_line_that_names_it(text: str) -> None:
    with pytest.raises(FaultError) as refused:
        parse_faults(text)
    (line,) = str(refused.value).splitlines()
    assert repr(text) in line
    assert "crash-after=SECONDS" in line


@given(percent=st.integers(0, 100), before=st.integers(0, 1000))
def test_a_share_is_exact_in_any_hundred_in_a_row_and_even(percent: int, before: int) -> None:
    share = EvenShare(percent)
    for _ in range(before):
        share.picks_next()
    picked = [number for number in range(100) if share.picks_next()]
    assert len(picked) == percent
    gaps = {later - earlier for earlier, later in pairwise(picked)}
    assert not gaps or max(gaps) - min(gaps) <= 1


def test_a_hoard_stops_at_its_limit() -> None:
    hoard = Hoard(step_mb=2, limit_mb=5)
    sizes = []
    for _ in range(4):
        hoard.grow()
        sizes.append(hoard.size_mb)
    assert sizes == [2, 4, 4, 4]


def test_settings_are_read() -> None:
    found = read_settings({**RIGHT, "PORT": "41002", "LAME_DUCK_SECONDS": "0.5"}, service=Service.GATEWAY)
    assert (found.slot, found.version, found.port, found.lame_duck) == ("green", "v2.1.0", 41002, 0.5)
    assert (found.host, found.backend_url) == ("127.0.0.1", "http://127.0.0.1:41001")


@pytest.mark.parametrize(("service", "port"), [(Service.BACKEND, 8000), (Service.GATEWAY, 8080)])
def test_usual_settings_are_those_of_the_specification(service: Service, port: int) -> None:
    found = read_settings(RIGHT, service=service)
    assert (found.port, found.lame_duck, found.faults) == (port, 3, Faults())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SLOT", ""),
        ("SLOT", "red"),
        ("VERSION", ""),
        ("VERSION", "v1\r\nX-Slot: green"),
        ("PORT", "http"),
        ("PORT", "65536"),
        ("LAME_DUCK_SECONDS", "-1"),
        ("LAME_DUCK_SECONDS", "nan"),
        ("LAME_DUCK_SECONDS", "51"),
        ("BACKEND_URL", ""),
        ("BACKEND_URL", "https://127.0.0.1:8000"),
        ("BACKEND_URL", "http://127.0.0.1:8000/path"),
        ("BACKEND_URL", "http://127.0.0.1:70000"),
        ("BACKEND_URL", "http://127.0.0.1:80 "),
        ("BACKEND_URL", "http://user@127.0.0.1:80"),
        ("BACKEND_URL", "http://:80"),
        ("ALFRED_FAULT", "nothing"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(name: str, value: str) -> None:
    with pytest.raises(SettingError) as refused:
        read_settings({**RIGHT, name: value}, service=Service.GATEWAY)
    (line,) = str(refused.value).splitlines()
    assert line.startswith(name)


def test_a_backend_needs_no_backend() -> None:
    assert read_settings({"SLOT": "blue", "VERSION": "v1"}, service=Service.BACKEND).backend_url == ""


def test_a_lame_duck_serves_on_for_its_seconds_and_no_longer() -> None:
    now = [100.0]
    duck = LameDuck(seconds=3, clock=lambda: now[0])
    assert (duck.leaving, duck.over) == (False, False)
    duck.begin()
    assert (duck.leaving, duck.over) == (True, False)
    now[0] = 102.9
    assert not duck.over
    now[0] = 103.0
    assert duck.over


def test_a_lame_duck_in_a_hurry_is_over_at_once() -> None:
    duck = LameDuck(seconds=3, clock=lambda: 100.0)
    duck.begin()
    duck.hurry()
    assert duck.over
