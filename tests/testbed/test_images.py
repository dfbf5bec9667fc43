"""Images made without an engine: the same bytes for the same input, and what an archive holds."""

import gzip
import json
import tarfile
from pathlib import Path

import pytest
from testbed.errors import TestbedError
from testbed.oci import Image, LayerWriter, Settings, blob_of, make_image, read_archive, write_archive, write_layer
from testbed.registry import Name, parse_name

SETTINGS = Settings(entrypoint=["/run"], env={"VERSION": "v1"}, user="65532")


def make(folder: Path, *, settings: Settings = SETTINGS, text: str = "hello\n") -> Image:
    program = folder.with_suffix(".program")
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)

    def fill(layer: LayerWriter) -> None:
        layer.accounts()
        layer.file("usr/bin/run", program)
        layer.text("etc/motd", text)
        layer.link("run", "usr/bin/run")

    return make_image(folder, layers=[write_layer(folder, fill)], settings=settings)


def test_the_same_input_gives_the_same_image(tmp_path: Path) -> None:
    assert make(tmp_path / "a").manifest.digest == make(tmp_path / "b").manifest.digest


def test_versions_share_their_layers_and_differ_in_the_configuration(tmp_path: Path) -> None:
    one = make(tmp_path / "a")
    two = make(tmp_path / "b", settings=Settings(entrypoint=["/run"], env={"VERSION": "v2"}))
    assert [layer.digest for layer in one.layers] == [layer.digest for layer in two.layers]
    assert one.config.digest != two.config.digest


def test_another_file_gives_another_layer(tmp_path: Path) -> None:
    one, two = make(tmp_path / "a"), make(tmp_path / "b", text="other\n")
    assert one.layers[0].digest != two.layers[0].digest


def test_a_layer_has_fixed_owners_and_times_and_every_folder_once(tmp_path: Path) -> None:
    (layer,) = make(tmp_path / "a").layers
    with tarfile.open(layer.path, "r:gz") as tar:
        entries = tar.getmembers()
    names = [entry.name for entry in entries]
    assert len(names) == len(set(names))
    assert {(entry.uid, entry.gid, entry.mtime) for entry in entries} == {(0, 0, 0)}
    modes = {entry.name: oct(entry.mode) for entry in entries}
    assert (modes["tmp"], modes["usr/bin/run"], modes["etc/motd"]) == ("0o1777", "0o755", "0o644")
    assert names.index("usr") < names.index("usr/bin") < names.index("usr/bin/run")


def test_the_configuration_names_the_unpacked_layer(tmp_path: Path) -> None:
    image = make(tmp_path / "a")
    config = json.loads(image.config.path.read_text())
    unpacked = tmp_path / "unpacked"
    unpacked.write_bytes(gzip.decompress(image.layers[0].path.read_bytes()))
    assert config["rootfs"]["diff_ids"] == [blob_of(unpacked).digest]
    assert config["config"]["Env"] == ["VERSION=v1"]


def test_an_archive_gives_back_the_image_and_its_name(tmp_path: Path) -> None:
    image = make(tmp_path / "a")
    archive = tmp_path / "image.tar"
    write_archive(image, archive, name="docker.io/alfredai/backend:v1")
    name, read = read_archive(archive, tmp_path / "b")
    assert name == "docker.io/alfredai/backend:v1"
    assert read.manifest.digest == image.manifest.digest
    assert read.manifest.path.read_bytes() == image.manifest.path.read_bytes()
    assert [layer.path.read_bytes() for layer in read.layers] == [layer.path.read_bytes() for layer in image.layers]


@pytest.mark.parametrize(
    ("text", "repository", "tag"),
    [
        ("docker.io/alfredai/backend:v2.1.0", "alfredai/backend", "v2.1.0"),
        ("alfredai/backend:v2.1.0", "alfredai/backend", "v2.1.0"),
        ("localhost:5000/a/b:c", "a/b", "c"),
        ("localhost/a:b", "library/a", "b"),
        ("redis:7", "library/redis", "7"),
    ],
)
def test_a_name_is_what_the_registry_has_without_its_host(text: str, repository: str, tag: str) -> None:
    assert parse_name(text) == Name(repository=repository, tag=tag)


@pytest.mark.parametrize("text", ["alfredai/backend", "localhost:5000/backend", "", ":v1"])
def test_a_name_without_a_tag_is_refused(text: str) -> None:
    with pytest.raises(TestbedError, match="write NAME:TAG"):
        parse_name(text)
