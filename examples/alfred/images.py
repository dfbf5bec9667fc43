"""Make an image of Alfred for one machine: a folder with a program ``run`` in it.

    python images.py --into images --tag v2
    python images.py --into images --tag v2-bad --fault errors=5
    python images.py --into images --tag v2-bad --fault cannot-start --fault-service backend

makes ``images/alfredai/backend/v2/run`` and ``images/alfredai/gateway/v2/run``. The program is told everything else
by its environment: PORT, SLOT, VERSION, and BACKEND_URL for the gateway.
"""

from __future__ import annotations

import argparse
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from alfred.faults import FaultError, parse_faults
from alfred.settings import Service

if TYPE_CHECKING:
    from collections.abc import Sequence

REPOSITORY: Final = "alfredai"
HERE: Final = Path(__file__).resolve().parent
RUN: Final = """#!/bin/sh
# {image}
PYTHONPATH={here}${{PYTHONPATH:+:$PYTHONPATH}}
ALFRED_FAULT={fault}
export PYTHONPATH ALFRED_FAULT
exec {python} -m alfred.{service}
"""


class ImageError(ValueError):
    """The image cannot be made; the text is one line that says why."""


def make_image(into: Path, *, service: str, tag: str, fault: str = "", python: str = sys.executable) -> Path:
    """Make the image of one service below ``into`` and return its folder; one of the same name is replaced.

    ``fault`` is what the version does badly, as in ALFRED_FAULT; ``python`` is the interpreter that runs it, with
    what the example needs installed. Raises ImageError for a service, tag or fault that there is not.
    """
    _check(service=service, tag=tag, fault=fault)
    folder = into / REPOSITORY / service / tag
    text = RUN.format(
        image=f"{REPOSITORY}/{service}:{tag}",
        here=shlex.quote(str(HERE)),
        fault=shlex.quote(fault),
        python=shlex.quote(python),
        service=service,
    )
    folder.mkdir(parents=True, exist_ok=True)
    _put(folder / "run", text)
    return folder


def main(arguments: Sequence[str] | None = None) -> int:
    """The command above. Writes the folders it made, one a line; returns the exit status."""
    options = _parser().parse_args(arguments)
    services = [options.service] if options.service else list(Service)
    faulty = options.service or options.fault_service
    try:
        _check(service=faulty, tag=options.tag, fault=options.fault)
        for service in services:
            fault = options.fault if service == faulty else ""
            folder = make_image(options.into, service=service, tag=options.tag, fault=fault, python=options.python)
            sys.stdout.write(f"{folder}\n")
    except (ImageError, OSError) as error:
        sys.stderr.write(f"images: {error}\n")
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Make an image of Alfred for one machine.")
    parser.add_argument("--into", type=Path, required=True, metavar="DIR", help="the folder of all images")
    parser.add_argument("--tag", required=True, help="the version, for example v2")
    parser.add_argument("--service", choices=list(Service), help="only this one; both unless given")
    parser.add_argument("--fault", default="", help="what the version does badly, for example errors=5,slow=40")
    parser.add_argument("--fault-service", choices=list(Service), default=Service.GATEWAY, help="which of both does it")
    parser.add_argument("--python", default=sys.executable, metavar="PATH", help="the interpreter that runs it")
    return parser


def _check(*, service: str, tag: str, fault: str) -> None:
    if service not in list(Service):
        raise ImageError(f"there is no service {service!r}; give backend or gateway")
    if re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", tag) is None:
        raise ImageError(f"{tag!r} is no tag; use letters, digits, '.', '_' and '-', for example v2")
    try:
        parse_faults(fault)
    except FaultError as error:
        raise ImageError(str(error)) from error


def _put(path: Path, text: str) -> None:
    """Write an executable file in one step: a process that starts meanwhile reads the old one or the new one."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text, encoding="utf-8")
    fresh.chmod(0o755)
    fresh.replace(path)


if __name__ == "__main__":
    sys.exit(main())
