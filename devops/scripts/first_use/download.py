"""Fetches the wheels of a lock where there is no pip: from its user's indexes, checked against the lock, unpacked.

Nothing that an index says is believed: a file counts when its SHA-256 is in the lock, and for nothing else.
"""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from first_use.errors import NotReady, differs, no_wheel, unreachable
from first_use.settings import settings
from first_use.web import Refused, Web
from first_use.wheels import Machine, stands_for, this_machine

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from first_use.lock import Pin


@dataclass(frozen=True, slots=True)
class Offer:
    """A wheel that somebody offers."""

    filename: str
    place: str
    """Its address, or its path."""


def download(pins: Sequence[Pin], packages: Path, *, environment: Mapping[str, str]) -> None:
    """Unpack the packages into the folder. Raises NotReady."""
    found = settings(environment)
    if not found.indexes and not found.links:
        raise NotReady(
            "this Python has no pip, and no package index is named",
            mend="name one in PIP_INDEX_URL, or install pip (Debian, Ubuntu: apt-get install python3-pip)",
        )
    try:
        web, machine = Web(found), this_machine()
        for pin in pins:
            _unpack(_fetch(pin, web=web, links=found.links, indexes=found.indexes, machine=machine), packages)
    except Refused as error:
        raise unreachable(str(error)) from error


def _fetch(pin: Pin, *, web: Web, links: Sequence[str], indexes: Sequence[str], machine: Machine) -> bytes:
    """The best wheel whose hash is in the lock."""
    offers, faults = _offers(pin, web=web, links=links, indexes=indexes)
    ranked = [(rank, offer) for offer in offers if (rank := machine.suits(offer.filename)) is not None]
    if not ranked:
        raise Refused("; ".join(faults)) if faults and not offers else no_wheel(str(pin))
    for _, offer in sorted(ranked, key=lambda pair: pair[0]):
        content = _content(offer, web)
        if hashlib.sha256(content).hexdigest() in pin.hashes:
            return content
    raise differs(str(pin))


def _offers(pin: Pin, *, web: Web, links: Sequence[str], indexes: Sequence[str]) -> tuple[list[Offer], list[str]]:
    """What is offered for the pin, and why some place offers nothing."""
    offers, faults = [], []
    places = [*links, *(f"{index.rstrip('/')}/{pin.name}/" for index in indexes)]
    for place in places:
        try:
            found = list(_at(place, web))
        except Refused as error:
            faults.append(str(error))
            continue
        offers += [each for each in found if stands_for(each.filename, name=pin.name, version=pin.version)]
    return offers, faults


def _at(place: str, web: Web) -> Iterator[Offer]:
    folder = _folder(place)
    if folder is None:
        yield from (Offer(urlsplit(link).path.rpartition("/")[2], link) for link in web.links(place))
    elif folder.is_dir():
        yield from (Offer(path.name, str(path)) for path in sorted(folder.glob("*.whl")))


def _folder(place: str) -> Path | None:
    if place.startswith("file://"):
        return Path(urlsplit(place).path)
    return None if "://" in place else Path(place).expanduser()


def _content(offer: Offer, web: Web) -> bytes:
    if "://" in offer.place:
        return web.get(offer.place)
    try:
        return Path(offer.place).read_bytes()
    except OSError as error:
        raise Refused(f"{offer.place}: {error.strerror}") from error


def _unpack(wheel: bytes, packages: Path) -> None:
    """What ``import`` needs of it; zipfile keeps every name inside the folder."""
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        archive.extractall(packages)
    for data in packages.glob("*.data"):
        for part in ("purelib", "platlib"):
            for path in (data / part).glob("*"):
                os.replace(path, packages / path.name)  # noqa: PTH105 - as good, and says what it does
