"""A Prometheus server over real sockets that answers as it should not: each fault one named reason, never a hang."""

from __future__ import annotations

import contextlib
import http.server
import json
import math
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.kubernetes_transport.kit import Authority

from bluegreen.domain.errors import UsageError
from bluegreen.domain.stack import Prometheus
from bluegreen.metrics.counts import Unreadable
from bluegreen.metrics.prometheus_answer import rows
from bluegreen.metrics.prometheus_server import NoAnswer, Server

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

ONE = {"metric": {"pod": "web-1", "status": "200"}, "value": [1_750_000_000.5, "42"]}
SECRET = "hunter2-hunter2"


def body(*result: object, kind: str = "vector", **more: object) -> bytes:
    return json.dumps({"status": "success", "data": {"resultType": kind, "result": list(result)}, **more}).encode()


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers every question with the same thing."""

    server: Scripted

    def do_GET(self) -> None:
        """What the script says."""
        self.server.heard.append((self.path, dict(self.headers)))
        if self.server.hangs:
            self.server.let_go.wait(60)
            return
        self.send_response(self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()
        for piece in self.server.pieces:
            self.wfile.write(piece)
            if self.server.pause:
                self.wfile.flush()
                self.server.let_go.wait(self.server.pause)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


class Scripted(http.server.ThreadingHTTPServer):
    """One server with one answer."""

    daemon_threads = True

    def __init__(self, *pieces: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.pieces, self.status, self.headers = pieces, status, headers or {"content-type": "application/json"}
        self.hangs, self.pause = False, 0.0
        self.let_go = threading.Event()
        self.heard: list[tuple[str, dict[str, str]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that gave up is no news."""


@contextlib.contextmanager
def serving(server: Scripted) -> Iterator[Scripted]:
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.let_go.set()
        server.shutdown()
        thread.join()
        server.server_close()


def client(url: str, environment: Mapping[str, str] | None = None, **more: str) -> Server:
    return Server(Prometheus(url=url, **more), environment or {})  # type: ignore[arg-type]  # texts only


def test_a_query_is_asked_for_as_the_api_says() -> None:
    with serving(Scripted(body(ONE))) as server:
        (row,) = client(f"{server.url}/prom/").ask('x{pod=~"a|b"}', timeout=5.0)
    assert (row.labels, row.value) == ({"pod": "web-1", "status": "200"}, 42.0)
    path, headers = server.heard[0]
    assert urlsplit(path).path == "/prom/api/v1/query"
    assert parse_qs(urlsplit(path).query) == {"query": ['x{pod=~"a|b"}'], "nocache": ["1"]}
    assert "Authorization" not in headers


def test_a_matrix_keeps_every_samples_own_time() -> None:
    two = {"metric": {"pod": "web-1"}, "values": [[10.0, "1"], [25.0, "3"]]}
    with serving(Scripted(body(two, kind="matrix"))) as server:
        (row,) = client(server.url).ask("up[300s]", timeout=5.0)
    assert row.points == ((10.0, 1.0), (25.0, 3.0))
    assert row.value == 3.0


PAGE = b"<html><title>Sign in</title></html>"
BAD_QUERY = json.dumps({"status": "error", "errorType": "bad_data", "error": "parse error\x1b[31m"}).encode()
ROWS: list[tuple[str, bytes, int, str]] = [
    ("a page", PAGE, 200, "no answer of a Prometheus (text/html)"),
    ("a page with an error", PAGE, 502, "answers 502"),
    ("wrong path", b"404 page not found", 404, "there is no /api/v1/query below this address"),
    ("sign in", PAGE, 401, "it wants other credentials"),
    ("may not", PAGE, 403, "it wants other credentials"),
    ("leads elsewhere", b"", 302, "which leads elsewhere: name the address behind it"),
    ("bad query", BAD_QUERY, 400, r"refuses the query: 'bad_data' 'parse error\x1b[31m'"),
    ("status error and 200", BAD_QUERY, 200, "refuses the query"),
    ("loading", BAD_QUERY, 503, "refuses the query"),
    ("a partial answer", body(ONE, warnings=["store down"]), 200, "may not be whole: 'store down'"),
    ("a part", body(ONE)[:-1] + b', "isPartial": true}', 200, "a part of its stores is away (isPartial)"),
    ("a number", body(kind="scalar"), 200, "answers with a 'scalar', not with series"),
    ("twice the same", body(ONE, ONE), 200, "answers with one series twice"),
    ("cut JSON", body(ONE)[:-3], 200, "no answer of a Prometheus"),
    ("a list", b"[]", 200, "no answer of a Prometheus"),
    ("no data", b'{"status":"success"}', 200, "no answer of a Prometheus"),
    ("no value", body({"metric": {}}), 200, "no answer of a Prometheus"),
    ("no values", body({"metric": {}, "values": []}), 200, "no answer of a Prometheus"),
    ("labels of numbers", body({"metric": {"pod": 1}, "value": [1, "2"]}), 200, "no answer of a Prometheus"),
    ("a value that is none", body({"metric": {}, "value": [1, "many"]}), 200, "no answer of a Prometheus"),
    ("a time of 400 digits", body({"metric": {}, "value": [10**400, "2"]}), 200, "no answer of a Prometheus"),
    ("a time that is none", body({"metric": {}, "value": [math.nan, "2"]}), 200, "no answer of a Prometheus"),
    ("too deep", b"[" * 100_000, 200, "no answer of a Prometheus"),
    ("too large", b" " * (8 * 1024 * 1024 + 1), 200, "answers with more than 8 MiB"),
    ("nothing", b"", 200, "no answer of a Prometheus"),
]


@pytest.mark.parametrize(("page", "status", "why"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_an_answer_that_cannot_be_used_is_refused_with_its_reason(page: bytes, status: int, why: str) -> None:
    headers = {"content-type": "text/html; charset=utf-8", "location": "http://elsewhere.test/"}
    with serving(Scripted(page, status=status, headers=headers)) as server, pytest.raises(Unreadable) as caught:
        client(server.url).ask("up", timeout=10.0)
    assert why in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert len(server.heard) == 1, "a redirect was followed, or a question asked twice"


def test_an_answer_that_is_cut_off_is_none() -> None:
    short = Scripted(body(ONE), headers={"content-length": str(len(body(ONE)) + 9)})
    with serving(short) as server, pytest.raises(NoAnswer, match="cuts its answer off"):
        client(server.url).ask("up", timeout=5.0)


def test_nobody_listens() -> None:
    with serving(Scripted()) as closed:
        url = closed.url
    with pytest.raises(NoAnswer, match="cannot be reached: connection refused"):
        client(url).ask("up", timeout=5.0)


def test_a_name_that_does_not_exist() -> None:
    with pytest.raises(NoAnswer, match="cannot be reached"):
        client("http://prometheus.invalid:9090").ask("up", timeout=20.0)


@pytest.mark.parametrize("url", ["http://prometheus..test:9090", "http://127.0.0.1:1/\u00e9"])
def test_what_cannot_be_asked_at_all_is_told_and_not_waited_for(url: str) -> None:
    with pytest.raises(NoAnswer, match="cannot be reached: it is no address"):
        client(url).ask("up", timeout=5.0)


def test_something_that_is_no_http() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_say_hello, args=(listener,))
        thread.start()
        with pytest.raises(NoAnswer, match="cannot be reached"):
            client(f"http://127.0.0.1:{listener.getsockname()[1]}").ask("up", timeout=5.0)
        thread.join()


def _say_hello(listener: socket.socket) -> None:
    peer, _ = listener.accept()
    with peer:
        peer.recv(4096)
        peer.sendall(b"SSH-2.0-hello\r\n")


@pytest.mark.slow
@pytest.mark.parametrize("how", ["hangs", "drips"])
def test_one_that_hangs_costs_the_limit_and_no_more(how: str) -> None:
    server = Scripted(*[b" "] * 1000)
    server.hangs, server.pause = how == "hangs", 0.05
    with serving(server):
        started = time.monotonic()
        with pytest.raises(NoAnswer, match="does not answer"):
            client(server.url).ask("up", timeout=0.4)
        assert time.monotonic() - started < 20.0


def test_no_time_at_all_asks_nobody() -> None:
    with serving(Scripted(body(ONE))) as server, pytest.raises(NoAnswer, match=r"within 0\.0 s"):
        client(server.url).ask("up", timeout=-1.0)
    assert server.heard == []


def test_a_token_of_a_file_goes_before_the_environments(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{SECRET}\n")
    with serving(Scripted(body())) as server:
        client(server.url, {"BLUEGREEN_PROMETHEUS_TOKEN": "other"}, token_file=str(file)).ask("up", timeout=5.0)
        client(server.url, {"BLUEGREEN_PROMETHEUS_TOKEN": "other"}).ask("up", timeout=5.0)
        basic = {"BLUEGREEN_PROMETHEUS_USER": "ann", "BLUEGREEN_PROMETHEUS_PASSWORD": "pa:ss"}
        client(server.url, basic).ask("up", timeout=5.0)
    given = [headers["authorization"] for _, headers in server.heard]
    assert given == [f"Bearer {SECRET}", "Bearer other", "Basic YW5uOnBhOnNz"]


@pytest.mark.parametrize("status", [200, 302, 401, 500])
def test_a_secret_is_in_no_error(status: int) -> None:
    page = Scripted(f"you sent {SECRET}".encode(), status=status)
    with serving(page) as server:
        made = client(server.url, {"BLUEGREEN_PROMETHEUS_TOKEN": SECRET})
        with pytest.raises(Unreadable) as caught:
            made.ask("up", timeout=5.0)
    assert made.in_clear
    assert SECRET not in f"{caught.value!r}{caught.value.__cause__!r}"


@pytest.mark.parametrize(
    ("environment", "more", "why"),
    [
        ({"BLUEGREEN_PROMETHEUS_USER": "ann"}, {}, "go together"),
        ({"BLUEGREEN_PROMETHEUS_PASSWORD": SECRET}, {}, "go together"),
        (
            {
                "BLUEGREEN_PROMETHEUS_TOKEN": SECRET,
                "BLUEGREEN_PROMETHEUS_USER": "ann",
                "BLUEGREEN_PROMETHEUS_PASSWORD": SECRET,
            },
            {},
            "both a token and",
        ),
        ({"BLUEGREEN_PROMETHEUS_TOKEN": f"{SECRET}\nX-Other: 1"}, {}, "characters that no token has"),
        ({}, {"token_file": "/nowhere/token"}, "the token in /nowhere/token cannot be read"),
        ({}, {"token_file": "/dev/null"}, "/dev/null holds no token"),
        ({}, {"ca_file": "/nowhere/ca.pem"}, "/nowhere/ca.pem holds no certificates"),
    ],
)
def test_a_wrong_setting_is_told_before_anything_is_asked(
    environment: dict[str, str], more: dict[str, str], why: str
) -> None:
    with pytest.raises(UsageError, match="prometheus: ") as caught:
        client("https://prometheus.test", environment, **more)
    assert why in str(caught.value)
    assert SECRET not in f"{caught.value}{caught.value.mend}"


@pytest.mark.parametrize(
    "url",
    [
        f"https://ann:{SECRET}@prometheus.test",
        f"https://prometheus.test/?token={SECRET}",
        f"ann:{SECRET}@prometheus.test:9090",
        "prometheus:9090",
        "ftp://x",
        "http://:9090",
        "http:// /",
        "http://a b:9090",
        "http://a\nb",
    ],
)
def test_an_address_that_is_none_or_holds_a_secret_is_refused(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        Prometheus(url=url)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("url", ["http://[::1", "http://[v1]x", "https://[10.0.0.1]"])
def test_a_host_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match=r"prometheus: .* is no URL of a server"):
        client(url)


def test_a_port_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="no port"):
        client("http://prometheus.test:99999")


def test_tls_is_checked_and_a_certificate_of_ones_own_can_be_named(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "ours")
    ca_file = tmp_path / "authority.pem"
    ca_file.write_text(authority.pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("server", alternatives="IP:127.0.0.1"))
    secure = Scripted(body(ONE))
    secure.socket = context.wrap_socket(secure.socket, server_side=True)
    with serving(secure) as server:
        url = server.url.replace("http:", "https:")
        made = client(url, {"BLUEGREEN_PROMETHEUS_TOKEN": SECRET}, ca_file=str(ca_file))
        assert not made.in_clear
        assert len(made.ask("up", timeout=5.0)) == 1
        with pytest.raises(NoAnswer, match="its certificate is not trusted"):
            client(url).ask("up", timeout=5.0)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.fixed_dictionaries(
        {
            "status": st.just("success"),
            "data": JSON
            | st.fixed_dictionaries(
                {
                    "resultType": st.sampled_from(["vector", "matrix"]),
                    "result": JSON | st.lists(st.fixed_dictionaries({"metric": JSON, "value": JSON}), max_size=2),
                }
            ),
        },
        optional={"warnings": JSON, "isPartial": JSON, "error": JSON},
    )
)
def test_no_answer_whatsoever_is_a_crash(answer: object) -> None:
    with contextlib.suppress(Unreadable):
        rows(json.dumps(answer).encode())
