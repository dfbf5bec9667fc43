"""Container images without a container engine: layers, a configuration and a manifest, in an OCI archive.

The same input gives the same bytes (fixed times and owners), so an image has the same digest wherever it is made.
"""

import gzip
import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
_EPOCH = "1970-01-01T00:00:00Z"
_NAME_KEY = "org.opencontainers.image.ref.name"
_NOBODY = 65532  # the id that images without a root user commonly use
_ACCOUNTS = {
    "etc/passwd": f"root:x:0:0:root:/:/sbin/nologin\nnonroot:x:{_NOBODY}:{_NOBODY}::/tmp:/sbin/nologin\n",
    "etc/group": f"root:x:0:\nnonroot:x:{_NOBODY}:\n",
    "etc/nsswitch.conf": "hosts: files dns\n",
}


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes in a file, known by their digest."""

    digest: str
    size: int
    path: Path

    @property
    def hex(self) -> str:
        return self.digest.removeprefix("sha256:")


@dataclass(frozen=True, slots=True)
class Layer:
    """A compressed layer, and the digest of what is in it."""

    blob: Blob
    content: str


@dataclass(frozen=True, slots=True)
class Settings:
    """How containers of the image start."""

    entrypoint: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    workdir: str = "/"


@dataclass(frozen=True, slots=True)
class Image:
    """Everything a registry needs: the layers in order, the configuration, the manifest."""

    layers: Sequence[Blob]
    config: Blob
    manifest: Blob


class LayerWriter:
    """The files of a layer, in the order they are added, with fixed times and owners."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self._folders: set[str] = set()

    def folder(self, path: str, *, mode: int = 0o755) -> None:
        """A folder and those above it."""
        path = path.strip("/")
        if path in {"", "."} or path in self._folders:
            return
        self.folder(str(Path(path).parent))
        self._folders.add(path)
        entry = tarfile.TarInfo(path)
        entry.type, entry.mode = tarfile.DIRTYPE, mode
        self._tar.addfile(entry)

    def text(self, path: str, content: str) -> None:
        self._put(path, content.encode(), mode=0o644)

    def file(self, path: str, source: Path) -> None:
        """A copy of `source`, which anybody may read, and run if its owner may."""
        executable = source.stat().st_mode & 0o100
        mode = 0o644
        if executable:
            mode = 0o755
        self._put(path, source.read_bytes(), mode=mode)

    def link(self, path: str, target: str) -> None:
        self.folder(str(Path(path).parent))
        entry = tarfile.TarInfo(path.strip("/"))
        entry.type, entry.linkname = tarfile.SYMTYPE, target
        self._tar.addfile(entry)

    def tree(self, folder: Path, *, at: str = "/", leave_out: Callable[[Path], bool] = lambda _: False) -> None:
        """Everything below `folder`, sorted; `leave_out` is asked with paths relative to it."""
        for source in sorted(folder.rglob("*")):
            relative = source.relative_to(folder)
            path = f"{at.strip('/')}/{relative}".strip("/")
            if leave_out(relative):
                continue
            if source.is_symlink():
                self.link(path, str(source.readlink()))
            elif source.is_dir():
                self.folder(path)
            elif source.is_file():
                self.file(path, source)

    def accounts(self) -> None:
        """The little that programs expect of any machine: root and nobody, name resolution, a /tmp for all."""
        self.folder("tmp", mode=0o1777)
        for path, content in _ACCOUNTS.items():
            self.text(path, content)

    def _put(self, path: str, content: bytes, *, mode: int) -> None:
        self.folder(str(Path(path).parent))
        entry = tarfile.TarInfo(path.strip("/"))
        entry.size, entry.mode = len(content), mode
        self._tar.addfile(entry, io.BytesIO(content))


def write_layer(folder: Path, fill: Callable[[LayerWriter], None]) -> Layer:
    """A layer with what `fill` adds, compressed into a file of `folder` that is named by its digest."""
    folder.mkdir(parents=True, exist_ok=True)
    plain, packed = folder / "unfinished.tar", folder / "unfinished"
    with tarfile.open(plain, "w", format=tarfile.PAX_FORMAT) as tar:
        fill(LayerWriter(tar))
    with (
        plain.open("rb") as stream,
        packed.open("wb") as raw,
        gzip.GzipFile("", "wb", 6, raw, mtime=0) as output,
    ):
        shutil.copyfileobj(stream, output, 1 << 20)
    content = blob_of(plain).digest
    plain.unlink()
    return Layer(blob=_named_by_digest(packed), content=content)


def make_image(folder: Path, *, layers: Sequence[Layer], settings: Settings) -> Image:
    """The configuration and the manifest for these layers, in files of `folder`."""
    blobs = [layer.blob for layer in layers]
    config = _write_json(folder, _config(layers, settings))
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": _descriptor(CONFIG_TYPE, config),
        "layers": [_descriptor(LAYER_TYPE, blob) for blob in blobs],
    }
    return Image(layers=blobs, config=config, manifest=_write_json(folder, manifest))


def write_archive(image: Image, path: Path, *, name: str) -> None:
    """An OCI archive of one image, its name in the index."""
    described = {**_descriptor(MANIFEST_TYPE, image.manifest), "annotations": {_NAME_KEY: name}}
    index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [described]}
    unfinished = path.with_suffix(".unfinished")
    with tarfile.open(unfinished, "w") as archive:
        _add(archive, "oci-layout", json.dumps({"imageLayoutVersion": "1.0.0"}).encode())
        _add(archive, "index.json", json.dumps(index).encode())
        for blob in _unique([*image.layers, image.config, image.manifest]):
            _add(archive, f"blobs/sha256/{blob.hex}", blob.path.read_bytes())
    unfinished.rename(path)


def read_archive(path: Path, folder: Path) -> tuple[str, Image]:
    """The name and the image of an OCI archive, its blobs unpacked into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path) as archive:
        for entry in archive.getmembers():
            content = archive.extractfile(entry)
            if content is not None:
                with (folder / Path(entry.name).name).open("wb") as copy:
                    shutil.copyfileobj(content, copy)
    described = json.loads((folder / "index.json").read_text())["manifests"][0]
    manifest = _blob(folder, described["digest"])
    parts = json.loads(manifest.path.read_text())
    layers = [_blob(folder, layer["digest"]) for layer in parts["layers"]]
    image = Image(layers=layers, config=_blob(folder, parts["config"]["digest"]), manifest=manifest)
    return str(described["annotations"][_NAME_KEY]), image


def blob_of(path: Path) -> Blob:
    """The file as it is."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return Blob(digest=f"sha256:{digest.hexdigest()}", size=path.stat().st_size, path=path)


def _config(layers: Sequence[Layer], settings: Settings) -> dict[str, object]:
    start = {
        "Entrypoint": list(settings.entrypoint),
        "Env": [f"{key}={value}" for key, value in settings.env.items()],
        "User": settings.user,
        "WorkingDir": settings.workdir,
    }
    return {
        "architecture": "amd64",
        "os": "linux",
        "created": _EPOCH,
        "config": start,
        "rootfs": {"type": "layers", "diff_ids": [layer.content for layer in layers]},
        "history": [{"created": _EPOCH, "created_by": "testbed"} for _ in layers],
    }


def _descriptor(kind: str, blob: Blob) -> dict[str, object]:
    return {"mediaType": kind, "digest": blob.digest, "size": blob.size}


def _write_json(folder: Path, content: dict[str, object]) -> Blob:
    unfinished = folder / "unfinished"
    unfinished.write_text(json.dumps(content))
    return _named_by_digest(unfinished)


def _named_by_digest(file: Path) -> Blob:
    blob = blob_of(file)
    path = file.with_name(blob.hex)
    file.rename(path)
    return Blob(digest=blob.digest, size=blob.size, path=path)


def _blob(folder: Path, digest: str) -> Blob:
    path = folder / digest.removeprefix("sha256:")
    return Blob(digest=digest, size=path.stat().st_size, path=path)


def _unique(blobs: Iterable[Blob]) -> list[Blob]:
    return list({blob.digest: blob for blob in blobs}.values())


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o644
    archive.addfile(entry, io.BytesIO(content))
