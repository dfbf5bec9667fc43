"""What the tests of the transport share: virtual time that remembers its waits, clusters made by hand, certificates."""

from __future__ import annotations

import subprocess
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.kubernetes_transport.server import ScriptedServer

from bluegreen.domain.errors import Interrupted
from bluegreen.domain.stack import Instant
from bluegreen.platforms.kubernetes.cluster import Cluster, Identity, Server, Trust
from bluegreen.platforms.kubernetes.credentials import Credentials, Fixed
from bluegreen.platforms.kubernetes.pace import Pace
from bluegreen.platforms.kubernetes.transport import Api
from bluegreen.platforms.kubernetes.watch import Changed, Inbox, Recovered, Troubled
from bluegreen.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.kubernetes_transport.server import Step

    from bluegreen.platforms.kubernetes.cluster import Proxy
    from bluegreen.platforms.kubernetes.credentials import Source
    from bluegreen.platforms.kubernetes.watch import News
    from bluegreen.ports import Clock

PACE = Pace(chance=lambda: 0.0)
"""Without chance: pauses of 0.05, 0.1, 0.2, ... and what the server asks for, exactly."""


class RecordingClock(FakeClock):
    """Virtual time for more than one thread, with every wait on record; stoppable, as a reflector's clock is."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []
        self._lock = threading.RLock()
        self._stopped = threading.Event()

    def wait(self, *, until: Instant) -> None:
        self.raise_if_interrupted()
        with self._lock:
            self.waits.append(round(until - self.now(), 6))
            super().wait(until=until)

    def skip(self, seconds: float) -> None:
        """Let time go by without anybody waiting."""
        with self._lock:
            try:
                super().wait(until=Instant(self.now() + seconds))
            except Interrupted:
                if not self._stopped.is_set():  # else it is over for whoever waits, not for time
                    raise

    def raise_if_interrupted(self) -> None:
        if self._stopped.is_set():
            raise Interrupted(signal="SIGTERM")
        super().raise_if_interrupted()

    def stop(self) -> None:
        self._stopped.set()


def cluster_at(
    port: int, *, identity: Identity | None = None, source: Source | None = None, proxy: Proxy | None = None
) -> Cluster:
    """A plain HTTP cluster on this machine."""
    return Cluster(
        context="test",
        server=Server(host="127.0.0.1", port=port, tls=False),
        trust=Trust(),
        credentials=Credentials(source or Fixed(identity or Identity())),
        proxy=proxy,
    )


def secure_cluster(port: int, *, authorities: str, name: str = "", identity: Identity | None = None) -> Cluster:
    return Cluster(
        context="test",
        server=Server(host="127.0.0.1", port=port),
        trust=Trust(authorities=authorities, name=name),
        credentials=Credentials(Fixed(identity or Identity())),
    )


def api_at(port: int, *, clock: Clock) -> Api:
    return Api(cluster_at(port), clock=clock, pace=PACE)


@contextmanager
def serving(clock: Clock, *steps: Step, source: Source | None = None) -> Iterator[tuple[ScriptedServer, Api]]:
    """A server with a script, and an Api to it."""
    with (
        ScriptedServer(*steps) as server,
        Api(cluster_at(server.port, source=source), clock=clock, pace=PACE) as api,
    ):
        yield server, api


def told(inbox: Inbox, count: int, *, within: float = 20.0) -> list[News]:
    """The next news, by real time: that much of it may pass, and no more, before the test fails."""
    from bluegreen.clock import SystemClock

    clock = SystemClock()
    limit = Instant(clock.now() + within)
    return [inbox.take(until=limit, clock=clock) for _ in range(count)]


def names_in(news: News) -> list[str]:
    assert isinstance(news, Changed), news
    return sorted(news.view.objects.values())


def trouble_in(news: News) -> str:
    assert isinstance(news, Troubled), news
    return str(news.error)


def assert_recovered(news: News) -> None:
    assert isinstance(news, Recovered), news


def wait_until(condition: Callable[[], bool], *, what: str, within: float = 20.0) -> None:
    """Look again and again, for so long at most."""
    pause = threading.Event()
    for _ in range(int(within / 0.005)):
        if condition():
            return
        pause.wait(0.005)
    raise AssertionError(f"not within {within} s: {what}")


_PROPER = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\nsubjectKeyIdentifier=hash"


class Authority:
    """A certificate authority, made with the openssl program."""

    def __init__(self, folder: Path, name: str, *, proper: bool = False) -> None:
        """Without key usage and with basic constraints that are not critical, as those of some clouds and clusters.

        ``proper``: with all that strict verification wants.
        """
        self._folder = folder
        self._name = name
        self._proper = proper
        settings = folder / f"{name}.cnf"
        extensions = _PROPER if proper else "basicConstraints=CA:TRUE"
        settings.write_text(f"[req]\ndistinguished_name=dn\n[dn]\n[ca]\n{extensions}\n", encoding="utf-8")
        self._openssl(
            *("req", "-x509", "-config", str(settings), "-extensions", "ca", "-days", "30"),
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-keyout", self._path(name, "key"), "-out", self._path(name, "crt"), "-subj", f"/CN={name}"),
        )

    @property
    def pem(self) -> str:
        return (self._folder / f"{self._name}.crt").read_text(encoding="utf-8")

    def issue(self, name: str, *, alternatives: str = "") -> tuple[Path, Path]:
        """Certificate and key, PEM. ``alternatives``: ``DNS:localhost,IP:127.0.0.1``."""
        extensions = self._folder / f"{name}.ext"
        lines = [f"subjectAltName={alternatives}"] if alternatives else []
        lines += ["authorityKeyIdentifier=keyid", "subjectKeyIdentifier=hash"] if self._proper else []
        extensions.write_text("\n".join([*lines, ""]), encoding="utf-8")
        self._openssl(
            *("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-keyout", self._path(name, "key"), "-out", self._path(name, "csr"), "-subj", f"/CN={name}"),
        )
        self._openssl(
            *("x509", "-req", "-in", self._path(name, "csr"), "-days", "30", "-extfile", str(extensions)),
            *("-CA", self._path(self._name, "crt"), "-CAkey", self._path(self._name, "key"), "-CAcreateserial"),
            *("-out", self._path(name, "crt")),
        )
        return self._folder / f"{name}.crt", self._folder / f"{name}.key"

    def _path(self, name: str, kind: str) -> str:
        return str(self._folder / f"{name}.{kind}")

    def _openssl(self, *words: str) -> None:
        done = subprocess.run(["openssl", *words], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
