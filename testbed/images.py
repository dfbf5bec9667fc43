"""The images that the cluster itself needs: one program each, kept beside the program so that no start makes them.

Compressing 76 MB costs four seconds; pushing the compressed file costs a quarter of one.
"""

import tempfile
from pathlib import Path

from testbed.debian import Tell
from testbed.oci import LayerWriter, Settings, make_image, read_archive, write_archive, write_layer
from testbed.registry import Registry, parse_name


def program_archive(program: Path, *, tell: Tell) -> Path:
    """An OCI archive, beside the program, of an image that holds nothing but this static program."""
    archive = program.with_suffix(".oci.tar")
    if archive.exists():
        return archive
    tell(f"making the image of {program.name}, once")

    def fill(layer: LayerWriter) -> None:
        layer.accounts()
        layer.file(program.name, program)

    with tempfile.TemporaryDirectory(dir=program.parent) as scratch:
        layer = write_layer(Path(scratch), fill)
        image = make_image(Path(scratch), layers=[layer], settings=Settings(entrypoint=[f"/{program.name}"]))
        write_archive(image, archive, name=program_image(program.name))
    return archive


def program_image(name: str) -> str:
    """The name under which the cluster's own manifests use the program."""
    return f"docker.io/testbed/{name}:1"


def load(archive: Path, registry: Registry, *, scratch: Path, name: str | None = None) -> str:
    """Push an OCI archive under this name, or under the one it carries; the name. Unpacks it in `scratch`."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        carried, image = read_archive(archive, Path(folder))
        name = name or carried
        registry.push(image, parse_name(name))
    return name
