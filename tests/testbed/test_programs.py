"""The cache of built programs: what it is keyed by, what a build tells, that only the program is kept."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from testbed.errors import TestbedError

from testbed import programs
from testbed.programs import RECIPES, Programs, Recipe

PAUSE = RECIPES["pause"]


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A copy of the Go sources that a test may change."""
    copy = tmp_path / "go"
    shutil.copytree(programs.SOURCES, copy)
    return copy


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_module_is_pinned(name: str) -> None:
    module = programs.SOURCES / RECIPES[name].module
    assert (module / "go.mod").exists()
    assert (module / "go.sum").exists() or "require" not in (module / "go.mod").read_text()


@pytest.mark.parametrize(("file", "change"), [("go.mod", "// changed\n"), ("main.go", "// changed\n")])
def test_a_changed_input_is_another_program(sources: Path, file: str, change: str) -> None:
    before = PAUSE.key("go1", sources=sources)
    with (sources / "pause" / file).open("a") as stream:
        stream.write(change)
    assert PAUSE.key("go1", sources=sources) != before


def test_other_flags_or_another_go_make_another_program() -> None:
    keys = {
        PAUSE.key("go1"),
        PAUSE.key("go2"),
        replace(PAUSE, tags="other").key("go1"),
        replace(PAUSE, stamp="-X other").key("go1"),
        replace(PAUSE, package="./other").key("go1"),
    }
    assert len(keys) == 5


def test_the_same_input_is_the_same_program() -> None:
    assert PAUSE.key("go1") == PAUSE.key("go1")


@pytest.mark.slow
def test_a_program_is_built_once_and_only_it_is_kept(tmp_path: Path) -> None:
    lines: list[str] = []
    cache = Programs(tmp_path)
    assert cache.have("pause") is None
    built = cache.need(["pause"], tell=lines.append)["pause"]
    assert built.stat().st_mode & 0o100
    assert lines[0].startswith("building the first process of a namespace: about ")
    assert lines[-1].startswith("built the first process of a namespace in ")
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == {built, tmp_path / "programs.lock"}
    lines.clear()
    assert cache.need(["pause"], tell=lines.append) == {"pause": built}
    assert lines == []


@pytest.mark.slow
def test_two_who_need_the_same_program_at_once_build_it_once(tmp_path: Path) -> None:
    lines: list[str] = []
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda _: Programs(tmp_path).need(["pause"], tell=lines.append)["pause"], range(2)))
    assert found[0] == found[1]
    assert found[0].exists()
    assert len([line for line in lines if line.startswith("built ")]) == 1


@pytest.mark.slow
def test_a_build_that_fails_says_what_go_said(sources: Path, tmp_path: Path) -> None:
    (sources / "pause" / "main.go").write_text("package main\n\nfunc main() { undefined() }\n")
    with pytest.raises(TestbedError, match=r"building the first process of a namespace failed: .*undefined: undefined"):
        Programs(tmp_path / "cache", sources).need(["pause"], tell=lambda _: None)
    assert Programs(tmp_path / "cache", sources).have("pause") is None


def test_what_a_build_has_done_is_told(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("go: downloading a v1\ngo: downloading b v2\n")
    assert programs.progress(log) == "2 modules downloaded"
    log.write_text("go: downloading a v1\nfmt\nnet/http\n")
    assert programs.progress(log) == "2 packages compiled, now net/http"


def test_versions_are_told_as_they_are_pinned() -> None:
    """What a recipe calls itself is what its module requires."""
    for recipe in RECIPES.values():
        version = _pinned(recipe)
        assert version is None or version in recipe.what


def _pinned(recipe: Recipe) -> str | None:
    wanted = {"helm3": "helm.sh/helm/v3 v", "helm4": "helm.sh/helm/v4 v", "coredns": "github.com/coredns/coredns v"}
    wanted |= {"kube": "k8s.io/kubernetes v", "kubectl": "k8s.io/kubernetes v"}
    if recipe.name not in wanted:
        return None
    lines = (programs.SOURCES / recipe.module / "go.mod").read_text().splitlines()
    (line,) = [line.strip() for line in lines if line.strip().startswith(wanted[recipe.name])]
    return line.removeprefix(wanted[recipe.name]).split()[0]
