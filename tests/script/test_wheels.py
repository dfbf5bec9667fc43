"""Which wheel suits, compared with ``packaging``, which is what pip asks."""

from __future__ import annotations

import pytest
from packaging import tags
from packaging.utils import parse_wheel_filename

from first_use.wheels import Machine, stands_for, this_machine

NAMES = [
    "a-1-py3-none-any.whl",
    "a-1-py2.py3-none-any.whl",
    "a-1-py2-none-any.whl",
    *(f"a-1-cp3{minor}-cp3{minor}-manylinux_2_17_x86_64.manylinux2014_x86_64.whl" for minor in range(9, 15)),
    *(f"a-1-cp3{minor}-cp3{minor}-musllinux_1_2_x86_64.whl" for minor in (11, 12)),
    *(f"a-1-cp3{minor}-cp3{minor}-macosx_{mac}.whl" for minor in (11, 12) for mac in ("10_9_x86_64", "11_0_arm64")),
    *(f"a-1-cp311-cp311-manylinux_2_{minor}_{cpu}.whl" for minor in (5, 28, 35, 99) for cpu in ("x86_64", "aarch64")),
    "a-1-cp311-cp311-manylinux2014_i686.manylinux_2_17_i686.whl",
    "a-1-cp311-cp311-manylinux2014_s390x.whl",
    "a-1-cp311-cp311-macosx_11_0_universal2.whl",
    "a-1-cp311-cp311-macosx_99_0_arm64.whl",
    "a-1-cp311-cp311-linux_x86_64.whl",
    "a-1-cp311-cp311-win_amd64.whl",
    "a-1-cp39-abi3-manylinux_2_17_x86_64.whl",
    "a-1-cp311-abi3-manylinux_2_17_x86_64.whl",
    "a-1-cp312-abi3-manylinux_2_17_x86_64.whl",
    "a-1-cp313-cp313t-manylinux_2_17_x86_64.whl",
    "a-1-cp313-cp313t-musllinux_1_2_x86_64.whl",
    "a-1-py3-none-manylinux_2_17_x86_64.whl",
    "a-1-py311-none-any.whl",
    "a-1-cp311-none-any.whl",
    "a-1-1build-cp311-cp311-manylinux_2_28_x86_64.whl",
    "a-1-pp311-pypy311_pp73-manylinux_2_17_x86_64.whl",
    "a-1-cp311-cp311-musllinux_2_0_x86_64.whl",
]

MACHINES = {
    "debian": Machine(python=(3, 11), system="glibc", version=(2, 36), cpu="x86_64"),
    "arm": Machine(python=(3, 11), system="glibc", version=(2, 28), cpu="aarch64"),
    "old": Machine(python=(3, 12), system="glibc", version=(2, 17), cpu="x86_64"),
    "alpine": Machine(python=(3, 11), system="musl", version=(1, 2), cpu="x86_64"),
    "free-threaded": Machine(python=(3, 13), threads="t", system="glibc", version=(2, 36), cpu="x86_64"),
    "mac": Machine(python=(3, 11), system="mac", version=(14, 5), cpu="arm64"),
    "old mac": Machine(python=(3, 12), system="mac", version=(10, 15), cpu="x86_64"),
}


def platforms(machine: Machine) -> list[str]:
    """What ``packaging`` would list for it, best first."""
    if machine.system == "mac":
        return list(tags.mac_platforms(machine.version, machine.cpu))
    major, newest = machine.version
    name = {"glibc": "manylinux", "musl": "musllinux"}[machine.system]
    found = []
    for minor in range(newest, -1, -1):
        found.append(f"{name}_{major}_{minor}_{machine.cpu}")
        found += [f"{old}_{machine.cpu}" for old, at in OLD.items() if machine.system == "glibc" and at == minor]
    return found


OLD = {"manylinux2014": 17, "manylinux2010": 12, "manylinux1": 5}


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
def test_what_suits_suits_pip_too(machine: Machine) -> None:
    abi = f"cp3{machine.python[1]}{machine.threads}"
    places = platforms(machine)
    known = {
        *tags.cpython_tags(machine.python, [abi], places),
        *tags.compatible_tags(machine.python, f"cp3{machine.python[1]}", places),
    }
    if machine.threads:
        known = {tag for tag in known if tag.abi != "abi3"}
    theirs = {name for name in NAMES if parse_wheel_filename(name)[3] & known}

    assert {name for name in NAMES if machine.suits(name) is not None} == theirs
    assert theirs


def test_the_best_is_pips_best_here() -> None:
    """On this machine, whatever it is: of all that suits, the same one comes first."""
    order = list(tags.sys_tags())
    ours = [name for name in NAMES if this_machine().suits(name) is not None and "1build" not in name]
    assert ours

    def rank(name: str) -> int:
        return min(order.index(tag) for tag in parse_wheel_filename(name)[3] if tag in order)

    best = min(ours, key=lambda name: this_machine().suits(name) or ())
    assert rank(best) == min(map(rank, ours))


@pytest.mark.parametrize(
    ("filename", "yes"),
    [
        ("prometheus_client-0.26.0-py3-none-any.whl", True),
        ("Prometheus.Client-0.26.0-py3-none-any.whl", True),
        ("prometheus_client-0.26.1-py3-none-any.whl", False),
        ("prometheus_client-0.26.0.tar.gz", False),
        ("prometheus-client-0.26.0-py3-none-any.whl", False),
        ("click.whl", False),
    ],
)
def test_which_file_stands_for_a_version(filename: str, yes: bool) -> None:  # noqa: FBT001
    assert stands_for(filename, name="prometheus-client", version="0.26.0") is yes
