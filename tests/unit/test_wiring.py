"""What the composition root decides: which service a short name means, and whether an app file is the right one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bluegreen.appfile import load_app
from bluegreen.cli import session
from bluegreen.domain.errors import UsageError
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


@pytest.mark.parametrize("name", ["BLUEGREEN_NOTIFY", *session.SECRETS])
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
