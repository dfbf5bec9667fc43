"""KUBECONFIG in every form: paths, several paths, content, base64; what is refused, and what is never quoted."""

from __future__ import annotations

import base64
import json
import os
from typing import TYPE_CHECKING

import pytest
import yaml
from tests.kubernetes_transport.kit import RecordingClock

from bluegreen.domain.errors import ExitCode, UsageError
from bluegreen.domain.stack import Instant
from bluegreen.platforms.kubernetes.cluster import Identity, Proxy, Server, Trust
from bluegreen.platforms.kubernetes.kubeconfig import child_environment, content_of, load_cluster
from bluegreen.platforms.kubernetes.proxies import proxy_of
from bluegreen.platforms.kubernetes.wire import Deadline

if TYPE_CHECKING:
    from pathlib import Path

    from bluegreen.platforms.kubernetes.cluster import Cluster

Tree = dict[str, object]
CANARY = "canary-4f1d"


def config(
    *,
    name: str = "one",
    server: str = "https://api.test:6443",
    user: Tree | None = None,
    cluster: Tree | None = None,
    current: str | None = None,
    namespace: str = "alfred",
) -> Tree:
    """A kubeconfig of one context, cluster and user of the same name."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "preferences": {},
        "current-context": name if current is None else current,
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": namespace}}],
        "clusters": [{"name": name, "cluster": {"server": server, **(cluster or {})}}],
        "users": [{"name": name, "user": user if user is not None else {"token": f"token-of-{name}"}}],
    }


def written(path: Path, tree: Tree) -> Path:
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")
    return path


def loaded(value: str, *, context: str = "", **environ: str) -> Cluster:
    return load_cluster({"KUBECONFIG": value, **environ}, context=context)


def identity_of(cluster: Cluster) -> Identity:
    clock = RecordingClock()
    return cluster.credentials.identity(Deadline(clock, Instant(30.0), what="the test"))


# --- forms ------------------------------------------------------------------------------------------------------

FORMS = {
    "yaml": yaml.safe_dump,
    "json": json.dumps,
    "json with lines": lambda tree: json.dumps(tree, indent=1),
    "yaml with a mark and Windows line ends": lambda tree: "\ufeff" + yaml.safe_dump(tree).replace("\n", "\r\n"),
    "flow yaml": lambda tree: yaml.safe_dump(tree, default_flow_style=True, width=10**6),
    "base64": lambda tree: base64.b64encode(yaml.safe_dump(tree).encode()).decode(),
    "base64 of json": lambda tree: base64.b64encode(json.dumps(tree).encode()).decode(),
    "base64 in lines": lambda tree: base64.encodebytes(yaml.safe_dump(tree).encode()).decode(),
}


@pytest.mark.parametrize("form", list(FORMS.values()), ids=list(FORMS))
def test_content_in_every_form(form: object) -> None:
    value = form(config())  # type: ignore[operator]
    cluster = loaded(value)
    assert str(cluster.server) == "https://api.test:6443"
    assert (cluster.context, cluster.namespace) == ("one", "alfred")
    assert identity_of(cluster).authorization == "Bearer token-of-one"
    assert content_of(value) is not None


def test_content_is_never_written_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    identity_of(loaded(yaml.safe_dump(config())))
    assert list(tmp_path.iterdir()) == []


def test_a_path(tmp_path: Path) -> None:
    path = written(tmp_path / "config", config())
    assert loaded(f"{path}\n").server.host == "api.test"


def test_several_paths_merge_as_kubectl_does(tmp_path: Path) -> None:
    """What comes first wins, whole entries at a time; a file that is missing is skipped, and said."""
    first = config(name="one", server="https://first.test") | {"current-context": ""}
    second = config(name="one", server="https://second.test", user={"token": "of-the-second"})
    third = config(name="two", server="https://third.test", current="two")
    paths = [written(tmp_path / name, tree) for name, tree in (("a", first), ("b", second), ("c", third))]
    value = os.pathsep.join(["", str(tmp_path / "missing"), *map(str, paths)])

    cluster = loaded(value)
    assert (cluster.context, cluster.server.host) == ("one", "first.test")
    assert identity_of(cluster).authorization == "Bearer token-of-one"
    assert cluster.notes == (f"KUBECONFIG: {tmp_path / 'missing'} does not exist and is skipped",)
    assert loaded(value, context="two").server.host == "third.test"


@pytest.mark.parametrize("text", ["", "\n"])
def test_an_empty_file_among_several_says_nothing(text: str, tmp_path: Path) -> None:
    """As after ``touch``, for a tool to write into; alone it names no context."""
    (tmp_path / "empty").write_text(text, encoding="utf-8")
    path = written(tmp_path / "config", config())
    assert loaded(os.pathsep.join([str(tmp_path / "empty"), str(path)])).server.host == "api.test"
    with pytest.raises(UsageError, match="no current-context"):
        loaded(str(tmp_path / "empty"))


def test_a_home_that_is_nobodys_is_a_path_that_is_not_there() -> None:
    with pytest.raises(UsageError, match="there is no file ~nobody-of-here/cfg"):
        loaded("~nobody-of-here/cfg")


def test_a_relative_path_starts_from_its_own_file(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "token").write_text("from-the-file\n", encoding="utf-8")
    path = written(tmp_path / "sub" / "config", config(user={"tokenFile": "token"}))
    assert identity_of(loaded(str(path))).authorization == "Bearer from-the-file"


def test_without_kubeconfig_it_is_the_users_own_file(tmp_path: Path) -> None:
    (tmp_path / ".kube").mkdir()
    written(tmp_path / ".kube" / "config", config())
    assert load_cluster({}, home=tmp_path).context == "one"


def test_in_a_pod_it_is_the_service_account_and_its_token_is_read_again(tmp_path: Path) -> None:
    for name, text in (("token", "first\n"), ("ca.crt", "PEM"), ("namespace", "alfred\n")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    environ = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443", "HTTPS_PROXY": "http://p:1"}
    cluster = load_cluster(environ, home=tmp_path, pod=tmp_path)
    assert (str(cluster.server), cluster.namespace, cluster.proxy) == ("https://[fd00::1]:6443", "alfred", None)
    assert cluster.trust == Trust(authorities="PEM")

    clock = RecordingClock()

    def token() -> str:
        return cluster.credentials.identity(Deadline(clock, Instant(1e6), what="the test")).authorization

    assert token() == "Bearer first"
    (tmp_path / "token").write_text("second", encoding="utf-8")
    assert token() == "Bearer first"
    clock.skip(56)
    assert token() == "Bearer second"
    (tmp_path / "token").unlink()
    clock.skip(56)
    assert token() == "Bearer second", "a file that is away for a moment leaves the last token in use"


@pytest.mark.parametrize("port", ["", "tcp://10.96.0.1:443", "70000"])
def test_in_a_pod_a_port_that_is_none_is_told(port: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t", encoding="utf-8")
    (tmp_path / "ca.crt").write_text("PEM", encoding="utf-8")
    environ = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": port}
    if not port:
        assert load_cluster(environ, home=tmp_path, pod=tmp_path).server.port == 443
        return
    with pytest.raises(UsageError, match="KUBERNETES_SERVICE_PORT is no port"):
        load_cluster(environ, home=tmp_path, pod=tmp_path)


# --- what is refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["", " ", "\n", "\t \n"])
def test_set_but_empty_is_refused(value: str, tmp_path: Path) -> None:
    """A missing secret must never mean some other cluster, though the user has a file of his own."""
    (tmp_path / ".kube").mkdir()
    written(tmp_path / ".kube" / "config", config())
    with pytest.raises(UsageError, match="KUBECONFIG is set but empty") as raised:
        load_cluster({"KUBECONFIG": value, "KUBERNETES_SERVICE_HOST": "x"}, home=tmp_path)
    assert raised.value.exit_code is ExitCode.USAGE
    assert "unset KUBECONFIG" in raised.value.mend


def test_nothing_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no cluster is named") as raised:
        load_cluster({}, home=tmp_path, pod=tmp_path)
    assert raised.value.mend


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no file .*/one, .*/two"):
        loaded(f"{tmp_path}/one{os.pathsep}{tmp_path}/two")


def test_a_folder_is_no_kubeconfig(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Is a directory"):
        loaded(str(tmp_path))


REFUSED: dict[str, tuple[Tree | str, str]] = {
    "unknown current context": (config(current="other"), "no context other"),
    "no current context": (config(current=""), "no current-context"),
    "null": (config() | {"current-context": None, "contexts": None}, "no current-context"),
    "no such cluster": (config() | {"clusters": None}, "names the cluster one"),
    "no such user": (config() | {"users": []}, "names the user one"),
    "no server": (config(server=""), "not an address"),
    "a server with a user": (config(server=f"https://{CANARY}@api.test"), "not an address"),
    "a server of another kind": (config(server="ftp://api.test"), "not an address"),
    "a server with a bad port": (config(server="https://api.test:six"), "not an address"),
    "auth-provider": (
        config(user={"auth-provider": {"name": "gcp", "config": {"t": CANARY}}}),
        r"auth-provider \(gcp\)",
    ),
    "token and user name": (config(user={"token": CANARY, "username": "x"}), "both a token and a user name"),
    "certificate alone": (config(user={"client-certificate-data": "QQ=="}), "without a key"),
    "key alone": (config(user={"client-key-data": "QQ=="}), "without a certificate"),
    "certificate not base64": (config(user={"client-certificate-data": f"*{CANARY}"}), "not base64 of PEM"),
    "blind and authority": (
        config(cluster={"insecure-skip-tls-verify": True, "certificate-authority-data": "QQ=="}),
        "both a certificate authority and insecure-skip-tls-verify",
    ),
    "relative path in content": (config(cluster={"certificate-authority": "ca.crt"}), "starts nowhere"),
    "authority that is away": (config(cluster={"certificate-authority": "/nonexistent/ca.crt"}), "No such file"),
    "token a number": (config(user={"token": 4711}), "something else than a text at .users.0..user.token"),
    "flag a text": (config(cluster={"insecure-skip-tls-verify": "yes"}), "true or false at .clusters"),
    "clusters no list": (config() | {"clusters": {"one": CANARY}}, "a list at .clusters"),
    "exec v1alpha1": (
        config(user={"exec": {"apiVersion": "client.authentication.k8s.io/v1alpha1", "command": "aws"}}),
        "v1alpha1, which is not supported",
    ),
    "exec without a command": (
        config(user={"exec": {"apiVersion": "client.authentication.k8s.io/v1"}}),
        "exec without a command",
    ),
    "exec with a mode of its own": (
        config(
            user={"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "a", "interactiveMode": "x"}}
        ),
        "interactiveMode that does not exist",
    ),
    "socks proxy": (config(cluster={"proxy-url": f"socks5://u:{CANARY}@p:1"}), "only proxies"),
    "proxy no address": (config(cluster={"proxy-url": f"http://u:{CANARY}@[p:1"}), "is no address"),
    "no YAML": (f"a: b\n  token: {CANARY}: x\n", "KUBECONFIG:2: this is not YAML"),
    "a list": ("- a\n- b\n", "not a kubeconfig"),
    "a text": (f"{CANARY}\nb\n", "not a kubeconfig"),
    "deep": ("{a: " + "[" * 50_000, "not YAML"),
    "a tag": (f"a: !!python/object/apply:os.system [{CANARY}]\n", "not YAML"),
}


@pytest.mark.parametrize(("content", "said"), list(REFUSED.values()), ids=list(REFUSED))
def test_what_is_wrong_is_refused_with_the_mend_and_without_the_secret(content: Tree | str, said: str) -> None:
    value = content if isinstance(content, str) else yaml.safe_dump(content)
    with pytest.raises(UsageError, match=said) as raised:
        loaded(value)
    assert raised.value.exit_code is ExitCode.USAGE
    assert raised.value.mend
    assert "\n" not in str(raised.value)
    assert CANARY not in repr(raised.value) + str(raised.value) + raised.value.mend
    assert raised.value.__suppress_context__ or CANARY not in repr(raised.value.__context__)


def test_a_broken_secret_is_not_taken_for_a_path_and_shown() -> None:
    """Base64 with a character lost is no path, though it has slashes."""
    value = base64.b64encode(yaml.safe_dump(config(user={"token": CANARY * 9})).encode()).decode()[:-3]
    with pytest.raises(UsageError) as raised:
        loaded(value)
    assert value[:40] not in str(raised.value) + raised.value.mend


def test_the_contexts_are_listed_for_whoever_mistyped_one() -> None:
    many = config()
    many["contexts"] = [{"name": f"c{number:02}", "context": {}} for number in range(14)]
    with pytest.raises(UsageError) as raised:
        loaded(yaml.safe_dump(many), context="c99")
    assert raised.value.mend.startswith("there are: c00, c01")
    assert raised.value.mend.endswith("c09 and 4 more")


# --- settings ---------------------------------------------------------------------------------------------------


def test_users() -> None:
    assert identity_of(loaded(yaml.safe_dump(config(user={})))) == Identity()
    basic = identity_of(loaded(yaml.safe_dump(config(user={"username": "ann", "password": "p:w"}))))
    assert basic.authorization == "Basic " + base64.b64encode(b"ann:p:w").decode()
    acting: Tree = {"token": "t", "as": "bob", "as-groups": ["a", "b"], "as-uid": "7", "as-user-extra": {"Why": ["x"]}}
    assert identity_of(loaded(yaml.safe_dump(config(user=acting)))).headers == (
        ("Impersonate-User", "bob"),
        ("Impersonate-Uid", "7"),
        ("Impersonate-Group", "a"),
        ("Impersonate-Group", "b"),
        ("Impersonate-Extra-Why", "x"),
    )


def test_what_a_header_cannot_hold_of_an_impersonations_name_is_escaped_as_kubectl_does() -> None:
    acting: Tree = {"token": "t", "as": "bob", "as-user-extra": {"acme.com/project": ["x"], "a: b%": ["y"]}}
    assert identity_of(loaded(yaml.safe_dump(config(user=acting)))).headers[1:] == (
        ("Impersonate-Extra-a%3A%20b%25", "y"),
        ("Impersonate-Extra-acme.com%2Fproject", "x"),
    )


@pytest.mark.parametrize(
    ("url", "cluster", "expected"),
    [
        ("https://api.test", {}, Server(host="api.test", port=443)),
        ("https://api.test:6443/k8s/clusters/c-1/", {}, Server(host="api.test", port=6443, prefix="/k8s/clusters/c-1")),
        ("http://127.0.0.1:8001", {}, Server(host="127.0.0.1", port=8001, tls=False)),
        ("https://[fd00::1]:6443", {}, Server(host="fd00::1", port=6443)),
        ("api.test:8080", {}, Server(host="api.test", port=8080, tls=False)),
        ("api.test:6443", {"insecure-skip-tls-verify": True}, Server(host="api.test", port=6443)),
    ],
)
def test_servers(url: str, cluster: Tree, expected: Server) -> None:
    found = loaded(yaml.safe_dump(config(server=url, cluster=cluster)))
    assert found.server == expected
    assert bool(found.notes) == bool(cluster)


def test_trust() -> None:
    data = base64.b64encode(b"PEM").decode()
    found = loaded(yaml.safe_dump(config(cluster={"certificate-authority-data": data, "tls-server-name": "k.test"})))
    assert found.trust == Trust(authorities="PEM", name="k.test")


# --- proxies ----------------------------------------------------------------------------------------------------

FAR = Server(host="api.test", port=6443)
P = {"HTTPS_PROXY": "http://proxy.test:3128"}


@pytest.mark.parametrize(
    ("server", "url", "environ", "host"),
    [
        (FAR, "", {}, None),
        (FAR, "", P, "proxy.test"),
        (FAR, "", {"https_proxy": "proxy.test:3128"}, "proxy.test"),
        (FAR, "", {"HTTP_PROXY": "http://proxy.test"}, None),
        (Server(host="api.test", port=80, tls=False), "", {"HTTP_PROXY": "http://proxy.test"}, "proxy.test"),
        (FAR, "http://own.test", P, "own.test"),
        (FAR, "http://own.test", {**P, "NO_PROXY": "*"}, "own.test"),
        (FAR, "", {**P, "NO_PROXY": "*"}, None),
        (FAR, "", {**P, "NO_PROXY": "x.test, api.test"}, None),
        (FAR, "", {**P, "no_proxy": "test"}, None),
        (FAR, "", {**P, "NO_PROXY": ".test"}, None),
        (FAR, "", {**P, "NO_PROXY": ".api.test"}, "proxy.test"),
        (FAR, "", {**P, "NO_PROXY": "pi.test"}, "proxy.test"),
        (FAR, "", {**P, "NO_PROXY": "api.test:6443"}, None),
        (FAR, "", {**P, "NO_PROXY": "api.test:443"}, "proxy.test"),
        (Server(host="10.0.0.7", port=6443), "", {**P, "NO_PROXY": "10.0.0.0/8"}, None),
        (Server(host="10.0.0.7", port=6443), "", {**P, "NO_PROXY": "10.1.0.0/16,nonsense/x"}, "proxy.test"),
        (Server(host="fd00::7", port=6443), "", {**P, "NO_PROXY": "fd00::/8"}, None),
        (Server(host="127.0.0.1", port=6443), "", P, None),
        (Server(host="localhost", port=6443), "", P, None),
    ],
)
def test_which_proxy(server: Server, url: str, environ: dict[str, str], host: str | None) -> None:
    found = proxy_of(url, server, environ=environ)
    assert (found.host if found else None) == host


def test_the_proxys_password_is_for_the_proxy_only() -> None:
    found = proxy_of(f"http://ann:{CANARY}%40@proxy.test:3128", FAR, environ={})
    assert found == Proxy(
        host="proxy.test", port=3128, authorization="Basic " + base64.b64encode(f"ann:{CANARY}@".encode()).decode()
    )
    assert "Basic" not in repr(found)


# --- children ---------------------------------------------------------------------------------------------------


def test_a_child_gets_a_path_and_never_the_content(tmp_path: Path) -> None:
    path = str(written(tmp_path / "config", config()))
    assert child_environment({"KUBECONFIG": path, "A": "b"}) == {"KUBECONFIG": path, "A": "b"}
    for form in FORMS.values():
        assert child_environment({"KUBECONFIG": form(config()), "A": "b"}) == {"A": "b"}  # type: ignore[operator]
    assert child_environment({"A": "b"}) == {"A": "b"}


def test_nothing_secret_is_in_a_repr() -> None:
    data = base64.b64encode(CANARY.encode()).decode()
    user: Tree = {"client-certificate-data": data, "client-key-data": data, "username": "ann", "password": CANARY}
    cluster = loaded(yaml.safe_dump(config(user=user, cluster={"proxy-url": f"http://u:{CANARY}@p.test"})))
    identity = identity_of(cluster)
    assert identity.certificate is not None
    shown = repr(cluster) + repr(identity) + repr(identity.certificate) + repr(cluster.credentials)
    assert CANARY not in shown
    assert data not in shown
