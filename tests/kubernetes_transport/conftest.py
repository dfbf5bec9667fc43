"""Fixtures of the transport's tests."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from tests.kubernetes_transport.kit import Authority, RecordingClock

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Papers:
    """Certificates: a cluster's authority, its server and one of its clients; a stranger's authority and server."""

    authority: str
    stranger: str
    server: ssl.SSLContext
    server_of_stranger: ssl.SSLContext
    client: tuple[Path, Path]


@pytest.fixture(scope="session")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    authority = Authority(tmp_path_factory.mktemp("ca"), "cluster")
    stranger = Authority(tmp_path_factory.mktemp("stranger"), "stranger")
    return papers_of(authority, stranger)


def papers_of(authority: Authority, stranger: Authority) -> Papers:
    names = "DNS:kubernetes.test,IP:127.0.0.1"
    return Papers(
        authority=authority.pem,
        stranger=stranger.pem,
        server=served(authority.issue("server", alternatives=names), clients=authority.pem),
        server_of_stranger=served(stranger.issue("server", alternatives=names), clients=stranger.pem),
        client=authority.issue("ann"),
    )


def served(pair: tuple[Path, Path], *, clients: str) -> ssl.SSLContext:
    """A server's side; clients may show a certificate, and need not."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    context.load_verify_locations(cadata=clients)
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


@pytest.fixture(scope="session")
def proper_papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    """As ``papers``, but such as strict verification takes, which the official client insists on with Python 3.13."""
    authority = Authority(tmp_path_factory.mktemp("proper-ca"), "cluster", proper=True)
    stranger = Authority(tmp_path_factory.mktemp("proper-stranger"), "stranger", proper=True)
    return papers_of(authority, stranger)


@pytest.fixture
def clock() -> RecordingClock:
    return RecordingClock()
