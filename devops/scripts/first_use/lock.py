"""Reads a requirements file with hashes: ``name==version`` lines, each with ``--hash=sha256:...`` after it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_PIN: Final = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)")
_HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Pin:
    """One package: its name, its version, and the SHA-256 of every file that may stand for it."""

    name: str
    version: str
    hashes: frozenset[str]

    def __str__(self) -> str:
        return f"{self.name}=={self.version}"


def parse(text: str) -> list[Pin]:
    """All pins of a lock."""
    joined = text.replace("\\\n", " ")
    pins = ((found, line) for line in joined.splitlines() if (found := _PIN.match(line)))
    return [Pin(canonical(found[1]), found[2], frozenset(_HASH.findall(line))) for found, line in pins]


def canonical(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()
