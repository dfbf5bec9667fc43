"""TLS as kubectl means it: whom to trust, which certificate to show. Keys that came as text never touch a disk."""

from __future__ import annotations

import contextlib
import os
import ssl
import threading
from typing import TYPE_CHECKING

from bluegreen.domain.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bluegreen.platforms.kubernetes.cluster import Certificate, Trust


def context_of(trust: Trust, certificate: Certificate | None) -> ssl.SSLContext:
    """Raises UsageError for authorities or a certificate that cannot be used; never quotes them."""
    context = _trusting(trust)
    # Certificate authorities of some clouds and of older clusters lack extensions that Python 3.13 began to insist on.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    # As Go does: whatever is listed is trusted, an intermediate too.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if certificate is not None:
        _show(context, certificate)
    return context


def _trusting(trust: Trust) -> ssl.SSLContext:
    # Beside the certificates bundles have names in any letters, which Python's reader does not take.
    plain = trust.authorities.encode("ascii", "replace").decode("ascii")
    try:
        context = ssl.create_default_context(cadata=plain or None)
    except (ssl.SSLError, ValueError):
        # From None: the fault could quote what it was given.
        raise UsageError(
            "the cluster's certificate authority in the kubeconfig is not a certificate in PEM",
            mend="compare certificate-authority or certificate-authority-data with a working kubeconfig",
        ) from None
    if trust.blind:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _show(context: ssl.SSLContext, certificate: Certificate) -> None:
    try:
        with secret_file(certificate.chain) as chain, secret_file(certificate.key) as key:
            context.load_cert_chain(chain, key, password=_no_password)
    except (ssl.SSLError, OSError, ValueError):
        raise UsageError(
            "the client certificate in the kubeconfig and its key cannot be used together",
            mend="both have to be PEM, the key without a passphrase and the certificate's own",
        ) from None


def _no_password() -> str:
    """Never ask a terminal for one."""
    return ""


@contextlib.contextmanager
def secret_file(text: str) -> Iterator[str]:
    """A path that reads as the text, once, and that no disk ever holds: ssl takes client certificates by path only."""
    with _in_memory(text) if hasattr(os, "memfd_create") else through_pipe(text) as descriptor:
        yield f"/dev/fd/{descriptor}"


@contextlib.contextmanager
def _in_memory(text: str) -> Iterator[int]:
    with os.fdopen(os.memfd_create("certificate"), "w+", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        file.seek(0)
        yield file.fileno()


@contextlib.contextmanager
def through_pipe(text: str) -> Iterator[int]:
    """Where there are no files in memory (macOS). A thread writes, for a pipe may be shorter than the text."""
    reading, writing = os.pipe()
    thread = threading.Thread(target=_pour, args=(text, writing), daemon=True)
    thread.start()
    try:
        yield reading
    finally:
        os.close(reading)
        thread.join()


def _pour(text: str, descriptor: int) -> None:
    with contextlib.suppress(BrokenPipeError), os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
