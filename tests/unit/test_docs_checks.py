"""The pages about checks and notices: each piece of an app file in them is one, each variable one that is given."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bluegreen.appfile import load_app
from bluegreen.clock import SystemClock
from bluegreen.commands.run import ProcessCommands
from bluegreen.domain.image import ImageReference
from bluegreen.domain.plan import WorkloadSpec
from bluegreen.domain.snapshot import Template
from bluegreen.domain.stack import CommandCheck, Slot
from bluegreen.ports import Errand

if TYPE_CHECKING:
    from bluegreen.appfile import App

DOCS = Path(__file__).parents[2] / "docs"
PIECES = [
    pytest.param(piece, id=f"{page}-{number}")
    for page in ("checks.md", "notices.md")
    for number, piece in enumerate(re.findall(r"```yaml\n(.*?)```", (DOCS / page).read_text(), re.DOTALL))
]
SERVICE = "  - {name: shop-web, image: shop/web, port: 8080, health: /ready}\n"


def loaded(folder: Path, piece: str) -> App:
    """The piece in the smallest app file that it fits into."""
    whole = "stack: shop\n"
    if piece.startswith("services:"):
        whole += piece + "    image: shop/web\n    port: 8080\n    health: /ready\n"
    else:
        whole += f"services:\n{SERVICE}{piece}"
    file = folder / "app.yaml"
    file.write_text(whole)
    return load_app(file)


@pytest.mark.parametrize("piece", PIECES)
def test_a_piece_of_an_app_file_is_one(piece: str, tmp_path: Path) -> None:
    app = loaded(tmp_path, piece)
    assert app.stack.checks or app.notify.urls or app.stack.services[0].tells


def test_the_variables_of_a_command_are_the_ones_that_it_gets(tmp_path: Path) -> None:
    stack = loaded(tmp_path, "").stack
    image = ImageReference.parse("shop/web:v2")
    errand = Errand(
        check=CommandCheck(name="c", command=("c",)),
        slot=Slot.GREEN,
        release="r-1",
        workloads=(WorkloadSpec(service="shop-web", image=image, replicas=1, template=Template()),),
    )
    given = ProcessCommands(stack, clock=SystemClock(), environment={}).variables(errand)
    assert set(re.findall(r"`(CHECK_[A-Z_]+)`", (DOCS / "checks.md").read_text())) == set(given)
