"""What the composition root decides: which service a short name means, and whether an app file is the right one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bluegreen.appfile import load_app
from bluegreen.clock import SystemClock
from bluegreen.domain.errors import UsageError
from bluegreen.domain.stack import PROMETHEUS_VARIABLES, CommandCheck, Slot, after
from bluegreen.ports import Errand
from bluegreen.wiring import common, local

if TYPE_CHECKING:
    from pathlib import Path

    from bluegreen.domain.stack import Stack

SHOP = """\
stack: shop
services:
  - {name: shop-api, image: shop/api, port: 8000, health: /}
  - {name: api, image: shop/other, port: 8001, health: /}
  - {name: shop-web, image: shop/web, port: 8002, health: /}
"""


@pytest.fixture
def shop(tmp_path: Path) -> Stack:
    path = tmp_path / "shop.yaml"
    path.write_text(SHOP)
    return load_app(path).stack


@pytest.mark.parametrize(("name", "service"), [("shop-api", "shop-api"), ("api", "api"), ("web", "shop-web")])
def test_a_full_name_wins_over_a_short_one(shop: Stack, name: str, service: str) -> None:
    assert common.full_name(shop, name) == service


@pytest.mark.parametrize("name", ["BLUEGREEN_NOTIFY", *PROMETHEUS_VARIABLES])
def test_no_other_program_gets_a_secret_of_ours(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "canary")
    assert "canary" not in common.child_environment().values()


def test_two_ports_of_one_service_are_refused(tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(SHOP)
    with pytest.raises(UsageError, match="two ports are named for shop-web"):
        local.up(
            state=tmp_path / "state",
            app=tmp_path / "shop.yaml",
            ports={"web": 8001, "shop-web": 8002},
            emit=lambda _event: None,
        )
    assert not (tmp_path / "state").exists()


OURS = {
    "BLUEGREEN_NOTIFY": "mailtos://ann:canary-1@x.test",
    "BLUEGREEN_PROMETHEUS_TOKEN": "canary-2",
    "BLUEGREEN_PROMETHEUS_USER": "ann",
    "BLUEGREEN_PROMETHEUS_PASSWORD": "canary-3",
}


def test_a_command_check_gets_no_secret_of_ours(shop: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in OURS.items():
        monkeypatch.setenv(name, value)
    clock, seen = SystemClock(), tmp_path / "seen"
    dump = f"import json, os; json.dump(dict(os.environ), open({str(seen)!r}, 'w'))"
    check = CommandCheck(name="c", command=(sys.executable, "-c", dump))
    errand = Errand(check=check, slot=Slot.GREEN, release="r-1", workloads=())
    end = common.commands_of(shop, clock=clock, addresses=()).run(errand, until=after(clock.now(), 20.0))
    assert end.passed, end
    assert OURS.keys() & json.loads(seen.read_text()).keys() == set()


def test_a_credential_plugin_gets_no_secret_of_ours(tmp_path: Path) -> None:
    seen, plugin = tmp_path / "seen", tmp_path / "plugin"
    plugin.write_text(f"#!{sys.executable}\nimport json, os\njson.dump(dict(os.environ), open({str(seen)!r}, 'w'))\n")
    plugin.chmod(0o755)
    login = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin), "interactiveMode": "Never"}
    kubeconfig = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"exec": login}}],
    }
    done = subprocess.run(
        [sys.executable, "-m", "bluegreen", "--platform", "kubernetes", "status"],
        env={**os.environ, **OURS, "KUBECONFIG": json.dumps(kubeconfig), "KEPT": "yes"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "did not answer with JSON" in done.stderr, done
    told = json.loads(seen.read_text())
    assert told["KEPT"] == "yes"
    assert OURS.keys() & told.keys() == set()
