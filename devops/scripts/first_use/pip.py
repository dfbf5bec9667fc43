"""Lets pip fetch the packages: this Python's own, the copy that comes with Python for new environments, or another's.

pip knows its user's indexes, proxies, certificates and passwords, so it goes first. What its user has set about *where*
to install is turned off; wheels only, with hashes, so nothing that is fetched is run.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from first_use.errors import NoPip, NotReady, differs, no_wheel, unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

LIMIT: Final = 120.0
"""Seconds for all of it; some 4 MB on an ordinary line take two."""

_OPTIONS: Final = (
    *("install", "-vv", "--no-input", "--disable-pip-version-check", "--root-user-action=ignore"),
    *("--require-hashes", "--only-binary=:all:", "--no-deps", "--no-compile", "--retries=2", "--timeout=10"),
)
"""All its words are read and none is shown; only at ``-vv`` it says why it could not fetch something."""
_ELSEWHERE: Final = ("TARGET", "PREFIX", "ROOT", "CONSTRAINT", "REQUIREMENT", "EDITABLE", "DRY_RUN", "REPORT", "SRC")
_HIDDEN: Final = ("KUBECONFIG", "PYTHONPATH", "PYTHONHOME")
"""The first is a secret, the others are another program's."""
_OURS: Final = "BLUEGREEN_"
"""Of variables that are nobody else's; among them are addresses of notices and credentials for Prometheus."""
_MISSING: Final = re.compile(r"No module named pip|no such option: --python")
"""There is none, or one from before it could work for another Python (22.3)."""
_DIFFERS: Final = "DO NOT MATCH THE HASHES"
_PASSWORD: Final = re.compile(r"://[^/@\s]*@")


def install(packages: Path, *, lock: Path) -> None:
    """Install the lock into the folder. Raises NoPip, and NotReady in pip's own words."""
    for pip in _pips():
        done = _run([*pip, *_OPTIONS, "--target", str(packages), "--requirement", str(lock)])
        if done is None:
            raise unreachable(f"it took more than {LIMIT:.0f} s")
        code, words = done
        if code == 0:
            return
        if not _MISSING.search(words):
            raise _failed(words)
    raise NoPip


def _pips() -> Iterator[Sequence[str]]:
    """Ways to call pip, without the current folder among what it imports."""
    yield sys.executable, "-P", "-m", "pip"
    for wheel in _bundled():
        yield sys.executable, f"{wheel}/pip"
    for name in ("pip3", "pip"):
        found = shutil.which(name)
        if found is not None:
            yield found, "--python", sys.executable


def _bundled() -> Iterator[Path]:
    """pip's wheel as Python, or the distribution, keeps it. A Python without ensurepip may have neither."""
    folders = [sysconfig.get_config_var("WHEEL_PKG_DIR")]
    spec = find_spec("ensurepip")
    if spec is not None and spec.origin:
        folders.append(Path(spec.origin).parent / "_bundled")
    for folder in filter(None, folders):
        yield from sorted(Path(folder).glob("pip-*.whl"))


def _environment(environment: Mapping[str, str]) -> dict[str, str]:
    unwanted = {*(f"PIP_{name}" for name in _ELSEWHERE), *_HIDDEN}
    kept = {name: value for name, value in environment.items() if name not in unwanted and not name.startswith(_OURS)}
    return {**kept, "PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0", "PIP_QUIET": "0"}


def _run(command: Sequence[str]) -> tuple[int, str] | None:
    """Its exit code and what it said; None: it took too long. It never outlives this call."""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=_environment(os.environ),
    ) as process:
        try:
            words, _ = process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            return None
        finally:
            process.kill()
            process.wait()  # the block's own end would not wait for it after a KeyboardInterrupt
    return process.returncode, words


def _failed(words: str) -> NotReady:
    if _DIFFERS in words:
        named = re.search(r"^\s+(\S+==\S+) from ", words, re.MULTILINE)
        return differs(named[1] if named else "a package")
    refused = re.search(r"Could not fetch URL (\S+): (.*) - skipping", words)
    if refused:
        return unreachable(f"{_PASSWORD.sub('://', refused[1])}: {_reason(refused[2])}")
    warned = re.search(r"^WARNING: (.*)", words, re.MULTILINE)
    missing = re.search(r"^ERROR: No matching distribution found for (\S+)", words, re.MULTILINE)
    if missing and not warned:
        return no_wheel(missing[1])
    said = warned or re.search(r"^ERROR: (.*)", words, re.MULTILINE)
    return unreachable(_PASSWORD.sub("://", said[1]) if said else "pip did not say why")


def _reason(why: str) -> str:
    """What was behind it: ``403 Forbidden``, ``Connection refused``."""
    answered = re.match(r"(\d{3}) \w+ Error: (.*) for url", why)
    if answered:
        return f"{answered[1]} {answered[2]}"
    return re.sub(r"^\[Errno -?\d+\] ", "", why.rpartition("Caused by ")[2].rpartition(": ")[2]).strip("'\")")
