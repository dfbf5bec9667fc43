"""An HTTP/1.1 answer, read from a stream: its head at once, its body as it comes.

The standard library's own reader brings along the parser of e-mails, which takes longer to import than a rollback has
for all its requests. This one is stricter where being lenient would hide something: a head or a body that is cut off,
two lengths, a header that is none. It decides nothing about connections or repeating.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import io
    from collections.abc import Sequence

_LONGEST_LINE: Final = 64 * 1024
_MOST_HEADERS: Final = 100
_INFORMATION: Final = range(100, 200)
_SWITCHED: Final = 101
_WITHOUT_BODY: Final = frozenset({204, 304})

Headers = tuple[tuple[str, str], ...]


class NotHttp(Exception):
    """It is cut off, or it is no HTTP. The text holds nothing of what came."""


class Answer:
    """One answer. Close it."""

    def __init__(self, stream: io.BufferedReader) -> None:
        """Read the head. Raises NotHttp, ConnectionResetError when nothing came, what the stream raises."""
        self._stream = stream
        version, self.status = _status(stream)
        self.headers: Headers = _headers(stream)
        while self.status in _INFORMATION and self.status != _SWITCHED:
            version, self.status = _status(stream)
            self.headers = _headers(stream)
        self._body = _body(self.status, self.headers)
        asked = self.header("connection").lower()
        stays = "close" not in asked if version == "HTTP/1.1" else "keep-alive" in asked
        self.will_close = not stays or isinstance(self._body, _UntilEnd)

    def header(self, name: str) -> str:
        """By its name in small letters; empty: it is not there."""
        return next((value for key, value in self.headers if key.lower() == name), "")

    @property
    def ended(self) -> bool:
        """Whether all of it was read."""
        return self._body.ended

    def read1(self, most: int) -> bytes:
        """What comes next of the body, as soon as it is there; nothing: it has ended. Raises NotHttp."""
        return self._body.read1(self._stream, most)

    def read(self, most: int) -> bytes:
        """The rest of the body, or as much of it. Raises NotHttp."""
        parts: list[bytes] = []
        while most and (part := self.read1(most)):
            parts.append(part)
            most -= len(part)
        return b"".join(parts)

    def close(self) -> None:
        """Let go of the stream, not of the connection."""
        self._stream.close()


# --- the head ---------------------------------------------------------------------------------------------------


def _line(stream: io.BufferedReader) -> bytes:
    line = stream.readline(_LONGEST_LINE + 1)
    if not line.endswith(b"\n"):
        raise NotHttp("a line is too long" if len(line) > _LONGEST_LINE else "it is cut off")
    return line.rstrip(b"\r\n")


def _status(stream: io.BufferedReader) -> tuple[str, int]:
    """The version and the status."""
    if not stream.peek(1):
        raise ConnectionResetError(errno.ECONNRESET, "the server closed the connection")
    version, _, rest = _line(stream).decode("latin-1").partition(" ")
    status = rest.strip()[:3]
    if not version.startswith("HTTP/1.") or not (len(status) == 3 and status.isascii() and status.isdigit()):
        raise NotHttp("it does not begin as HTTP does")
    return version, int(status)


def _headers(stream: io.BufferedReader) -> Headers:
    found: list[tuple[str, str]] = []
    while line := _line(stream):
        text = line.decode("latin-1")
        name, colon, value = text.partition(":")
        if text[0] in " \t" and found:  # an old way to go on in the next line
            found[-1] = found[-1][0], f"{found[-1][1]} {text.strip()}"
        elif not colon or not name or name != name.strip():
            raise NotHttp("a header is none")
        else:
            found.append((name, value.strip()))
        if len(found) > _MOST_HEADERS:
            raise NotHttp("it has too many headers")
    return tuple(found)


# --- the body ---------------------------------------------------------------------------------------------------


def _body(status: int, headers: Headers) -> _Chunked | _Sized | _UntilEnd:
    """How its end is known."""
    if status in _WITHOUT_BODY or status in _INFORMATION:
        return _Sized(0)
    if any("chunked" in value.lower() for name, value in headers if name.lower() == "transfer-encoding"):
        return _Chunked()
    lengths = {value for name, value in headers if name.lower() == "content-length"}
    if len(lengths) > 1 or not all(length.isascii() and length.isdigit() for length in lengths):
        raise NotHttp("its length is none")
    return _Sized(int(lengths.pop())) if lengths else _UntilEnd()


class _UntilEnd:
    """It lasts as long as the connection."""

    def __init__(self) -> None:
        self.ended = False

    def read1(self, stream: io.BufferedReader, most: int) -> bytes:
        part = b"" if self.ended else stream.read1(most)
        self.ended = not part
        return part


class _Sized:
    """It has so many bytes."""

    def __init__(self, left: int) -> None:
        self._left = left

    @property
    def ended(self) -> bool:
        return not self._left

    def read1(self, stream: io.BufferedReader, most: int) -> bytes:
        if not self._left:
            return b""
        part = _some(stream, min(most, self._left))
        self._left -= len(part)
        return part


class _Chunked:
    """It comes in chunks, each with its size before it, and the last one is empty."""

    def __init__(self) -> None:
        self._left = 0
        """Of the chunk that is being read."""
        self._within = False
        """Whether its end is still to come."""
        self.ended = False

    def read1(self, stream: io.BufferedReader, most: int) -> bytes:
        if not self._left and not self.ended:
            self._next(stream)
        if self.ended:
            return b""
        part = _some(stream, min(most, self._left))
        self._left -= len(part)
        return part

    def _next(self, stream: io.BufferedReader) -> None:
        if self._within:
            _expect_nothing(_line(stream))
            self._within = False
        self._left = _size(_line(stream))
        self._within = True
        if not self._left:
            _headers(stream)  # trailers, which nobody asked for
            self.ended = True


def _some(stream: io.BufferedReader, most: int) -> bytes:
    part = stream.read1(most)
    if not part:
        raise NotHttp("it is cut off")
    return part


def _expect_nothing(line: Sequence[int]) -> None:
    if line:
        raise NotHttp("a chunk is longer than it says")


def _size(line: bytes) -> int:
    digits = line.partition(b";")[0].strip()
    if not digits or not digits.isalnum() or len(digits) > 16:
        raise NotHttp("a chunk has no size")
    try:
        return int(digits, 16)
    except ValueError:
        raise NotHttp("a chunk has no size") from None
