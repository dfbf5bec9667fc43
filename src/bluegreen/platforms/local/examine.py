"""What this machine has against running the stack, before ``up`` and beside it. Writes nothing but a probe of a folder.

What a plan depends on (images, settings) is the preflight's.
"""

from __future__ import annotations

import os
import resource
import shutil
from shlex import quote
from typing import TYPE_CHECKING

from bluegreen.domain.errors import PlatformError
from bluegreen.domain.rules import Rule
from bluegreen.platforms.local import images, reserve
from bluegreen.platforms.local.addresses import obstacle
from bluegreen.platforms.local.envoy_run import envoy_program
from bluegreen.ports import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from bluegreen.domain.stack import Stack

ROOM = 64 * reserve.SIZE
"""Bytes that should be free: the reserve, and the bounded logs of a few processes."""
FILES = 4096
"""Open files that Envoy should be allowed: two for each of two thousand connections."""


def machine_findings(state: Path) -> Iterator[Finding]:
    """Envoy, the state folder, its disk, and the limit of open files."""
    yield from _envoy()
    folder = _existing(state)
    typed = quote(str(folder))
    if not os.access(folder, os.W_OK | os.X_OK):
        mend = f"sudo chown $USER {typed}, or --state DIR"
        yield _found(Severity.REFUSE, Rule.NO_FOLDER, f"{folder} cannot be written", mend)
    free = shutil.disk_usage(folder).free
    if free < ROOM:
        severity = Severity.REFUSE if free < reserve.SIZE else Severity.WARN
        text = f"{free // 2**20} MiB are free for {state}; {ROOM // 2**20} should be"
        yield _found(severity, Rule.NO_ROOM, text, f"make room: du -xh --max-depth=1 {typed} shows where it went")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < FILES:
        more = FILES if hard >= FILES or hard == resource.RLIM_INFINITY else hard
        text = f"a process may open {soft} files here: that is {soft // 2} connections of users"
        yield _found(Severity.WARN, Rule.FEW_FILES, text, f"ulimit -n {more}, before bluegreen up")


def stack_findings(stack: Stack, folder: Path) -> Iterator[Finding]:
    """Of a stack that is not up: the folder of its first images, and the ports that users will call."""
    first: dict[int, str] = {}
    for service in stack.services:
        holder = first.setdefault(service.port, service.name)
        why = obstacle(service.port) if holder == service.name else f"is that of {holder}, too"
        if why:
            mend = f"free it, or choose another: bluegreen up --port {stack.short(service.name)}=0"
            yield _found(Severity.REFUSE, Rule.PORT_TAKEN, f"port {service.port} of {service.name} {why}", mend)
    if not folder.is_dir():
        text = f"there is no image folder {folder}"
        typed = quote(str(folder))
        mend = f"mkdir -p {typed}; each image is a folder repository/tag in it, with an executable {images.RUN!r}"
        yield _found(Severity.REFUSE, Rule.MISSING_OBJECT, text, mend)


def ordered(found: Sequence[Finding]) -> tuple[Finding, ...]:
    """The ones that refuse first."""
    order = list(Severity)
    return tuple(sorted(found, key=lambda finding: order.index(finding.severity)))


def _envoy() -> Iterator[Finding]:
    try:
        envoy_program()
    except PlatformError as error:
        yield _found(Severity.REFUSE, Rule.NOT_RUNNING, str(error), error.mend)


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there: that is where it would be made."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def _found(severity: Severity, rule: Rule, text: str, mend: str) -> Finding:
    return Finding(severity=severity, text=text, mend=mend, rule=str(rule), why=rule.why)
