"""The app file's ``prometheus``: what it becomes, how it is refused, and where a flag takes its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bluegreen.appfile import load_app
from bluegreen.domain.codec import from_plain, to_plain
from bluegreen.domain.errors import AppFileError, UsageError
from bluegreen.domain.stack import Prometheus, Queries, Stack
from bluegreen.wiring.common import read_from

if TYPE_CHECKING:
    from pathlib import Path

SHORT = """\
stack: shop
services:
  - name: shop-api
    image: shop/api
    port: 8000
    health: /health
"""
URL = "https://prometheus.test/prom"
WHOLE = f"""\
prometheus:
  url: {URL}
  pod_label: kubernetes_pod_name
  status_label: code
  unit: s
  scrapes: up{{job="shop"}}
  queries:
    shop-api:
      requests: sum by (kubernetes_pod_name, code) (http_requests_total)
  token_file: secrets/token
  ca_file: /etc/ca.pem
"""


def read(tmp_path: Path, text: str) -> Stack:
    file = tmp_path / "app.yaml"
    file.write_text(SHORT + text)
    return load_app(file).stack


def test_without_it_the_pods_are_read(tmp_path: Path) -> None:
    assert read(tmp_path, "").prometheus is None


def test_an_address_is_enough(tmp_path: Path) -> None:
    assert read(tmp_path, f"prometheus:\n  url: {URL}\n").prometheus == Prometheus(url=URL)


def test_every_key_is_kept_and_survives_the_record(tmp_path: Path) -> None:
    stack = read(tmp_path, WHOLE)
    requests = "sum by (kubernetes_pod_name, code) (http_requests_total)"
    assert stack.prometheus == Prometheus(
        url=URL,
        pod_label="kubernetes_pod_name",
        status_label="code",
        scale=1000.0,
        scrapes='up{job="shop"}',
        queries=(Queries(service="shop-api", requests=requests),),
        token_file=str(tmp_path / "secrets/token"),
        ca_file="/etc/ca.pem",
    )
    assert from_plain(Stack, to_plain(stack)) == stack


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("prometheus:\n  pod_label: pod\n", 7, "has no 'url'"),
        ("prometheus:\n  url: prometheus:9090\n", 8, "prometheus.url must be"),
        ("prometheus:\n  url: https://ann:hunter2@x\n", 8, "has a user or a query in it"),
        ("prometheus:\n  url: https://x\n  unit: min\n", 9, "must be ms or s"),
        ("prometheus:\n  url: https://x\n  token: hunter2\n", 9, "the unknown key 'token'"),
        ("prometheus:\n  url: https://x\n  queries:\n    shop-web: {}\n", 10, "'shop-web' is not a service"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, text: str, line: int, why: str) -> None:
    with pytest.raises(AppFileError) as caught:
        read(tmp_path, text)
    assert why in str(caught.value)
    assert caught.value.line == line
    assert "hunter2" not in f"{caught.value}{caught.value.mend}"


def test_a_flags_address_takes_the_files_place_and_leaves_the_rest(tmp_path: Path) -> None:
    stack = read_from(read(tmp_path, WHOLE), "http://other.test")
    assert stack.prometheus is not None
    assert (stack.prometheus.url, stack.prometheus.status_label) == ("http://other.test", "code")
    assert read_from(read(tmp_path, ""), "http://other.test").prometheus == Prometheus(url="http://other.test")
    assert read_from(stack, "") is stack
    with pytest.raises(UsageError, match="no URL of a server"):
        read_from(stack, "other.test")
