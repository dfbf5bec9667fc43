"""HTTP as the user of a package index has set it: proxy, certificates, passwords; with a limit on everything."""

from __future__ import annotations

import base64
import json
import netrc
import ssl
import time
from html.parser import HTMLParser
from http.client import HTTPException
from typing import TYPE_CHECKING, Any, Final
from urllib.error import HTTPError
from urllib.parse import unquote, urldefrag, urljoin, urlsplit, urlunsplit
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from urllib.parse import SplitResult

    from first_use.settings import Settings

TIMEOUT: Final = 10.0
LIMIT: Final = 120.0
"""Seconds for one file."""
TRIES: Final = 3
PAUSE: Final = 0.5
LARGEST: Final = 50_000_000
"""Bytes; the largest wheel of ours has one million."""
_CHUNK: Final = 1 << 16
_SERVER_FAULT: Final = 500
"""Below that an answer is an answer, and asking again brings the same."""

_JSON: Final = "application/vnd.pypi.simple.v1+json"
_ACCEPT: Final = f"{_JSON}, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"


class Refused(Exception):
    """It could not be had: where, without a password, and why."""


class Web:
    """Gets pages and files."""

    def __init__(self, settings: Settings) -> None:
        """As the user has set it."""
        self._settings = settings
        self._passwords = dict(_passwords(settings))

    def links(self, page: str) -> list[str]:
        """The addresses of all files on an index's page (PEP 503 and 691)."""
        kind, content, at = self._fetch(page)
        try:
            links = _json_links(content) if kind == _JSON else _html_links(content)
            return [urldefrag(urljoin(at, link)).url for link in links]
        except (ValueError, KeyError, TypeError) as error:
            raise Refused(f"{public(page)} did not answer as a package index does") from error

    def get(self, file: str) -> bytes:
        """A file's content."""
        return self._fetch(file)[1]

    def _fetch(self, address: str) -> tuple[str, bytes, str]:
        """Content type, content, and the address that it came from in the end."""
        for attempt in range(1, TRIES + 1):
            try:
                return self._try(public(address))
            except (OSError, HTTPException, ValueError) as error:  # the last: a host's name that cannot be one
                answered = isinstance(error, HTTPError) and error.code < _SERVER_FAULT
                if answered or isinstance(error, ValueError) or attempt == TRIES:
                    raise Refused(f"{public(address)}: {_why(error)}") from error
            time.sleep(PAUSE * attempt)
        raise AssertionError("the last try returns or raises")

    def _try(self, address: str) -> tuple[str, bytes, str]:
        request = Request(address, headers={"Accept": _ACCEPT})  # noqa: S310 - its user has named it
        password = self._passwords.get(urlsplit(address).netloc)
        if password is not None:  # unredirected: another host must not get it
            request.add_unredirected_header("Authorization", f"Basic {password}")
        opener = build_opener(*_proxy(self._settings), HTTPSHandler(context=self._context(address)))
        with opener.open(request, timeout=TIMEOUT) as answer:
            return answer.headers.get_content_type(), _all(answer), answer.url

    def _context(self, address: str) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self._settings.certificates or None)
        if self._settings.client_certificate:
            context.load_cert_chain(self._settings.client_certificate)
        place = urlsplit(address)
        if {place.hostname, place.netloc} & set(self._settings.trusted):
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context


def _proxy(settings: Settings) -> Iterator[ProxyHandler]:
    """Without one that was set, urllib reads https_proxy and no_proxy by itself."""
    if settings.proxy:
        yield ProxyHandler({"http": settings.proxy, "https": settings.proxy})


def _all(answer: Any) -> bytes:  # noqa: ANN401 - urllib's own type says less than it is
    """The whole body, within the limits: a server that sends a byte now and then must not hold us up."""
    until, content = time.monotonic() + LIMIT, bytearray()
    while chunk := answer.read(_CHUNK):
        content += chunk
        if time.monotonic() > until or len(content) > LARGEST:
            raise OSError("it did not end" if len(content) <= LARGEST else "it is too large")
    return bytes(content)


def _why(error: Exception) -> str:
    if isinstance(error, HTTPError):
        return f"{error.code} {error.reason}"
    reason = getattr(error, "reason", error)
    return str(getattr(reason, "strerror", None) or reason) or type(error).__name__


def public(address: str) -> str:
    """The address without a password."""
    place = urlsplit(address)
    return urlunsplit(place._replace(netloc=place.netloc.rpartition("@")[2]))


def _passwords(settings: Settings) -> Iterator[tuple[str, str]]:
    """Host and port to what it takes to be let in: of an address itself, else of the user's .netrc."""
    for address in (*settings.indexes, *settings.links):
        place = _place(address)
        host = place.netloc.rpartition("@")[2]
        user, password = unquote(place.username or ""), unquote(place.password or "")
        if not user:
            user, password = _from_netrc(place.hostname or "")
        if user:
            yield host, base64.b64encode(f"{user}:{password}".encode()).decode()


def _place(address: str) -> SplitResult:
    """Raises Refused, without the address, which may have a password in it that cannot be told from the rest."""
    try:
        return urlsplit(address)
    except ValueError as error:
        raise Refused(f"an address that was set for the package index is none: {error}") from error


def _from_netrc(host: str) -> tuple[str, str]:
    try:
        found = netrc.netrc().authenticators(host)
    except (OSError, netrc.NetrcParseError):
        return "", ""
    return (found[0], found[2] or "") if found else ("", "")


def _json_links(content: bytes) -> list[str]:
    return [str(file["url"]) for file in json.loads(content)["files"]]


def _html_links(content: bytes) -> list[str]:
    anchors = _Anchors()
    anchors.feed(content.decode("utf-8", "replace"))
    return anchors.links


class _Anchors(HTMLParser):
    """Collects the links of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a link's address."""
        link: Mapping[str, str | None] = dict(attrs)
        if tag == "a" and link.get("href"):
            self.links.append(str(link["href"]))
