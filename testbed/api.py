"""The few questions that starting a cluster has to ask its API server, and nothing else.

Tests use kubectl or a client of their own; this one exists because each kubectl process costs a start 50 ms.
"""

import http.client
import json
import ssl
from dataclasses import dataclass
from pathlib import Path

from testbed.pki import read_token
from testbed.places import API_ADDRESS, API_PORT
from testbed.spaces import Space, connect


@dataclass(frozen=True, slots=True)
class NodeState:
    """A node as the API server knows it."""

    name: str
    ready: bool


@dataclass(frozen=True, slots=True)
class Api:
    """The API server as its administrator, asked from inside the space. A call that gets no answer raises OSError."""

    space: Space
    authority: Path
    kubeconfig: Path

    def ready(self) -> bool:
        """Whether the API server says that it can serve."""
        try:
            return self._get("/readyz")[0] == http.client.OK
        except (OSError, http.client.HTTPException):
            return False

    def ready_nodes(self) -> set[str]:
        """The names of the nodes that are Ready; none while the API server does not say."""
        try:
            return {node.name for node in self.nodes() if node.ready}
        except (OSError, http.client.HTTPException):
            return set()

    def nodes(self) -> list[NodeState]:
        """The nodes that have registered."""
        items = json.loads(self._get("/api/v1/nodes")[1])["items"]
        return [NodeState(name=item["metadata"]["name"], ready=_is_ready(item["status"])) for item in items]

    def _get(self, path: str) -> tuple[int, bytes]:
        plain = connect(self.space, API_ADDRESS, API_PORT, limit=2)
        context = ssl.create_default_context(cafile=str(self.authority))
        connection = http.client.HTTPSConnection(API_ADDRESS, API_PORT)
        with plain:
            plain.settimeout(5)
            connection.sock = context.wrap_socket(plain, server_hostname=API_ADDRESS)
            try:
                connection.request("GET", path, headers={"Authorization": f"Bearer {read_token(self.kubeconfig)}"})
                answer = connection.getresponse()
                return answer.status, answer.read()
            finally:
                connection.close()


def _is_ready(status: dict[str, list[dict[str, str]]]) -> bool:
    return any(one["type"] == "Ready" and one["status"] == "True" for one in status.get("conditions", []))
