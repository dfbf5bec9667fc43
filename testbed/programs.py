"""The Go programs: built from pinned modules when first needed, kept in the cache by the hash of what they are made of.

Only the programs are kept. What Go downloads and compiles on the way (11 GB for all of them) is removed when the
last one asked for is done; an interrupted build finds it again.
"""

import functools
import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from testbed.debian import Tell
from testbed.errors import TestbedError, Unavailable
from testbed.locks import exclusive
from testbed.processes import run

SOURCES = Path(__file__).parent / "go"
KUBERNETES_VERSION = "1.34.4"
_TELL_EVERY = 10  # seconds
_VERSION_PACKAGE = "k8s.io/component-base/version"
_KUBERNETES_STAMP = (
    f"-X {_VERSION_PACKAGE}.gitVersion=v{KUBERNETES_VERSION}"
    f" -X {_VERSION_PACKAGE}.gitMajor={KUBERNETES_VERSION.split('.')[0]}"
    f" -X {_VERSION_PACKAGE}.gitMinor={KUBERNETES_VERSION.split('.')[1]}"
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one program is built. `minutes` is what it took on two cores with nothing downloaded yet."""

    name: str
    module: str  # the folder below go/ that pins it
    package: str
    what: str
    minutes: float
    tags: str = ""
    stamp: str = ""

    @property
    def flags(self) -> list[str]:
        """For `go build`: the same program wherever it is built."""
        stamp = f"-s -w {self.stamp}".strip()
        return ["-mod=readonly", "-buildvcs=false", "-trimpath", f"-tags={self.tags}", f"-ldflags={stamp}"]

    def key(self, go_version: str, *, sources: Path = SOURCES) -> str:
        """The hash of everything that the program is made of."""
        digest = hashlib.sha256()
        for file in sorted((sources / self.module).iterdir()):
            digest.update(f"{file.name}\n".encode() + file.read_bytes())
        digest.update("\n".join([self.package, *self.flags, go_version]).encode())
        return digest.hexdigest()[:16]


_PROMETHEUS_TAGS = "netgo,remove_all_sd,enable_kubernetes_sd"
_K8S = f"Kubernetes {KUBERNETES_VERSION}"
RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("pause", "pause", ".", "the first process of a namespace", 0.1),
        Recipe("kube", "kube", ".", f"{_K8S} servers and etcd", 6, stamp=_KUBERNETES_STAMP),
        Recipe("kubectl", "kube", "k8s.io/kubernetes/cmd/kubectl", f"{_K8S} kubectl", 1, stamp=_KUBERNETES_STAMP),
        Recipe("coredns", "coredns", "github.com/coredns/coredns", "CoreDNS 1.14.7", 2),
        Recipe(
            "prometheus",
            "prometheus",
            "github.com/prometheus/prometheus/cmd/prometheus",
            "Prometheus 0.316.0 with Kubernetes discovery",
            2.5,
            tags=_PROMETHEUS_TAGS,
        ),
        Recipe("helm3", "helm3", "helm.sh/helm/v3/cmd/helm", "Helm 3.22.0", 1.5),
        Recipe("helm4", "helm4", "helm.sh/helm/v4/cmd/helm", "Helm 4.3.1", 2),
    )
}


@dataclass(frozen=True, slots=True)
class Programs:
    """The cache of built programs."""

    cache: Path
    sources: Path = SOURCES

    def have(self, name: str) -> Path | None:
        """The program, if it is built already."""
        path = self._path(RECIPES[name])
        if path.exists():
            return path
        return None

    def need(self, names: Sequence[str], *, tell: Tell) -> dict[str, Path]:
        """The programs of these names, built in this order where they are missing; one builder at a time."""
        if any(self.have(name) is None for name in names):
            with exclusive(self.cache / "programs.lock", tell=tell):  # two would write over each other's sources
                self._build_missing(names, tell=tell)
        return {name: self._path(RECIPES[name]) for name in names}

    def _build_missing(self, names: Sequence[str], *, tell: Tell) -> None:
        missing = [RECIPES[name] for name in names if self.have(name) is None]
        if missing:  # else the one that we waited for has built them
            minutes = sum(recipe.minutes for recipe in missing)
            listed = ", ".join(recipe.what for recipe in missing)
            tell(f"building {listed}: about {minutes:.0f} minutes on two cores, once")
        for recipe in missing:
            self._build(recipe, tell=tell)
        self._discard_work()

    def _path(self, recipe: Recipe) -> Path:
        return self.cache / "programs" / recipe.key(go_version(), sources=self.sources) / recipe.name

    @property
    def _work(self) -> Path:
        return self.cache / "go"

    def _build(self, recipe: Recipe, *, tell: Tell) -> None:
        target = self._path(recipe)
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_suffix(".unfinished")
        began = time.monotonic()
        command = ["go", "build", "-v", *recipe.flags, "-o", str(unfinished), recipe.package]
        log = self.cache / "programs" / f"{recipe.name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, cwd=self.sources / recipe.module, env=self._environment(), stderr=output
            )
            code = _follow(process, recipe=recipe, log=log, tell=tell)
        if code != 0:
            raise TestbedError(f"building {recipe.what} failed: {_tail(log)}")
        unfinished.rename(target)
        log.unlink()
        tell(f"built {recipe.what} in {time.monotonic() - began:.0f} s, {target.stat().st_size // 1_000_000} MB")

    def _environment(self) -> dict[str, str]:
        work = {"GOMODCACHE": str(self._work / "mod"), "GOCACHE": str(self._work / "build")}
        # -modcacherw: Go's module folders are read-only otherwise, and could not be removed.
        return {**os.environ, **work, "CGO_ENABLED": "0", "GOFLAGS": "-modcacherw", "GOTOOLCHAIN": "local"}

    def _discard_work(self) -> None:
        if not os.environ.get("TESTBED_KEEP_GO"):
            shutil.rmtree(self._work, ignore_errors=True)


@functools.cache
def go_version() -> str:
    """What `go version` says. Raises Unavailable without Go."""
    if shutil.which("go") is None:
        raise Unavailable(
            "the cluster's programs are built with Go, and there is no `go` here; install Go 1.25 or newer"
        )
    return run(["go", "version"], env={**os.environ, "GOTOOLCHAIN": "local"}).strip()


def _follow(process: subprocess.Popen[bytes], *, recipe: Recipe, log: Path, tell: Tell) -> int:
    """Wait for a build, telling how far it is; the exit code. A build never outlives the one who waits for it."""
    began = time.monotonic()
    try:
        while True:
            try:
                return process.wait(timeout=_TELL_EVERY)
            except subprocess.TimeoutExpired:
                elapsed = time.monotonic() - began
                tell(f"  {recipe.name}: {elapsed:.0f} s of about {recipe.minutes * 60:.0f} s, {progress(log)}")
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def progress(log: Path) -> str:
    """`go build -v` writes a line for each package it compiles and for each module it downloads."""
    lines = log.read_text(errors="replace").splitlines()
    downloaded = sum(line.startswith("go: downloading") for line in lines)
    compiled = len(lines) - downloaded
    if compiled == 0:
        return f"{downloaded} modules downloaded"
    return f"{compiled} packages compiled, now {lines[-1]}"


def _tail(log: Path) -> str:
    return " / ".join(log.read_text(errors="replace").strip().splitlines()[-3:])
