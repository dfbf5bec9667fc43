"""A pod template as flat settings that can be compared line by line, and the way back to a whole one.

Settings are neutral: what names the slot is written ``{slot}``, so the two slots of a service compare equal when they
differ in nothing else. What a release itself sets, the image and its mark, is not among them. Of variables, headers and
arguments only what cannot be a secret is written as it is; everything else is sealed: the mark is the same for the same
value and says nothing of it.
"""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, cast

from bluegreen.domain.snapshot import Template
from bluegreen.platforms.kubernetes import names
from bluegreen.platforms.kubernetes.node import Node
from bluegreen.platforms.kubernetes.stage_patch import no_container, place_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bluegreen.domain.stack import Marks, Service, Slot
    from bluegreen.platforms.kubernetes.node import Json

SLOT_TOKEN = "__SLOT__"  # noqa: S105 - a place in a text, no secret
"""Where the chart's PodTemplate (``ownership: pipeline``) has the slot's name."""

_SECRET = re.compile(r"(?i)(token|secret|pass|pwd|credential|private|key|auth|dsn|cookie|salt)")
_HOST = r"[a-z][a-z0-9.-]{0,60}(?:-\{slot\}[a-z.-]{0,40})?"
_HARMLESS = re.compile(
    "|".join(
        (
            r"[a-z]{0,20}|[A-Z]{1,20}|\{slot\}",  # a word
            r"v?[0-9][0-9.:]{0,15}(?:[numkKMGTshd]|ms|[KMGT]i|[KMGT]?B|%)?",  # a number, an amount, an address
            r"(?:/[a-z][a-z.-]{0,20}){1,4}/?",  # a path
            rf"[a-z]{{2,10}}://{_HOST}(?::[0-9]{{1,5}})?/?|{_HOST}:[0-9]{{1,5}}",  # where a service is
        )
    )
)
"""What a variable may be and still be shown, if its name does not sound like a secret's either."""
_AGAIN = re.compile(r"#[0-9]+$")
"""After a name that stands in its list before."""
_COMMAND = re.compile(r"\.(?:args|command)\.[0-9]+$")
_OWN = frozenset({names.RELEASE, "kubectl.kubernetes.io/restartedAt"})
_HASH = "pod-template-hash"
_LONGEST = 200


def template_of(template: Json, *, service: Service, slot: Slot, stack: Sequence[Marks], key: str) -> Template:
    """The settings of a pod template that stands in the slot. ``stack``: what its objects are called.

    ``key``: of the seal.
    """
    neutral = _Neutral(slot=slot, services=stack)
    named = service.container
    found = {
        neutral(name): value
        for name, value in _flat(template, "", _Seal(key, neutral))
        if not _is_own(name, named, single=_only_container(template))
    }
    return Template(settings=tuple(sorted((name, neutral(value)) for name, value in found.items())))


def _only_container(template: Json) -> str:
    containers = list(Node(template).at("spec", "containers").items())
    return containers[0].at("name").text() if len(containers) == 1 else ""


def _is_own(name: str, named: str, *, single: str) -> bool:
    """What a release sets, or what the API server adds, is no setting."""
    if name == f"spec.containers.{named or single}.image" or name.startswith("metadata.creationTimestamp"):
        return True
    return any(name == f"metadata.annotations.{own}" for own in _OWN) or name == f"metadata.labels.{_HASH}"


class _Neutral:
    """Writes a slot's own names without the slot."""

    def __init__(self, *, slot: Slot, services: Sequence[Marks]) -> None:
        self._slots = {marks.value(slot) for marks in services}
        self._neutral = {
            name: f"{marks.users}-{{slot}}"
            for marks in services
            for name in (names.workload(marks.users, slot), marks.workload(slot), marks.preview(slot))
            if name
        }
        words = "|".join(re.escape(name) for name in sorted(self._neutral, key=len, reverse=True))
        self._names = re.compile(rf"\b(?:{words})\b")

    def __call__(self, text: str) -> str:
        if text in self._slots:
            return "{slot}"
        return self._names.sub(lambda found: self._neutral[found[0]], text)


class _Seal:
    """Writes values so that no secret can be read."""

    def __init__(self, key: str, neutral: _Neutral) -> None:
        self._key = key
        self._neutral = neutral

    def variable(self, name: str, value: str) -> str:
        """A variable's value, or a header's."""
        text = self._neutral(value)
        harmless = _HARMLESS.fullmatch(text) is not None and not _SECRET.search(name)
        return _text(text) if harmless else self._sealed(text)

    def argument(self, value: str) -> str:
        """A part of a command line."""
        text = self._neutral(value)
        return self._sealed(text) if _SECRET.search(text) or "@" in text else _text(text)

    def _sealed(self, text: str) -> str:
        return f"(secret {_mark(text, self._key)})" if text else ""


def _flat(value: object, place: str, seal: _Seal) -> Iterator[tuple[str, str]]:
    """Every leaf with its place; elements of lists by their names, where they have one."""
    if isinstance(value, dict):
        yield from _flat_fields(value, place, seal)
    elif isinstance(value, list):
        for key, item in _keyed(value):
            below = _below(place, key)
            yield from tuple(_flat(item, below, seal)) or (((below, "(there)"),) if _name_of(item) else ())
    elif isinstance(value, str) and _COMMAND.search(place):
        yield place, seal.argument(value)
    elif value is not None:
        yield place, _text(value)


def _flat_fields(fields: dict[str, object], place: str, seal: _Seal) -> Iterator[tuple[str, str]]:
    if _is_variable(fields, place):
        yield place, seal.variable(str(fields["name"]), str(fields.get("value", "")))
        return
    for name in fields:
        if name != "name" or not _named_by(place, fields):
            yield from _flat(fields[name], _below(place, name), seal)


def _is_variable(fields: dict[str, object], place: str) -> bool:
    """A value that is empty is left out by the API."""
    return (".env." in place or ".httpHeaders." in place) and set(fields) in ({"name", "value"}, {"name"})


def _named_by(place: str, fields: dict[str, object]) -> bool:
    return _AGAIN.sub("", place).endswith(f".{fields['name']}")


def _keyed(items: Sequence[object]) -> Iterator[tuple[str, object]]:
    """Each under its name, else its number; what has the name of an earlier one, as a volume's second mount, is told
    from it.
    """
    seen: dict[str, int] = {}
    for index, item in enumerate(items):
        name = _name_of(item)
        seen[name] = seen.get(name, 0) + 1
        yield (f"{name}#{seen[name]}" if seen[name] > 1 else name) if name else str(index), item


def _name_of(item: object) -> str:
    found = item.get("name") if isinstance(item, dict) else None
    return found if isinstance(found, str) else ""


def _below(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _text(value: object) -> str:
    text = value if isinstance(value, str) else str(value).lower()
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}… ({_mark(text, 'length')})"


def _mark(value: str, key: str) -> str:
    """The same for the same value, and nothing more: the key is a uid, which is in no plan and no journal."""
    import hmac

    return hmac.new(key.encode(), value.encode(), "sha256").hexdigest()[:12]


def for_slot(template: Json, slot: Slot, marks: Marks) -> Json:
    """The chart's slot-neutral pod template, made one of this slot. It has no label of the slot until here."""
    value = marks.value(slot)
    made = cast("dict[str, object]", _replaced(template, value))
    _set(cast("dict[str, object]", made.setdefault("metadata", {})), "labels", marks.slot_label, value)
    return made


def _replaced(value: object, slot: str) -> object:
    if isinstance(value, dict):
        return {name: _replaced(item, slot) for name, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, slot) for item in value]
    return value.replace(SLOT_TOKEN, slot) if isinstance(value, str) else value


def released(template: Json, *, service: Service, image: str, release: str) -> Json:
    """The pod template with this image in the service's container, under the mark of this release.

    Raises UsageError when the container cannot be told.
    """
    whole = copy.deepcopy(dict(template))
    meta = cast("dict[str, object]", whole.setdefault("metadata", {}))
    _set(meta, "annotations", names.RELEASE, release)
    labels = cast("dict[str, object]", meta.get("labels") or {})
    meta["labels"] = {name: value for name, value in labels.items() if name != _HASH}
    spec = cast("dict[str, object]", whole["spec"])
    containers = cast("list[dict[str, object]]", spec["containers"])
    there = [str(each["name"]) for each in containers]
    place = place_of(service, there)
    if place is None:
        raise no_container(service, there, where="the pod template")
    containers[place]["image"] = image
    return whole


def _set(meta: dict[str, object], field: str, name: str, value: str) -> None:
    """One entry of an object's map; without a value it is taken out."""
    entries = dict(cast("dict[str, object]", meta.get(field) or {}))
    entries.pop(name, None)
    if value:
        entries[name] = value
    meta[field] = entries
