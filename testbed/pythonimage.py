"""Images of Python programs without a container engine, from Debian packages and wheels.

Two layers. The base is the interpreter and the wheels; it is kept in the cache and the same, byte for byte, for
every image that locks the same requirements, so that a node downloads it once for all versions. The layer on top
is the program's own files. What differs from version to version only is in the configuration: its environment.
"""

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from testbed import debian
from testbed.debian import Tell
from testbed.errors import Unavailable
from testbed.oci import (
    Layer,
    LayerWriter,
    Settings,
    blob_of,
    make_image,
    write_archive,
    write_layer,
)
from testbed.processes import run

PYTHON = "3.11"  # Debian 12's
_INTERPRETER = f"/usr/bin/python{PYTHON}"
_DEBIAN_PACKAGES = (
    f"python{PYTHON}-minimal",
    f"libpython{PYTHON}-minimal",
    f"libpython{PYTHON}-stdlib",
    "libbz2-1.0",
    "libc6",
    "libexpat1",
    "libffi8",
    "liblzma5",
    "libssl3",
    "libuuid1",
    "zlib1g",
)
_NOT_NEEDED = (
    "etc",
    "usr/share",
    "usr/lib/x86_64-linux-gnu/gconv",
    f"usr/lib/python{PYTHON}/ensurepip",
    f"usr/lib/python{PYTHON}/idlelib",
    f"usr/lib/python{PYTHON}/lib2to3",
    f"usr/lib/python{PYTHON}/pydoc_data",
    f"usr/lib/python{PYTHON}/unittest",
)
_WHEELS = "packages"
_PROGRAM = "app"
_ENV = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "PYTHONPATH": f"/{_PROGRAM}:/{_WHEELS}",
    "PYTHONUNBUFFERED": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}
_NOBODY = "65532"


@dataclass(frozen=True, slots=True)
class PythonProgram:
    """What goes into an image, and how it starts."""

    requirements: Path  # a lock file with hashes
    tree: Path  # the folder that holds the program's packages
    module: str  # run with `python -m`
    env: Mapping[str, str]


def build(program: PythonProgram, *, name: str, archive: Path, cache: Path, tell: Tell) -> None:
    """Write an OCI archive of the program, under this name. Raises Unavailable or TestbedError."""
    if os.geteuid() != 0:
        raise Unavailable("making an image needs root, to run the image's own Python in it; run it as root")
    base = _base(program.requirements, cache=cache, tell=tell)
    settings = Settings(
        entrypoint=[_INTERPRETER, "-m", program.module],
        env={**_ENV, **program.env},
        user=_NOBODY,
    )
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        layers = [base, _own_files(program.tree, Path(scratch))]
        write_archive(make_image(Path(scratch), layers=layers, settings=settings), archive, name=name)


def _base(requirements: Path, *, cache: Path, tell: Tell) -> Layer:
    """The interpreter and the wheels as a layer, made when the cache has none for these requirements."""
    folder = cache / "layers" / _key(requirements)
    if not folder.exists():
        tell(f"making the Python base layer for {requirements.name}: about 10 seconds, once")
        tree = debian.unpack(_DEBIAN_PACKAGES, into=cache / "debian", tell=tell)
        unfinished = folder.with_suffix(".work")
        shutil.rmtree(unfinished, ignore_errors=True)
        _make_base(tree, requirements, unfinished)
        unfinished.rename(folder)
    (packed,) = folder.glob("*.layer")
    return Layer(blob=blob_of(packed), content=(folder / "content").read_text())


def _make_base(tree: Path, requirements: Path, folder: Path) -> None:
    root = folder / "root"
    shutil.copytree(tree, root, symlinks=True)
    for path in _NOT_NEEDED:
        shutil.rmtree(root / path, ignore_errors=True)
    _install(requirements, root / _WHEELS)
    _compile(root, f"/usr/lib/python{PYTHON}", f"/{_WHEELS}")

    def fill(layer: LayerWriter) -> None:
        layer.accounts()
        layer.tree(root)

    layer = write_layer(folder, fill)
    layer.blob.path.rename(folder / f"{layer.blob.path.name}.layer")
    (folder / "content").write_text(layer.content)
    shutil.rmtree(root)


def _install(requirements: Path, folder: Path) -> None:
    """Wheels only, for the image's interpreter and not for the one that runs this."""
    target: list[str | Path] = [
        "--target",
        folder,
        "--only-binary",
        ":all:",
        "--python-version",
        PYTHON,
        "--implementation",
        "cp",
    ]
    quiet = ["--quiet", "--no-compile", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
    run([sys.executable, "-m", "pip", "install", *quiet, *target, "-r", requirements], limit=300)
    shutil.rmtree(folder / "bin", ignore_errors=True)


def _compile(root: Path, *folders: str) -> None:
    """Bytecode, so that a pod starts in a third of the time. Checked by nothing at run time, the same on each build."""
    options = ["-q", "--invalidation-mode", "unchecked-hash"]
    run(["chroot", root, _INTERPRETER, "-m", "compileall", *options, *folders], limit=300)


def _own_files(tree: Path, folder: Path) -> Layer:
    def not_python(path: Path) -> bool:
        return "__pycache__" in path.parts

    return write_layer(folder, lambda layer: layer.tree(tree, at=_PROGRAM, leave_out=not_python))


def _key(requirements: Path) -> str:
    made_of = "\n".join([debian.release(), *_DEBIAN_PACKAGES, *_NOT_NEEDED, requirements.read_text()])
    return hashlib.sha256(made_of.encode()).hexdigest()[:16]
