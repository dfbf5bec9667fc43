"""Which wheel suits this Python on this machine, from its file name alone (PEP 425, 600, 656)."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from first_use.lock import canonical

if TYPE_CHECKING:
    from collections.abc import Sequence

_OLD_MANYLINUX: Final = {"manylinux1": "2_5", "manylinux2010": "2_12", "manylinux2014": "2_17"}
_MAC_FAT: Final = {"arm64": {"universal2"}, "x86_64": {"universal2", "intel", "fat3", "fat64", "universal"}}
_ANY: Final = (1 << 16, 0)
"""Worse than every compiled one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What wheels are built for."""

    python: tuple[int, int]
    threads: str = ""
    """``t``: the build without the global lock, which has extensions of its own."""
    system: str
    """``glibc``, ``musl`` or ``mac``."""
    version: tuple[int, int]
    """Of the system: a wheel for a newer one does not run."""
    cpu: str

    def suits(self, filename: str) -> tuple[int, ...] | None:
        """How well, the smaller the better; None: not at all."""
        parts = filename.removesuffix(".whl").split("-")
        if not filename.endswith(".whl") or len(parts) not in {5, 6}:
            return None
        pythons, abis, systems = (part.split(".") for part in parts[-3:])
        found = [(*tag, *place) for tag in self._tags(pythons, abis) for place in self._places(systems)]
        return min(found, default=None)

    def _tags(self, pythons: Sequence[str], abis: Sequence[str]) -> list[tuple[int, ...]]:
        ranks = (self._tag(python, abi) for python in pythons for abi in abis)
        return [rank for rank in ranks if rank is not None]

    def _tag(self, python: str, abi: str) -> tuple[int, ...] | None:
        major, minor = self.python
        own = f"cp{major}{minor}"
        if (python, abi) == (own, own + self.threads):
            return (0, 0)
        if abi == "abi3" and not self.threads:
            return _since(python, f"cp{major}", minor, rank=1)
        if abi != "none":
            return None
        if python in {own, f"py{major}"}:
            return (2, 0) if python == own else (4, 0)
        return _since(python, f"py{major}", minor, rank=3)

    def _places(self, systems: Sequence[str]) -> list[tuple[int, int]]:
        ranks = (self._place(system) for system in systems)
        return [rank for rank in ranks if rank is not None]

    def _place(self, system: str) -> tuple[int, int] | None:
        if system == "any":
            return _ANY
        for name, version in _OLD_MANYLINUX.items():
            system = re.sub(rf"^{name}_", f"manylinux_{version}_", system)
        found = re.fullmatch(r"(manylinux|musllinux|macosx)_(\d+)_(\d+)_(\w+)", system)
        kind = {"glibc": "manylinux", "musl": "musllinux", "mac": "macosx"}[self.system]
        if found is None or found[1] != kind:
            return None
        cpus = {self.cpu} | (_MAC_FAT.get(self.cpu, set()) if self.system == "mac" else set())
        needs = int(found[2]), int(found[3])
        if found[4] not in cpus or needs > self.version or (kind == "musllinux" and needs[0] != self.version[0]):
            return None
        return self.version[0] - needs[0], self.version[1] - needs[1]


def _since(python: str, start: str, minor: int, *, rank: int) -> tuple[int, int] | None:
    """``cp39`` or ``py39`` suits every later Python, the nearest best."""
    number = python.removeprefix(start)
    if number == python or not number.isdigit() or int(number) > minor:
        return None
    return rank, minor - int(number)


def this_machine() -> Machine:
    """The one that we run on."""
    system, version = _system()
    return Machine(
        python=sys.version_info[:2],
        threads="t" if "t" in sys.abiflags else "",
        system=system,
        version=version,
        cpu=_cpu(),
    )


@cache
def _system() -> tuple[str, tuple[int, int]]:
    if sys.platform == "darwin":
        return "mac", _two(platform.mac_ver()[0])
    try:
        return "glibc", _two(os.confstr("CS_GNU_LIBC_VERSION") or "")
    except (ValueError, OSError):
        said = subprocess.run(["ldd", "--version"], capture_output=True, text=True, check=False, timeout=10.0)
        return "musl", _two(said.stderr)


def _two(text: str) -> tuple[int, int]:
    """The first two numbers of a version."""
    found = re.search(r"(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _cpu() -> str:
    """The processor as this Python sees it: a 32-bit one on a 64-bit kernel cannot load 64-bit extensions."""
    machine = os.uname().machine
    if sys.maxsize > 2**32:
        return machine
    return {"x86_64": "i686", "aarch64": "armv7l", "armv8l": "armv7l"}.get(machine, machine)


def stands_for(filename: str, *, name: str, version: str) -> bool:
    """Whether the file is a wheel of that version of that package."""
    parts = filename.split("-")
    return filename.endswith(".whl") and len(parts) >= 5 and canonical(parts[0]) == name and parts[1] == version
