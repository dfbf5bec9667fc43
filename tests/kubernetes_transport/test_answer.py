"""Reading an answer, beside the standard library's reader: the same for what is HTTP, stricter with what is not."""

from __future__ import annotations

import http.client
import io
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluegreen.platforms.kubernetes.answer import Answer, NotHttp

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence


class Slices(io.RawIOBase):
    """Gives what it has in slices of these sizes, over and over."""

    def __init__(self, data: bytes, sizes: Sequence[int] = (1 << 20,)) -> None:
        self._data, self._sizes, self._turn = data, sizes, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        size = min(self._sizes[self._turn % len(self._sizes)], len(buffer), len(self._data))
        self._turn += 1
        buffer[:size], self._data = self._data[:size], self._data[size:]
        return size


class Sock:
    """What http.client reads from."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)


def ours(data: bytes, sizes: Sequence[int] = (1 << 20,)) -> Answer:
    return Answer(io.BufferedReader(Slices(data, sizes)))


def standard(data: bytes) -> http.client.HTTPResponse:
    found = http.client.HTTPResponse(cast("socket.socket", Sock(data)))
    found.begin()
    return found


def chunked(body: bytes, size: int) -> bytes:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    body = draw(st.binary(max_size=300))
    status = draw(st.sampled_from([200, 201, 404, 409, 500]))
    names = draw(st.lists(st.sampled_from(["Audit-Id", "Cache-Control", "X-Slot", "Retry-After"]), unique=True))
    headers = [(name, draw(st.sampled_from(["1", "a b", "", "blue, green", "x:y"]))) for name in names]
    headers += draw(st.sampled_from([[], [("Connection", "close")], [("Connection", "keep-alive")]]))
    framing = draw(st.sampled_from(["length", "chunks", "end"]))
    if framing == "length":
        headers.append(("Content-Length", str(len(body))))
    elif framing == "chunks":
        headers.append(("Transfer-Encoding", "chunked"))
        body = chunked(body, draw(st.integers(1, 50)))
    version = draw(st.sampled_from(["HTTP/1.1", "HTTP/1.0"]))
    before = draw(st.sampled_from(["", "HTTP/1.1 100 Continue\r\n\r\n"]))
    head = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"{before}{version} {status} Some Words\r\n{head}\r\n".encode("ascii") + body


@given(answers(), st.lists(st.integers(1, 40), min_size=1, max_size=5))
def test_what_is_http_is_read_as_the_standard_library_reads_it(data: bytes, sizes: list[int]) -> None:
    one, other = ours(data, sizes), standard(data)
    assert one.status == other.status
    assert list(one.headers) == other.getheaders()
    assert one.read(1 << 20) == other.read()
    assert one.ended
    assert one.will_close == other.will_close


@given(answers(), st.data())
def test_what_is_cut_off_is_never_taken_for_whole(data: bytes, draws: st.DataObject) -> None:
    whole = ours(data)
    body = whole.read(1 << 20)
    cut = data[: draws.draw(st.integers(0, max(0, len(data) - 1)))]
    try:
        short = ours(cut)
        found = short.read(1 << 20)
    except (NotHttp, ConnectionResetError):
        return
    assert found == body or b"Content-Length" not in data
    assert found == body or b"chunked" not in data, "only the connection's end says where such an answer ends"


def test_it_comes_as_soon_as_it_is_there() -> None:
    data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"one\ntwo\n", 4)
    one = ours(data)
    assert [one.read1(100), one.read1(100), one.read1(100), one.read1(100)] == [b"one\n", b"two\n", b"", b""]
    assert one.ended


def test_a_part_of_it_is_not_the_end() -> None:
    one = ours(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabcdef")
    assert one.read(4) == b"abcd"
    assert not one.ended
    assert one.read(4) == b"ef"
    assert one.ended


@pytest.mark.parametrize("status", [204, 304])
def test_some_have_no_body_whatever_they_say(status: int) -> None:
    one = ours(b"HTTP/1.1 %d X\r\nContent-Length: 5\r\n\r\n" % status)
    assert (one.read(10), one.ended, one.will_close) == (b"", True, False)


BAD = {
    "another protocol": b"SSH-2.0-OpenSSH\r\n\r\n",
    "a newer one": b"HTTP/2 200\r\n\r\n",
    "no status": b"HTTP/1.1 OK\r\n\r\n",
    "a header that is none": b"HTTP/1.1 200 OK\r\nhello\r\n\r\n",
    "a space before the colon": b"HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\na",
    "no length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "too many headers": b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n",
    "a long line": b"HTTP/1.1 200 OK\r\na: " + b"b" * 70_000 + b"\r\n\r\n",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "a chunk without a size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "a chunk that is too long": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
    "a size that is too long": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"0" * 30 + b"\r\n",
    "a signed size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+1\r\na\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("data", BAD.values(), ids=list(BAD))
def test_what_is_no_http_is_refused(data: bytes) -> None:
    with pytest.raises(NotHttp):
        ours(data).read(1 << 20)


def test_nothing_at_all_is_a_closed_connection() -> None:
    with pytest.raises(ConnectionResetError):
        ours(b"")


def test_a_header_may_go_on_in_the_next_line() -> None:
    one = ours(b"HTTP/1.1 200 OK\r\nWarning: one\r\n  two\r\nContent-Length: 0\r\n\r\n")
    assert one.header("warning") == "one two"
