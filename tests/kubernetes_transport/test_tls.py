"""Real TLS, client certificates that never touch a disk, and the way through a proxy."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.kubernetes_transport.kit import PACE, RecordingClock, cluster_at, secure_cluster
from tests.kubernetes_transport.server import ScriptedServer, page, reply, thing

from bluegreen.clock import SystemClock
from bluegreen.domain.errors import DeadlineExceeded, UsageError
from bluegreen.domain.stack import Instant
from bluegreen.platforms.kubernetes.cluster import Certificate, Cluster, Identity, Proxy, Trust
from bluegreen.platforms.kubernetes.errors import NotKubernetes, Unreachable
from bluegreen.platforms.kubernetes.tls import context_of, secret_file, through_pipe
from bluegreen.platforms.kubernetes.transport import Api

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kubernetes_transport.conftest import Papers
    from tests.kubernetes_transport.server import Step

LIMIT = Instant(30.0)
GOOD = reply(thing("a", 1))
PATH = "/api/v1/namespaces/alfred/pods/a"


@contextmanager
def securely(papers: Papers, clock: RecordingClock, *steps: Step) -> Iterator[tuple[ScriptedServer, Api]]:
    """A server of the cluster's authority, and an Api that trusts it."""
    with (
        ScriptedServer(*steps, tls=papers.server) as server,
        Api(secure_cluster(server.port, authorities=papers.authority), clock=clock, pace=PACE) as api,
    ):
        yield server, api


def certificate(pair: tuple[Path, Path]) -> Certificate:
    chain, key = pair
    return Certificate(chain=chain.read_text(encoding="utf-8"), key=key.read_text(encoding="utf-8"))


def test_the_clusters_own_authority_is_trusted_and_the_connection_kept(papers: Papers, clock: RecordingClock) -> None:
    with securely(papers, clock, GOOD, GOOD) as (server, api):
        assert api.get(PATH, until=LIMIT) == thing("a", 1)
        api.get(PATH, until=LIMIT)
    assert server.heard[0].header("host") == f"127.0.0.1:{server.port}"


def test_a_large_answer_comes_whole_over_tls(papers: Papers, clock: RecordingClock) -> None:
    """TLS keeps bytes of its own that no wait on the socket sees."""
    body = thing("a", 1, data="x" * 3_000_000)
    with securely(papers, clock, reply(body)) as (_server, api):
        assert api.get(PATH, until=LIMIT) == body


@pytest.mark.parametrize("fault", ["authority", "name", "system"])
def test_who_is_not_trusted_is_told_at_once(fault: str, papers: Papers, clock: RecordingClock) -> None:
    served = papers.server_of_stranger if fault == "authority" else papers.server
    authorities = "" if fault == "system" else papers.authority
    with ScriptedServer(GOOD, tls=served) as server:
        cluster = secure_cluster(server.port, authorities=authorities, name="other.test" if fault == "name" else "")
        with Api(cluster, clock=clock) as api, pytest.raises(NotKubernetes, match="is not trusted") as raised:
            api.get(PATH, until=LIMIT)
    assert "certificate-authority-data" in raised.value.mend
    assert server.heard == []
    assert clock.waits == []


def test_tls_server_name_is_what_the_certificate_must_carry(papers: Papers, clock: RecordingClock) -> None:
    with ScriptedServer(GOOD, tls=papers.server) as server:
        cluster = secure_cluster(server.port, authorities=papers.authority, name="kubernetes.test")
        with Api(cluster, clock=clock) as api:
            api.get(PATH, until=LIMIT)
    assert len(server.heard) == 1


def test_blind_trust_trusts_a_stranger(papers: Papers, clock: RecordingClock) -> None:
    with ScriptedServer(GOOD, tls=papers.server_of_stranger) as server:
        cluster = replace(secure_cluster(server.port, authorities=""), trust=Trust(blind=True))
        with Api(cluster, clock=clock) as api:
            api.get(PATH, until=LIMIT)
    assert len(server.heard) == 1


def test_an_authority_that_strict_python_refuses_is_taken(papers: Papers) -> None:
    """Since Python 3.13 the strict flag is on by default. The control: with it this authority is refused."""
    context = context_of(Trust(authorities=papers.authority), None)
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT
    strict = ssl.create_default_context(cadata=papers.authority)
    strict.verify_flags |= ssl.VERIFY_X509_STRICT
    with ScriptedServer(tls=papers.server) as server:
        for client, trusts in ((context, True), (strict, False)):
            with socket.create_connection(("127.0.0.1", server.port), timeout=20) as plain:
                assert shakes_hands(client, plain) is trusts


def shakes_hands(client: ssl.SSLContext, plain: socket.socket) -> bool:
    try:
        with client.wrap_socket(plain, server_hostname="127.0.0.1"):
            return True
    except ssl.SSLCertVerificationError:
        return False


def test_a_client_certificate_is_shown_and_no_file_is_left(
    papers: Papers, clock: RecordingClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with ScriptedServer(GOOD, tls=papers.server) as server:
        identity = Identity(certificate=certificate(papers.client))
        with Api(secure_cluster(server.port, authorities=papers.authority, identity=identity), clock=clock) as api:
            api.get(PATH, until=LIMIT)
    assert server.heard[0].certificate == "ann"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [10, 1_000_000])
def test_where_there_are_no_files_in_memory_a_pipe_reads_the_same(size: int) -> None:
    text = "x" * size
    with through_pipe(text) as descriptor, Path(f"/dev/fd/{descriptor}").open(encoding="utf-8") as file:
        assert file.read() == text
    with secret_file(text) as path, Path(path).open(encoding="utf-8") as file:
        assert file.read() == text


def test_a_pipe_that_nobody_reads_holds_nobody_up() -> None:
    with through_pipe("x" * 1_000_000):
        pass


def test_a_client_certificate_loads_through_a_pipe(papers: Papers) -> None:
    shown = certificate(papers.client)
    context = ssl.create_default_context()
    with through_pipe(shown.chain) as chain, through_pipe(shown.key) as key:
        context.load_cert_chain(f"/dev/fd/{chain}", f"/dev/fd/{key}")


def test_a_key_of_another_certificate_is_refused_without_being_shown(papers: Papers) -> None:
    shown = certificate(papers.client)
    for chain, key in ((papers.authority, shown.key), (shown.chain, "canary"), ("canary", shown.key)):
        with pytest.raises(UsageError, match="cannot be used together") as raised:
            context_of(Trust(), Certificate(chain=chain, key=key))
        assert "canary" not in str(raised.value)
        assert raised.value.__suppress_context__


def test_what_stands_beside_the_certificates_may_be_in_any_language(papers: Papers) -> None:
    """As in the bundle of Mozilla's authorities, which names them in their own."""
    bundle = f"# NetLock Arany (Class Gold) Főtanúsítvány\n{papers.authority}"
    assert context_of(Trust(authorities=bundle), None).cert_store_stats()["x509_ca"] == 1


def test_an_authority_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="not a certificate in PEM"):
        context_of(Trust(authorities="Főtanúsítvány"), None)
    with pytest.raises(UsageError, match="not a certificate in PEM"):
        context_of(Trust(authorities="canary"), None)


def test_a_new_certificate_means_a_new_connection(papers: Papers, clock: RecordingClock) -> None:
    class Changing:
        """Source: nobody at first, then Ann."""

        def __init__(self) -> None:
            self.identities = [Identity(expires=0.0), Identity(certificate=certificate(papers.client))]

        def fetch(self, deadline: object, /) -> Identity:
            return self.identities.pop(0)

    from bluegreen.platforms.kubernetes.credentials import Credentials

    with ScriptedServer(GOOD, GOOD, GOOD, tls=papers.server) as server:
        cluster = replace(
            secure_cluster(server.port, authorities=papers.authority), credentials=Credentials(Changing())
        )
        with Api(cluster, clock=clock) as api:
            for _ in range(3):
                api.get(PATH, until=LIMIT)
    assert [(heard.certificate, heard.connection) for heard in server.heard] == [("", 0), ("ann", 1), ("ann", 1)]


def test_a_server_that_speaks_no_tls_is_told_at_once(papers: Papers, clock: RecordingClock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            with listener.accept()[0] as client:
                client.recv(65536)
                client.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        cluster = secure_cluster(listener.getsockname()[1], authorities=papers.authority)
        with Api(cluster, clock=clock) as api, pytest.raises(NotKubernetes, match="no TLS connection comes about"):
            api.get(PATH, until=LIMIT)
        thread.join(10)
    assert clock.waits == []


def test_a_handshake_that_hangs_ends_at_the_limit(papers: Papers) -> None:
    clock = SystemClock()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        cluster = secure_cluster(listener.getsockname()[1], authorities=papers.authority)
        with Api(cluster, clock=clock) as api, pytest.raises(DeadlineExceeded):
            api.get(PATH, until=Instant(clock.now() + 0.2))


# --- through a proxy --------------------------------------------------------------------------------------------


class Tunnel:
    """A proxy that takes CONNECT and joins the two sides."""

    def __init__(self, *, answer: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n") -> None:
        self.requests: list[str] = []
        self.answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._serve, daemon=True)]

    @contextmanager
    def open(self) -> Iterator[Tunnel]:
        self._threads[0].start()
        try:
            yield self
        finally:
            for sock in [self._listener, *self._sockets]:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
            for thread in self._threads:
                thread.join(10)
            for sock in [self._listener, *self._sockets]:
                sock.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(client)
            request = b""
            while b"\r\n\r\n" not in request:
                request += client.recv(65536)
            self.requests.append(request.decode())
            client.sendall(self.answer)
            if b" 200 " not in self.answer:
                client.close()
                continue
            host, _, port = request.split(b" ")[1].decode().rpartition(":")
            server = socket.create_connection((host, int(port)))
            self._sockets.append(server)
            for one, other in ((client, server), (server, client)):
                thread = threading.Thread(target=pump, args=(one, other), daemon=True)
                self._threads.append(thread)
                thread.start()


def pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def proxied(cluster: Cluster, port: int) -> Cluster:
    return replace(cluster, proxy=Proxy(host="127.0.0.1", port=port, authorization="Basic canary"))


def test_tls_goes_through_the_proxy_untouched(papers: Papers, clock: RecordingClock) -> None:
    with Tunnel().open() as proxy, ScriptedServer(GOOD, tls=papers.server) as server:
        cluster = proxied(secure_cluster(server.port, authorities=papers.authority), proxy.port)
        with Api(cluster, clock=clock) as api:
            assert api.get(PATH, until=LIMIT) == thing("a", 1)
    place = f"127.0.0.1:{server.port}"
    assert proxy.requests == [f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\nProxy-Authorization: Basic canary\r\n\r\n"]
    assert server.heard[0].header("proxy-authorization") == ""


def test_a_proxy_that_wants_a_password_says_so(clock: RecordingClock) -> None:
    with Tunnel(answer=b"HTTP/1.1 407 X\r\nContent-Length: 0\r\n\r\n").open() as proxy:
        cluster = proxied(cluster_at(1), proxy.port)
        with Api(cluster, clock=clock) as api, pytest.raises(UsageError, match="wants to know who asks") as raised:
            api.get(PATH, until=LIMIT)
    assert "canary" not in str(raised.value) + raised.value.mend


@pytest.mark.parametrize("answer", [b"HTTP/1.1 502 X\r\nContent-Length: 0\r\n\r\n", b"SSH-2.0\r\n"])
def test_a_proxy_in_trouble_is_tried_again(answer: bytes, clock: RecordingClock) -> None:
    with Tunnel(answer=answer).open() as proxy:
        cluster = proxied(cluster_at(1), proxy.port)
        with Api(cluster, clock=clock) as api, pytest.raises(Unreachable, match=r"the proxy at 127\.0\.0\.1"):
            api.merge_patch(PATH, {}, until=LIMIT)
    assert len(proxy.requests) > 3


def test_a_page_over_tls_is_no_kubernetes(papers: Papers, clock: RecordingClock) -> None:
    with (
        securely(papers, clock, page(200, "<html>")) as (_server, api),
        pytest.raises(NotKubernetes, match="not with an object of the Kubernetes API"),
    ):
        api.get(PATH, until=LIMIT)
