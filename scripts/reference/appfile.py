"""The page of the app file, from its JSON Schema, which comes from the structs that read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scripts.reference.paper import code, page, table

from bluegreen.appfile import json_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

Schema = dict[str, Any]

INTRODUCTION = """\
`bluegreen.yaml`: which services are released together, and how. `bluegreen schema` prints the JSON Schema that this
page is made from; an editor completes and checks the file with it. A whole example with comments is
[examples/alfred/bluegreen.yaml](../../examples/alfred/bluegreen.yaml).

A key that is not here is refused, with its line and the nearest one that is.
"""
HEADS = ("key", "value", "default", "meaning")


def app_file() -> str:
    """The page."""
    schema = json_schema()
    parts = (_part(name, schema["$defs"]) for name in _in_order(schema))
    return page("The app file", INTRODUCTION, *parts)


def _in_order(schema: Schema) -> list[str]:
    """The whole file first, then each part where it is first named."""
    found = [_name(schema)]
    for name in found:
        found.extend(each for each in _named(schema["$defs"][name]) if each not in found)
    return found


def _name(schema: Schema) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


def _named(schema: object) -> Iterator[str]:
    """The parts that a schema refers to."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield _name(schema)
        for value in schema.values():
            yield from _named(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _named(value)


def title(name: str) -> str:
    """``StartupProbeFile`` is ``StartupProbe``, and the file itself ``The file``."""
    return "The file" if name == "AppFile" else name.removesuffix("File")


def _part(name: str, parts: dict[str, Schema]) -> str:
    part = parts[name]
    needed = set(part.get("required", ()))
    rows = (_row(key, value, needed=key in needed) for key, value in part.get("properties", {}).items())
    about = str(part.get("description", ""))
    return f"## {title(name)}\n\n{about}\n\n{table(HEADS, rows)}"


def _row(key: str, schema: Schema, *, needed: bool) -> tuple[str, ...]:
    return (code(key), kind(schema), "needed" if needed else _default(schema), str(schema.get("description", "")))


def _default(schema: Schema) -> str:
    default = schema.get("default")
    return code(str(default)) if default not in (None, "", [], {}) and not isinstance(default, dict) else ""


def kind(schema: Schema) -> str:
    """What may stand there, in a few words."""
    if "$ref" in schema:
        name = title(_name(schema))
        return f"[{name}](#{name.lower().replace(' ', '-')})"
    for several in ("anyOf", "allOf", "oneOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(kind(each) for each in schema[several]))
    if "enum" in schema:
        return ", ".join(code(str(each)) for each in schema["enum"])
    return _plain(schema)


def _plain(schema: Schema) -> str:
    match schema.get("type"):
        case "array":
            return f"list of {kind(schema['items'])}"
        case "object":
            values = schema.get("additionalProperties")
            return f"names with {kind(values)} each" if isinstance(values, dict) else "names with values"
        case "string":
            return f"text like {code(str(schema['pattern']))}" if "pattern" in schema else "text"
        case "integer" | "number" as what:
            return _number("whole number" if what == "integer" else "number", schema)
        case "boolean":
            return "`true` or `false`"
        case what:
            return str(what or "anything")


def _number(what: str, schema: Schema) -> str:
    least, over = schema.get("minimum"), schema.get("exclusiveMinimum")
    most, under = schema.get("maximum"), schema.get("exclusiveMaximum")
    low = f" from {least:g}" if least is not None else f" over {over:g}" if over is not None else ""
    high = f" to {most:g}" if most is not None else f" under {under:g}" if under is not None else ""
    return f"{what}{low}{high}"
