"""Putting images into the cluster's registry, over its HTTP interface.

Every image name a test uses, docker.io's too, is answered by this one registry, without its host part.
"""

import http.client
import json
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

from testbed.errors import TestbedError
from testbed.oci import MANIFEST_TYPE, Blob, Image
from testbed.places import API_ADDRESS, REGISTRY_PORT
from testbed.spaces import Space, connect

Body = bytes | Path | None


@dataclass(frozen=True, slots=True)
class Name:
    """An image's name as the registry has it."""

    repository: str
    tag: str


def parse_name(text: str) -> Name:
    """`docker.io/alfredai/backend:v2.1.0` or the same without the host. Raises TestbedError."""
    path, _, tag = text.rpartition(":")
    if not path or "/" in tag:
        raise TestbedError(f"image name {text!r}: no tag; write NAME:TAG")
    host, _, rest = path.partition("/")
    if rest and ("." in host or ":" in host or host == "localhost"):
        path = rest
    if "/" not in path:
        path = f"library/{path}"  # what docker.io/NAME means
    return Name(repository=path, tag=tag)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes


@dataclass(frozen=True, slots=True)
class Registry:
    """The registry of a running cluster, spoken to from inside the control plane's network."""

    space: Space

    def answers(self) -> bool:
        """Whether it takes calls."""
        try:
            return self._ask("GET", "/v2/").status == http.client.OK
        except OSError:
            return False

    def push(self, image: Image, name: Name) -> None:
        """Blobs first, those already there not again, then the manifest under its tag."""
        for blob in (*image.layers, image.config):
            self.push_blob(blob, name.repository)
        self.push_manifest(image.manifest.path.read_bytes(), name)

    def push_blob(self, blob: Blob, repository: str) -> None:
        """Upload a blob, unless the repository has it."""
        at = f"/v2/{repository}/blobs"
        if self._ask("HEAD", f"{at}/{blob.digest}").status == http.client.OK:
            return
        opened = self._expect(http.client.ACCEPTED, "POST", f"{at}/uploads/")
        where = urlsplit(opened.headers["Location"])
        target = f"{where.path}?{urlencode([*parse_qsl(where.query), ('digest', blob.digest)])}"
        self._expect(http.client.CREATED, "PUT", target, body=blob.path, kind="application/octet-stream")

    def push_manifest(self, manifest: bytes, name: Name) -> None:
        """Let the tag mean this manifest, whose blobs are there already."""
        target = f"/v2/{name.repository}/manifests/{name.tag}"
        self._expect(http.client.CREATED, "PUT", target, body=manifest, kind=MANIFEST_TYPE)

    def digest(self, name: Name) -> str | None:
        """The digest that the tag means now; None when there is no such tag."""
        answer = self._ask("HEAD", f"/v2/{name.repository}/manifests/{name.tag}", accept=MANIFEST_TYPE)
        if answer.status == http.client.NOT_FOUND:
            return None
        return answer.headers["Docker-Content-Digest"]

    def manifest(self, name: Name) -> bytes:
        """The manifest that the tag means, as it was pushed."""
        target = f"/v2/{name.repository}/manifests/{name.tag}"
        return self._expect(http.client.OK, "GET", target, accept=MANIFEST_TYPE).body

    def tags(self, repository: str) -> list[str]:
        """All tags of the repository; none when there is no such repository."""
        answer = self._ask("GET", f"/v2/{repository}/tags/list")
        if answer.status == http.client.NOT_FOUND:
            return []
        return list(json.loads(answer.body)["tags"] or [])

    def remove(self, name: Name) -> None:
        """Forget the manifest that the tag means, and with it every tag that means the same."""
        digest = self.digest(name)
        if digest is not None:
            self._expect(http.client.ACCEPTED, "DELETE", f"/v2/{name.repository}/manifests/{digest}")

    def _expect(
        self, status: int, method: str, target: str, *, body: Body = None, kind: str = "", accept: str = "*/*"
    ) -> _Answer:
        answer = self._ask(method, target, body=body, kind=kind, accept=accept)
        if answer.status != status:
            excerpt = answer.body[:200].decode(errors="replace")
            raise TestbedError(f"registry: {method} {target.partition('?')[0]}: {answer.status} {excerpt}")
        return answer

    def _ask(self, method: str, target: str, *, body: Body = None, kind: str = "", accept: str = "*/*") -> _Answer:
        connection = http.client.HTTPConnection(API_ADDRESS, REGISTRY_PORT)
        connection.sock = connect(self.space, API_ADDRESS, REGISTRY_PORT, limit=5)
        connection.sock.settimeout(60)
        headers = {"Accept": accept}
        if kind:
            headers["Content-Type"] = kind
        try:
            _send(connection, method, target, body=body, headers=headers)
            answer = connection.getresponse()
            return _Answer(status=answer.status, headers=answer.headers, body=answer.read())
        finally:
            connection.close()


def _send(
    connection: http.client.HTTPConnection,
    method: str,
    target: str,
    *,
    body: Body,
    headers: dict[str, str],
) -> None:
    if not isinstance(body, Path):
        connection.request(method, target, body=body or b"", headers=headers)
        return
    with body.open("rb") as stream:
        connection.request(method, target, body=stream, headers={**headers, "Content-Length": str(body.stat().st_size)})
