"""Credential plugins, run as real processes."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from tests.kubernetes_transport.kit import RecordingClock
from tests.kubernetes_transport.server import ScriptedServer, refuse, reply
from tests.kubernetes_transport.test_kubeconfig import CANARY, config, written

from bluegreen.clock import SystemClock
from bluegreen.domain.errors import DeadlineExceeded, Interrupted, PlatformError, UsageError
from bluegreen.domain.stack import Instant
from bluegreen.platforms.kubernetes.kubeconfig import load_cluster
from bluegreen.platforms.kubernetes.transport import Api
from bluegreen.platforms.kubernetes.wire import Deadline

if TYPE_CHECKING:
    from bluegreen.platforms.kubernetes.cluster import Cluster, Identity

V1 = "client.authentication.k8s.io/v1"
V1BETA1 = "client.authentication.k8s.io/v1beta1"
PROGRAM = Path(__file__).with_name("plugin.py")


class Plugin:
    """The plugin in a kubeconfig that came as content, and the notes of its calls."""

    def __init__(self, folder: Path) -> None:
        self.notes = folder / "notes"

    def user(
        self, *, version: str = V1, exec_fields: dict[str, object] | None = None, **environ: str
    ) -> dict[str, object]:
        variables = {"PLUGIN_NOTES": str(self.notes), "PLUGIN_VERSION": version, **environ}
        return {
            "exec": {
                "apiVersion": version,
                "command": sys.executable,
                "args": [str(PROGRAM), "--cluster", "one"],
                "env": [{"name": name, "value": value} for name, value in variables.items()],
                "interactiveMode": "Never",
                **(exec_fields or {}),
            }
        }

    def calls(self) -> list[dict[str, object]]:
        return [json.loads(text) for text in self.notes.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def plugin(tmp_path: Path) -> Plugin:
    return Plugin(tmp_path)


def loaded(
    user: dict[str, object], *, server: str = "https://api.test", cluster: dict[str, object] | None = None
) -> Cluster:
    content = yaml.safe_dump(config(server=server, user=user, cluster=cluster))
    return load_cluster({"KUBECONFIG": content, "PATH": "/usr/bin", "KEPT": "yes"})


def identity(cluster: Cluster, *, clock: RecordingClock | None = None, until: float = 1e6) -> Identity:
    clock = clock or RecordingClock()
    return cluster.credentials.identity(Deadline(clock, Instant(until), what="the plugin"))


@pytest.mark.parametrize("version", [V1, V1BETA1])
def test_both_versions_and_what_the_plugin_is_told(version: str, plugin: Plugin) -> None:
    extension = {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "x"}}
    ca = base64.b64encode(b"PEM").decode()
    cluster = loaded(
        plugin.user(version=version, exec_fields={"provideClusterInfo": True}),
        cluster={"tls-server-name": "k.test", "certificate-authority-data": ca, "extensions": [extension]},
    )
    assert identity(cluster).authorization == "Bearer token-1"
    (call,) = plugin.calls()
    assert call["arguments"] == ["--cluster", "one"]
    environ = call["environment"]
    assert isinstance(environ, dict)
    assert environ["KEPT"] == "yes"
    assert "KUBECONFIG" not in environ
    assert json.loads(environ["KUBERNETES_EXEC_INFO"]) == {
        "kind": "ExecCredential",
        "apiVersion": version,
        "spec": {
            "interactive": False,
            "cluster": {
                "server": "https://api.test",
                "tls-server-name": "k.test",
                "certificate-authority-data": ca,
                "config": {"audience": "x"},
            },
        },
    }


def test_a_plugin_that_did_not_ask_is_not_told_of_the_cluster(plugin: Plugin) -> None:
    identity(loaded(plugin.user()))
    environ = plugin.calls()[0]["environment"]
    assert isinstance(environ, dict)
    assert json.loads(environ["KUBERNETES_EXEC_INFO"])["spec"] == {"interactive": False}


def test_a_kubeconfig_by_path_goes_along_and_a_relative_command_starts_there(plugin: Plugin, tmp_path: Path) -> None:
    script = tmp_path / "run"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} {PROGRAM} "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    user = plugin.user(exec_fields={"command": "./run", "args": None})
    path = written(tmp_path / "config", config(user=user))
    assert identity(load_cluster({"KUBECONFIG": str(path)})).authorization == "Bearer token-1"
    environ = plugin.calls()[0]["environment"]
    assert isinstance(environ, dict)
    assert environ["KUBECONFIG"] == str(path)


def test_it_runs_again_when_its_credentials_end_and_not_before(plugin: Plugin) -> None:
    clock = RecordingClock()
    ends = "2025-06-15T15:16:40.123456789Z"  # 600 virtual seconds from the clock's start
    cluster = loaded(plugin.user(PLUGIN_STATUS=json.dumps({"expirationTimestamp": ends})))
    assert identity(cluster, clock=clock).authorization == "Bearer token-1"
    clock.skip(590)
    assert identity(cluster, clock=clock).authorization == "Bearer token-1"
    clock.skip(9)
    assert identity(cluster, clock=clock).authorization == "Bearer token-2"


def test_it_runs_again_when_its_credentials_are_refused(plugin: Plugin) -> None:
    with ScriptedServer(refuse(401, "Unauthorized"), reply({"metadata": {}})) as server:
        cluster = loaded(plugin.user(), server=f"http://127.0.0.1:{server.port}")
        with Api(cluster, clock=RecordingClock()) as api:
            api.get("/api/v1/pods", until=Instant(30.0))
    assert [heard.header("authorization") for heard in server.heard] == ["Bearer token-1", "Bearer token-2"]


def test_it_may_give_a_client_certificate(plugin: Plugin) -> None:
    status = {"token": None, "clientCertificateData": "PEM", "clientKeyData": "KEY"}
    found = identity(loaded(plugin.user(PLUGIN_STATUS=json.dumps(status))))
    assert found.authorization == ""
    assert found.certificate is not None
    assert (found.certificate.chain, found.certificate.key) == ("PEM", "KEY")


def test_its_words_go_to_the_person_and_its_answer_to_nobody(plugin: Plugin, capfd: pytest.CaptureFixture[str]) -> None:
    identity(loaded(plugin.user()))
    out, err = capfd.readouterr()
    assert (out, err) == ("", "told to a person\n")


FAULTS: dict[str, tuple[dict[str, str], str]] = {
    "exit code": ({"PLUGIN_EXIT": "3"}, "ended with exit code 3"),
    "no JSON": ({"PLUGIN_SAYS": CANARY}, "did not answer with JSON"),
    "another version": ({"PLUGIN_VERSION": V1BETA1}, f"an ExecCredential of {V1}"),
    "a list": ({"PLUGIN_SAYS": f'["{CANARY}"]'}, "something else than an object at the top"),
    "half a pair": ({"PLUGIN_STATUS": '{"clientKeyData": "k"}'}, "a key without a certificate"),
    "nothing": ({"PLUGIN_STATUS": '{"token": null}'}, "neither a token nor a client certificate"),
    "no time": ({"PLUGIN_STATUS": '{"expirationTimestamp": "soon"}'}, "that is no time"),
    "no zone": ({"PLUGIN_STATUS": '{"expirationTimestamp": "2025-01-01T00:00:00"}'}, "without a time zone"),
}


@pytest.mark.parametrize(("environ", "said"), list(FAULTS.values()), ids=list(FAULTS))
def test_what_a_plugin_can_do_wrong(environ: dict[str, str], said: str, plugin: Plugin) -> None:
    user = plugin.user(exec_fields=None, **environ)
    with pytest.raises(PlatformError, match=said) as raised:
        identity(loaded(user))
    assert raised.value.mend
    assert CANARY not in str(raised.value) + repr(raised.value.__cause__)
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


def test_a_plugin_that_is_not_installed_is_told_with_its_own_hint(plugin: Plugin) -> None:
    fields: dict[str, object] = {"command": "bluegreen-no-such-plugin", "installHint": "get it there"}
    with pytest.raises(UsageError, match=r"bluegreen-no-such-plugin .*No such file") as raised:
        identity(loaded(plugin.user(exec_fields=fields)))
    assert raised.value.mend == "get it there"


def test_a_plugin_that_has_to_ask_a_person_needs_one(plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/null").open(encoding="utf-8") as nobody:
        monkeypatch.setattr("sys.stdin", nobody)
        with pytest.raises(UsageError, match="asks a person"):
            identity(loaded(plugin.user(exec_fields={"interactiveMode": "Always"})))


def test_a_plugin_that_hangs_is_ended_at_the_limit(plugin: Plugin) -> None:
    clock = SystemClock()
    cluster = loaded(plugin.user(PLUGIN_HANGS="1"))
    with pytest.raises(DeadlineExceeded):
        cluster.credentials.identity(Deadline(clock, Instant(clock.now() + 0.2), what="the plugin"))


def test_an_interrupt_ends_a_plugin_that_hangs(plugin: Plugin) -> None:
    clock = RecordingClock()
    clock.interrupt()
    with pytest.raises(Interrupted):
        identity(loaded(plugin.user(PLUGIN_HANGS="1")), clock=clock)
