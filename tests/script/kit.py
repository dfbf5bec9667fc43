"""What the script's tests share: a package index on this machine, bare Pythons, and runs of the script."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

from first_use.lock import canonical

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = "devops/scripts/blue_green_deploy.sh"
LOCK = ROOT / "requirements" / "kubernetes.lock"
BY_HAND = (ROOT / "devops/scripts/rollback_by_hand.txt").read_text()
LIMIT = 120.0


def wheels(folder: Path) -> Path:
    """The wheels of the lock for this Python, fetched as ``make setup`` fetches what it needs."""
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps")
    what = ("--require-hashes", "--only-binary=:all:", "--requirement", str(LOCK), "--dest", str(folder))
    done = subprocess.run([*pip, *what], capture_output=True, text=True, check=False, timeout=LIMIT)
    assert done.returncode == 0, f"the package index that make setup uses did not give the wheels:\n{done.stderr}"
    return folder


@dataclass
class Index:
    """A package index over HTTP, with a choice of faults."""

    files: Path
    html: bool = False
    """Only the older kind of page, as some companies' indexes have it."""
    password: str = ""
    """``user:password`` that it asks for."""
    spoiled: str = ""
    """The package whose file is another one than it was."""
    status: int = 200
    """What it answers to everything."""
    hold: threading.Event = field(default_factory=threading.Event)
    """Unset: files are held back."""
    asked: list[str] = field(default_factory=list)
    waiting: threading.Event = field(default_factory=threading.Event)
    """Set once a file is held back."""
    address: str = ""

    def __post_init__(self) -> None:
        """Hold nothing back."""
        self.hold.set()

    def page(self, package: str, *, json_wanted: bool) -> tuple[str, bytes]:
        """The kind and content of a package's page."""
        names = [path.name for path in self.files.glob("*.whl") if canonical(path.name.split("-")[0]) == package]
        if json_wanted and not self.html:
            files = [{"filename": name, "url": f"../../files/{name}", "hashes": {}} for name in names]
            return "application/vnd.pypi.simple.v1+json", json.dumps({"files": files}).encode()
        links = "".join(f'<a href="../../files/{name}#sha256=0" data-x="1">{name}</a><br>\n' for name in names)
        return "text/html", f"<!DOCTYPE html><html><body>{links}</body></html>".encode()

    def file(self, name: str) -> bytes:
        """A wheel's content."""
        content = (self.files / name).read_bytes()
        return content + b"spoiled" if self.spoiled and name.startswith(self.spoiled) else content


def _handler(index: Index) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            index.asked.append(self.path)
            wanted = base64.b64encode(index.password.encode()).decode()
            if index.password and self.headers["Authorization"] != f"Basic {wanted}":
                return self.answer(401, "text/plain", b"")
            if index.status != 200:
                return self.answer(index.status, "text/plain", b"")
            part, name = self.path.strip("/").split("/")
            if part == "simple":
                kind, content = index.page(name, json_wanted="json" in self.headers["Accept"])
                return self.answer(200, kind, content)
            if not index.hold.is_set():
                index.waiting.set()
                assert index.hold.wait(LIMIT), "nobody has let it go on"
            return self.answer(200, "application/octet-stream", index.file(name))

        def answer(self, status: int, kind: str, content: bytes) -> None:
            try:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
            except OSError:
                self.close_connection = True  # its client was killed: that is what the test is about

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            """Quiet."""

    return Handler


@contextmanager
def serving(index: Index) -> Iterator[Index]:
    """The index, answering on loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(index))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    index.address = f"http://127.0.0.1:{server.server_address[1]}/simple/"
    try:
        yield index
    finally:
        index.hold.set()
        server.shutdown()
        thread.join()
        server.server_close()


def bare_python(folder: Path) -> Path:
    """This Python without pip and ensurepip, as Debian has it without python3-venv and python3-pip."""
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    binary, library = folder / "bin" / name, folder / "lib" / name
    binary.parent.mkdir(parents=True)
    library.mkdir(parents=True)
    shutil.copy2(Path(sys.executable).resolve(), binary)
    (folder / "bin" / "python3").symlink_to(name)
    for path in Path(os.__file__).parent.iterdir():
        if path.name not in {"ensurepip", "site-packages", "dist-packages", "__pycache__"}:
            (library / path.name).symlink_to(path)
    for module in ("pip", "ensurepip"):
        done = subprocess.run([binary, "-c", f"import {module}"], capture_output=True, text=True, check=False)
        assert f"No module named '{module}'" in done.stderr
    return binary


def tools_on_path(folder: Path, *, python: Path | None = None, name: str = "python3") -> str:
    """A PATH with what any system has, and this Python or none."""
    folder.mkdir()
    for tool in ("sh", "cat", "readlink", "ldd", "env"):
        found = shutil.which(tool)
        if found is not None:
            (folder / tool).symlink_to(found)
    if python is not None:
        (folder / name).symlink_to(python)
    return str(folder)


def environment(home: Path, **more: str) -> dict[str, str]:
    """A runner's: little, and nothing of whoever runs the tests that says where to fetch from."""
    home.mkdir(exist_ok=True)
    return {
        "HOME": str(home),
        "TMPDIR": str(home),
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_NO_CACHE_DIR": "1",
        "LC_ALL": "C.UTF-8",
        **more,
    }


@dataclass(frozen=True)
class Way:
    """An environment, and whether it has a pip."""

    env: dict[str, str]
    pip: bool


@dataclass(frozen=True)
class Done:
    """How a run ended."""

    code: int
    out: str
    err: str


def run(words: Sequence[str], env: Mapping[str, str], *, cwd: Path = ROOT, script: str = SCRIPT) -> Done:
    """Run the script to its end."""
    done = subprocess.run(
        [script, *words], cwd=cwd, env=dict(env), capture_output=True, text=True, check=False, timeout=LIMIT
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Done(done.returncode, done.stdout, done.stderr)


def run_text(text: str, env: Mapping[str, str]) -> Done:
    """Run a step's text to its end, as a runner does."""
    return run(["-e", "-c", text], env, script="bash")


def start(words: Sequence[str], env: Mapping[str, str]) -> subprocess.Popen[str]:
    """Start the script; whoever starts it ends it."""
    return subprocess.Popen(
        [SCRIPT, *words], cwd=ROOT, env=dict(env), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def cache(home: Path) -> Path:
    """Where the packages are then."""
    return home / ".cache" / "bluegreen"


def complete(root: Path) -> list[str]:
    """The names of the complete folders; nothing else may be there but the note of the Python."""
    names = sorted(path.name for path in root.iterdir())
    assert all(name == "python" or name.startswith("cpython-") for name in names), names
    return [name for name in names if name != "python"]


def listing(folder: Path) -> dict[str, str]:
    """Every file below a folder with its content's hash."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
