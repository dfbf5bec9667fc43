"""Where pip would fetch from: its environment variables, then its configuration files. For machines without pip.

Only what says *where* is read: index-url, extra-index-url, find-links, no-index, cert, client-cert, proxy and
trusted-host.
"""

from __future__ import annotations

import configparser
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_NO: Final = frozenset({"", "0", "no", "off", "false", "n", "f"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What was set."""

    indexes: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    """Folders, or pages of links."""
    certificates: str = ""
    client_certificate: str = ""
    proxy: str = ""
    trusted: tuple[str, ...] = ()
    """Hosts, some with a port, whose certificate is not checked. The hashes are, always."""


def settings(environment: Mapping[str, str]) -> Settings:
    """The user's settings."""
    found = {name: value for path in _files(environment) for name, value in _file(path)}
    found |= {
        name.removeprefix("PIP_").lower().replace("_", "-"): value
        for name, value in environment.items()
        if name.startswith("PIP_") and value
    }

    def words(name: str) -> tuple[str, ...]:
        return tuple(found.get(name, "").split())

    indexes = (*words("index-url"), *words("extra-index-url"))
    return Settings(
        indexes=() if found.get("no-index", "").lower() not in _NO else indexes,
        links=words("find-links"),
        certificates=found.get("cert", ""),
        client_certificate=found.get("client-cert", ""),
        proxy=found.get("proxy", ""),
        trusted=words("trusted-host"),
    )


def _files(environment: Mapping[str, str]) -> Iterator[Path]:
    """pip's configuration files; a later one wins."""
    named = environment.get("PIP_CONFIG_FILE", "")
    if named == "/dev/null":  # pip's own way to read none
        return
    for folder in reversed(environment.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")):
        yield Path(folder) / "pip" / "pip.conf"
    yield Path("/etc/pip.conf")
    home = Path(environment.get("HOME", "/"))
    yield home / ".pip" / "pip.conf"
    if sys.platform == "darwin":
        yield home / "Library" / "Application Support" / "pip" / "pip.conf"
    yield Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "pip" / "pip.conf"
    yield Path(sys.executable).parent.parent / "pip.conf"
    if named:
        yield Path(named)


def _file(path: Path) -> Iterator[tuple[str, str]]:
    """The settings of one file, those of ``pip install`` last. A file that cannot be read has none, as for pip."""
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, configparser.Error):
        return
    for section in ("global", "install"):
        if parser.has_section(section):
            yield from ((name.replace("_", "-"), value) for name, value in parser.items(section))
