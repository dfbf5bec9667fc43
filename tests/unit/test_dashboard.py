"""The Grafana dashboard, held against Grafana's own schema, as its Foundation SDK has it."""

from __future__ import annotations

import copy
import enum
import json
import types
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from grafana_foundation_sdk.models.prometheus import Dataquery

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FILE = Path(__file__).parents[2] / "tools/grafana/alfred-dashboard.json"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = 24
"""Columns of Grafana's grid."""

UNKNOWN = {"builtIn", "definition", "step", "titleFormat"}
"""What Grafana itself exports and its schema does not have: of annotations and variables."""


@pytest.fixture(scope="module", autouse=True)
def plugins() -> None:
    """Without it, queries would be taken as they are, whatever is in them."""
    register_default_plugins()


@pytest.fixture
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(FILE.read_text())
    return loaded


def wrong(document: dict[str, Any]) -> list[str]:
    """Where the schema does not have a key, or another type or value for it."""
    model = Dashboard.from_json(document)
    written = json.loads(JSONEncoder().encode(model))
    return [*lost(document, written, "dashboard"), *misfits(model, Dashboard, "dashboard")]


def lost(given: object, written: object, where: str) -> Iterator[str]:
    """What the model has not taken over, for the schema does not know it."""
    if isinstance(given, dict) and isinstance(written, dict):
        yield from (f"{where}.{key}: not in the schema" for key in given.keys() - written.keys() - UNKNOWN)
        for key in given.keys() & written.keys():
            yield from lost(given[key], written[key], f"{where}.{key}")
    elif isinstance(given, list) and isinstance(written, list) and len(given) == len(written):
        for number, pair in enumerate(zip(given, written, strict=True)):
            yield from lost(*pair, f"{where}.{number}")
    elif given != written:
        yield f"{where}: {given!r} became {written!r}"


def misfits(value: Any, hint: Any, where: str) -> Iterator[str]:
    """What is of another type, or of none of the values, than its annotation says."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in {typing.Union, types.UnionType}:
        if all(any(misfits(value, one, where)) for one in inner):
            yield f"{where}: {value!r} is none of {hint}"
    elif origin in {list, dict} and isinstance(value, origin):
        for key, item in value.items() if origin is dict else enumerate(value):
            yield from misfits(item, inner[-1], f"{where}.{key}")
    elif not (value in inner if origin is typing.Literal else of_type(value, origin or hint)):
        yield f"{where}: {value!r} is no {hint}"
    elif hasattr(value, "to_json"):
        for name, one in typing.get_type_hints(type(value)).items():
            yield from misfits(getattr(value, name), one, f"{where}.{name}")


def of_type(value: object, hint: type) -> bool:
    if issubclass(hint, enum.Enum):
        return value in {one.value for one in hint}
    return isinstance(value, (int, float) if hint is float else hint)


def test_it_is_of_grafanas_schema(document: dict[str, Any]) -> None:
    assert wrong(document) == []
    panels = Dashboard.from_json(document).panels or []
    assert all(isinstance(target, Dataquery) for panel in panels for target in panel.targets or [])  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda d: d.update(tittle=d.pop("title")), "dashboard.tittle: not in the schema"),
        (lambda d: d.update(graphTooltip=7), "dashboard.graph_tooltip: 7"),
        (lambda d: d["panels"][0].update(title=1), "dashboard.panels: "),
        (lambda d: d["panels"][0]["gridPos"].update(w="12"), "dashboard.panels: "),
        (lambda d: d["panels"][0]["targets"][0].update(query="up"), "dashboard.panels.0.targets.0.query: not in"),
        (lambda d: d["panels"][0]["fieldConfig"]["defaults"]["custom"].update(x=1), "custom.x: not in the schema"),
    ],
)
def test_what_is_not_of_it_is_found(
    spoil: Callable[[dict[str, Any]], object], what: str, document: dict[str, Any]
) -> None:
    spoilt = copy.deepcopy(document)
    spoil(spoilt)
    assert any(what in each for each in wrong(spoilt)), wrong(spoilt)


def test_it_can_be_imported_anywhere(document: dict[str, Any]) -> None:
    """With the data source chosen there, and without a database's own number, which would overwrite a stranger."""
    assert "id" not in document
    assert len(document["uid"]) <= 40
    panels = document["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        assert panel["datasource"] == SOURCE
        assert all(target["datasource"] == SOURCE for target in panel["targets"])
        assert panel["title"]
        assert panel["description"]
    assert [variable["name"] for variable in document["templating"]["list"]] == ["datasource", "namespace"]


def test_the_slots_are_side_by_side_and_no_panel_lies_on_another(document: dict[str, Any]) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in document["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert place["x"] + place["w"] <= WIDTH
        assert not cells & taken, panel["title"]
        taken |= cells
    blue = {
        panel["title"].removeprefix("blue: "): panel["gridPos"]
        for panel in document["panels"]
        if panel["gridPos"]["x"] == 0
    }
    green = {
        panel["title"].removeprefix("green: "): panel["gridPos"]
        for panel in document["panels"]
        if panel["gridPos"]["x"] > 0
    }
    assert blue.keys() == green.keys()
    assert all(blue[title]["y"] == green[title]["y"] for title in blue)
