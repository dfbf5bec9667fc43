"""Who a process is and where it listens: its environment, read once.

Decides which settings are refused. The platform gives PORT, SLOT and VERSION, and the gateway gets the address of
the backend of its own slot; a slot or version that is missing is never guessed, because every answer tells it.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from alfred.faults import FaultError, Faults, parse_faults

if TYPE_CHECKING:
    from collections.abc import Mapping

SLOTS = ("blue", "green")
LONGEST_LAME_DUCK = 50.0
"""Seconds; with what is in flight afterwards it has to fit into the platform's 60 s of grace."""


class Service(StrEnum):
    """The two services of the stack."""

    BACKEND = "backend"
    GATEWAY = "gateway"


USUAL_PORT = {Service.BACKEND: "8000", Service.GATEWAY: "8080"}


class SettingError(ValueError):
    """A setting is missing or wrong; the message is one line that says which and what to write instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The whole configuration of one process."""

    service: Service
    slot: str
    version: str
    host: str
    port: int
    """0: any free port; the process says which it is."""
    lame_duck: float
    """Seconds for which it serves on after it was told to go."""
    backend_url: str
    """Where the gateway finds its backend; empty for the backend itself."""
    faults: Faults

    @property
    def name(self) -> str:
        """Its name in log lines."""
        return f"alfred-{self.service} {self.version} ({self.slot})"


def read_settings(env: Mapping[str, str], *, service: Service) -> Settings:
    """Read the settings of ``service`` from an environment. Raises SettingError for the first that is wrong."""
    backend_url = ""
    if service is Service.GATEWAY:
        backend_url = _backend_url(env)
    return Settings(
        service=service,
        slot=_slot(env),
        version=_version(env),
        host=env.get("HOST") or "127.0.0.1",
        port=_port(env, usual=USUAL_PORT[service]),
        lame_duck=_lame_duck(env),
        backend_url=backend_url,
        faults=_faults(env),
    )


def _slot(env: Mapping[str, str]) -> str:
    slot = env.get("SLOT", "")
    _refuse_unless(slot in SLOTS, f"SLOT is {slot!r}; give blue or green")
    return slot


def _version(env: Mapping[str, str]) -> str:
    version = env.get("VERSION", "")
    right = re.fullmatch(r"[!-~]{1,128}", version) is not None
    _refuse_unless(right, f"VERSION is {version!r}; give the image's tag, up to 128 characters without spaces")
    return version


def _port(env: Mapping[str, str], *, usual: str) -> int:
    digits = env.get("PORT") or usual
    right = digits.isascii() and digits.isdecimal() and int(digits[:6]) <= 65535
    _refuse_unless(right, f"PORT is {digits!r}; give a number from 0 to 65535, 0 for any free port")
    return int(digits)


def _lame_duck(env: Mapping[str, str]) -> float:
    text = env.get("LAME_DUCK_SECONDS") or "3"
    seconds = seconds_of(text)
    right = seconds is not None and seconds <= LONGEST_LAME_DUCK
    _refuse_unless(right, f"LAME_DUCK_SECONDS is {text!r}; give seconds from 0 to {LONGEST_LAME_DUCK:g}")
    return seconds or 0.0


def _backend_url(env: Mapping[str, str]) -> str:
    url = env.get("BACKEND_URL", "").rstrip("/")
    right = _is_address(url)
    _refuse_unless(right, f"BACKEND_URL is {url!r}; give the backend's address, for example http://127.0.0.1:8000")
    return url


def _is_address(url: str) -> bool:
    """Whether it is ``http://HOST[:PORT]`` and no more."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    plain = url == f"http://{parts.netloc}" and url.isprintable() and not re.search(r"[@\s]", url)
    return plain and bool(parts.hostname) and port != 0


def _faults(env: Mapping[str, str]) -> Faults:
    try:
        return parse_faults(env.get("ALFRED_FAULT", ""))
    except FaultError as error:
        raise SettingError(f"ALFRED_FAULT: {error}") from error


def seconds_of(text: str) -> float | None:
    """A finite number of seconds, not below 0; None for any other text."""
    try:
        seconds = float(text)
    except ValueError:
        return None
    if math.isfinite(seconds) and seconds >= 0:
        return seconds
    return None


def _refuse_unless(right: bool, message: str) -> None:  # noqa: FBT001 - reads as a sentence where it is used
    if not right:
        raise SettingError(message)
