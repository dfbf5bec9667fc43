"""The reader of plain YAML beside PyYAML: whatever it takes is the same tree."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bluegreen.platforms.kubernetes.plain_yaml import GaveUp, read

KUBECTL = """\
apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: LS0tLS1CRUdJTi+/A==
    server: https://10.0.0.1:6443
  name: arn:aws:eks:eu-west-1:012345678901:cluster/shop
contexts:
- context:
    cluster: arn:aws:eks:eu-west-1:012345678901:cluster/shop
    namespace: shop
    user: admin
  name: shop
current-context: shop
kind: Config
preferences: {}
users:
- name: admin
  user:
    client-certificate-data: LS0tLS1CRUdJTi==
    client-key-data: LS0tLS1CRUdJTi==
"""
CLOUD = """\
apiVersion: v1
kind: Config
current-context: gke_shop_europe-west1_main
clusters:
  - name: gke_shop_europe-west1_main
    cluster:
      server: "https://10.0.0.1"
      insecure-skip-tls-verify: false
users:
  - name: gke
    user:
      exec:
        apiVersion: client.authentication.k8s.io/v1beta1
        command: gke-gcloud-auth-plugin
        args:
          - --region
          - eu-west-1
        env:
          - name: AWS_PROFILE
            value: 'the shop'
        installHint: Install it
        provideClusterInfo: true
        interactiveMode:
contexts: []
"""


@pytest.mark.parametrize("text", [KUBECTL, CLOUD.replace("Install it", "Install")])
def test_what_tools_write_is_read_without_a_parser(text: str) -> None:
    assert read(text) == yaml.safe_load(text)


GIVEN_UP = {
    "words with a space": CLOUD,
    "a comment": "a: b # c\n",
    "a number": "a: 1\n",
    "a time": "a: 2025-01-01\n",
    "an anchor": "a: &b c\n",
    "an alias": "a: *b\n",
    "a tag": "a: !!str b\n",
    "a text over lines": "a: |\n  b\n",
    "a folded one": "a: >\n  b\n",
    "a plain one over lines": "a: b\n  c\n",
    "a flow": "a: {b: c}\n",
    "a yes": "a: yes\n",
    "a No": "a: No\n",
    "a tilde": "a: ~\n",
    "an escape": 'a: "b\\n"\n',
    "a quote in quotes": "a: 'b''c'\n",
    "a tab": "a:\tb\n",
    "a name twice": "a: b\na: c\n",
    "a name that is a word": "on: b\n",
    "two documents": "a: b\n---\na: c\n",
    "an empty line": "a: b\n\nc: d\n",
    "a list in a list": "- - a\n",
    "a letter with an accent": "a: b\u00e9\n",
    "another end of line": "a: b\r\n",
    "a word alone": "a\n",
    "nothing": "",
    "what is indented wrongly": "a:\n    b: c\n  d: e\n",
    "a colon at the end": "a: b:\n",
    "an item without a space": "-a\n",
}


@pytest.mark.parametrize("text", GIVEN_UP.values(), ids=list(GIVEN_UP))
def test_what_is_not_known_for_certain_is_left(text: str) -> None:
    with pytest.raises(GaveUp):
        read(text)


def both(text: str) -> None:
    try:
        found = read(text)
    except GaveUp:
        return
    assert found == yaml.safe_load(text)


VALUES = st.sampled_from(
    ["v1", "https://a:6443", "true", "on", "1", "a b", "", "LS0=", "--region", "it's", "1e3", "null", "~", "a: b", "x:"]
)
NAMES = st.sampled_from(["name", "cluster", "user", "exec", "a-b", "on", "y", "null", "1", "a.b/c"])
TREES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(VALUES, st.booleans(), st.none(), st.integers(0, 99)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=12,
)


@given(TREES)
def test_whatever_is_read_is_what_pyyaml_reads(tree: Any) -> None:
    both(yaml.safe_dump(tree))


@given(st.lists(st.sampled_from([*"ab:-# \n'\"{}[]|>&*!~,1", "a: ", "- ", "\n  ", "\n- ", "on", "true"]), max_size=25))
def test_so_it_is_with_any_text(parts: list[str]) -> None:
    text = "".join(parts)
    try:
        found = read(text)
    except GaveUp:
        return
    assert found == yaml.safe_load(text)


@given(st.sampled_from([KUBECTL, CLOUD]), st.integers(0, 900), st.sampled_from([*" \n:-'\"#{}|~1", "  ", "- "]))
def test_so_it_is_with_a_kubeconfig_that_was_spoiled(text: str, place: int, what: str) -> None:
    spoiled = text[:place] + what + text[place:]
    try:
        found = read(spoiled)
    except GaveUp:
        return
    assert found == yaml.safe_load(spoiled)
