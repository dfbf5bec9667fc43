"""The app file: what it becomes, and each way in which it can be wrong, with its line."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bluegreen.appfile import App, json_schema, load_app
from bluegreen.appfile.check import PATTERNS
from bluegreen.domain.codec import from_plain, to_plain
from bluegreen.domain.errors import AppFileError, ExitCode
from bluegreen.domain.stack import (
    CommandCheck,
    HttpCheck,
    JsonCondition,
    Limits,
    MetricNames,
    Need,
    Probe,
    Probes,
    Repeat,
    Tells,
    Told,
)
from bluegreen.domain.values import replace

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]

SHORT = """\
stack: shop
services:
  - name: shop-api
    image: shop/api
    port: 8000
    health: /health
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    before = Path.cwd()
    os.chdir(tmp_path)
    yield tmp_path
    os.chdir(before)


def read(tmp_path: Path, text: str) -> App:
    file = tmp_path / "app.yaml"
    file.write_text(text, encoding="utf-8")
    return load_app(file)


def refusal(tmp_path: Path, text: str) -> tuple[int, str, str]:
    """Line, message without its place, and mend."""
    with pytest.raises(AppFileError) as caught:
        read(tmp_path, text)
    error = caught.value
    assert error.exit_code is ExitCode.USAGE
    line = f":{error.line}" if error.line else ""
    prefix = f"{tmp_path / 'app.yaml'}{line}: "
    assert str(error).startswith(prefix)
    assert "\n" not in str(error)
    return error.line, str(error).removeprefix(prefix), error.mend


def test_a_short_file_takes_the_specifications_defaults(tmp_path: Path) -> None:
    app = read(tmp_path, SHORT)

    assert app.path == tmp_path / "app.yaml"
    assert app.local.images == tmp_path / "images"
    assert app.stack.name == "shop"
    assert app.stack.limits == Limits(error_share=0.01, p95_overhead_ms=150)
    (service,) = app.stack.services
    assert (service.replicas, service.grace, service.metrics, service.needs) == (2, 60, None, ())
    assert service.probes == Probes(
        startup=Probe(path="/health", period=3, failures=30),
        readiness=Probe(path="/health", period=5, failures=3),
        liveness=Probe(path="/health", period=10, failures=3),
    )


def test_everything_that_a_file_can_say(tmp_path: Path) -> None:
    app = read(
        tmp_path,
        """\
stack: shop
services:
  - name: shop-api
    image: registry.example:5000/shop/api:v1
    container: api
    command: ["./serve", "--quiet"]
    port: 8000
    replicas: 3
    environment: {LOG_LEVEL: info, EMPTY: ""}
    health: /healthz
    probes: {readiness: {path: /ready, period: 2.5, timeout: 0.5, failures: 2}}
    metrics: {path: /m, requests: r, duration: d, overhead: o}
    grace: 5
  - name: shop-web
    image: shop/web
    port: 80
    health: /
    needs: {shop-api: API_URL}
checks:
  - {name: pair, service: shop-web, path: "/x?y=1", status: 204, contains: ok, headers: {X-Slot: green}, timeout: 2}
limits: {error_share: 0.5%, p95_overhead_ms: 20}
contacts: ["mailto://x"]
local: {images: ../builds}
""",
    )

    api, web = app.stack.services
    assert (api.image, api.container, api.command) == (
        "registry.example:5000/shop/api:v1",
        "api",
        ("./serve", "--quiet"),
    )
    assert api.environment == (("LOG_LEVEL", "info"), ("EMPTY", ""))
    assert api.probed.readiness == Probe(path="/ready", period=2.5, timeout=0.5, failures=2)
    assert api.probed.startup.path == api.probed.liveness.path == "/healthz"
    assert api.metrics == MetricNames(path="/m", requests="r", duration="d", overhead="o")
    assert (api.replicas, api.grace) == (3, 5)
    assert web.needs == (Need(service="shop-api", variable="API_URL"),)
    assert app.stack.checks == (
        HttpCheck(
            name="pair",
            service="shop-web",
            path="/x?y=1",
            status=204,
            contains="ok",
            headers=(("X-Slot", "green"),),
            timeout=2,
        ),
    )
    assert app.stack.limits == Limits(error_share=0.005, p95_overhead_ms=20)
    assert app.stack.contacts == ("mailto://x",)
    assert app.local.images == tmp_path / ".." / "builds"


def test_everything_that_a_check_can_say(tmp_path: Path) -> None:
    app = read(
        tmp_path,
        SHORT
        + """\
    tells: {slot: {header: X-Slot}, version: {json: build.version}}
checks:
  - name: order
    service: shop-api
    path: /orders
    method: POST
    body: '{"n": 1}'
    request_headers: {Content-Type: application/json}
    status: [2xx, 409]
    matches: 'v[0-9]+'
    json:
      - path: state
      - {path: ok, equals: true}
      - {path: name, equals: "1"}
      - {path: lag, equals: 1.5}
      - {path: queue.0.length, at_least: 1, at_most: 9, above: 0, below: 10}
    latency: 0.5
    timeout: 2
    consecutive: 3
    interval: 2
    within: 60
  - name: smoke
    command: [./smoke.sh, --quick]
  - {name: class, service: shop-api, path: /, status: 3xx}
""",
    )

    order, smoke, some = app.stack.checks
    assert app.stack.services[0].tells == Tells(
        path="/health", slot=Told(header="X-Slot"), version=Told(json="build.version")
    )
    assert order == HttpCheck(
        name="order",
        service="shop-api",
        path="/orders",
        method="POST",
        body='{"n": 1}',
        request_headers=(("Content-Type", "application/json"),),
        status=2,
        other_statuses=(409,),
        matches="v[0-9]+",
        json=(
            JsonCondition(path="state"),
            JsonCondition(path="ok", equals="true"),
            JsonCondition(path="name", equals='"1"'),
            JsonCondition(path="lag", equals="1.5"),
            JsonCondition(path="queue.0.length", at_least=1, at_most=9, above=0, below=10),
        ),
        latency=0.5,
        timeout=2,
        repeat=Repeat(consecutive=3, interval=2, within=60),
    )
    assert smoke == CommandCheck(name="smoke", command=("./smoke.sh", "--quick"), timeout=30)
    assert isinstance(some, HttpCheck)
    assert (some.status, some.other_statuses) == (3, ())
    assert from_plain(type(app.stack), to_plain(app.stack)) == app.stack, "the state of one machine keeps it"


def test_anchors_aliases_and_merge_keys(tmp_path: Path) -> None:
    app = read(
        tmp_path,
        """\
stack: shop
services:
  - &api
    name: shop-api
    image: &image shop/api
    port: 8000
    health: /health
  - <<: *api
    name: shop-web
    image: *image
    port: 80
""",
    )

    assert [(each.name, each.port, each.image) for each in app.stack.services] == [
        ("shop-api", 8000, "shop/api"),
        ("shop-web", 80, "shop/api"),
    ]


def test_many_nested_aliases_cost_nothing(tmp_path: Path) -> None:
    levels = "\n".join(f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 9)}]" for n in range(30))
    _, message, _ = refusal(tmp_path, f"a0: &a0 x\n{levels}\n")

    assert message == "the file has the unknown key 'a0'"


@pytest.mark.parametrize(
    ("share", "expected"),
    [("1%", 0.01), ("0.5%", 0.005), ("12.5 %", 0.125), ("'2%'", 0.02), ("0.01", 0.01), ("0.2", 0.2)],
)
def test_error_share_is_a_percentage_or_a_fraction(tmp_path: Path, share: str, expected: float) -> None:
    app = read(tmp_path, f"{SHORT}limits: {{error_share: {share}}}\n")

    assert app.stack.limits.error_share == pytest.approx(expected)


PORT = (
    "services[1].port must be a whole number from 1 up to 65535 or a port's name of lower-case letters, digits and "
    "dashes, at most 63 characters long, but is "
)
REPLICAS = "services[1].replicas must be a whole number from 1 up to 1000, but is "
NAME = " must be a name of lower-case letters, digits and dashes, at most 57 characters long, but is "
SHARE = "limits.error_share must be a number above 0 below 1 or a percentage such as 1%, but is "

REFUSALS = {
    "empty": ("", 0, "the file is empty", "bluegreen schema says what an app file holds"),
    "only comments": ("# nothing\n", 0, "the file is empty", "bluegreen schema says what an app file holds"),
    "a list": ("- a\n", 1, "the file must be a mapping of keys, but is a list", ""),
    "text": ("hello\n", 1, "the file must be a mapping of keys, but is the text 'hello'", ""),
    "unknown key at the top": (
        SHORT + "servics: []\n",
        7,
        "the file has the unknown key 'servics'",
        "did you mean 'services'?",
    ),
    "unknown key inside": (
        SHORT + "    replica: 3\n",
        7,
        "services[1] has the unknown key 'replica'",
        "did you mean 'replicas'?",
    ),
    "unknown key without a near one": (
        SHORT + "local: {zzz: 1}\n",
        7,
        "local has the unknown key 'zzz'",
        "it may be images",
    ),
    "missing key": (
        "stack: shop\nservices:\n  - name: a\n    port: 1\n",
        3,
        "services[1] has no 'image'",
        "add image: ...",
    ),
    "missing keys": ("checks: []\n", 1, "the file has no 'stack' and no 'services'", "add stack: ..., services: ..."),
    "key twice": (
        SHORT + "    port: 9000\n",
        7,
        "the key 'port' is here twice: it was given in line 5 already",
        "remove one of them",
    ),
    "key without a value": (
        SHORT + "checks:\n",
        7,
        "checks must be a list, but is empty",
        "give it a value, or remove the key",
    ),
    "no services": (
        "stack: shop\nservices: []\n",
        2,
        "services is an empty list",
        "it needs at least one entry",
    ),
    "services as a mapping": (
        "stack: shop\nservices:\n  api: {port: 1}\n",
        2,
        "services must be a list, but is a mapping of keys",
        "",
    ),
    "port out of range": (
        SHORT.replace("8000", "70000"),
        5,
        PORT + "the number 70000",
        "",
    ),
    "port in quotes": (
        SHORT.replace("8000", "'8000'"),
        5,
        PORT + "the text '8000'",
        "write it as a plain number: 8000",
    ),
    "port with protocol": (
        SHORT.replace("8000", "8080:tcp"),
        5,
        PORT + "the text '8080:tcp'",
        "",
    ),
    "port to base 60": (
        SHORT.replace("8000", "80:30"),
        5,
        PORT + "80:30, which YAML may read as something else",
        "",
    ),
    "octal": (
        SHORT.replace("8000", "0100"),
        5,
        PORT + "0100, which YAML may read as something else",
        "",
    ),
    "a fraction of a port": (
        SHORT.replace("8000", "80.5"),
        5,
        PORT + "the number 80.5",
        "",
    ),
    "no replicas": (
        SHORT + "    replicas: 0\n",
        7,
        REPLICAS + "the number 0",
        "",
    ),
    "digits without end": (
        SHORT + f"    replicas: {'9' * 5000}\n",
        7,
        REPLICAS + f"{'9' * 60}..., which YAML may read as something else",
        "",
    ),
    "negative limit": (
        SHORT + "limits: {p95_overhead_ms: -5}\n",
        7,
        "limits.p95_overhead_ms must be a number above 0 up to 3600000, but is the number -5",
        "",
    ),
    "endless grace": (
        SHORT + "    grace: .inf\n",
        7,
        "services[1].grace must be a number above 0 up to 86400, but is .inf, which YAML may read as something else",
        "",
    ),
    "share over 1": (SHORT + "limits: {error_share: 5}\n", 7, SHARE + "the number 5", ""),
    "share of 1": (SHORT + "limits: {error_share: 1}\n", 7, SHARE + "the number 1", ""),
    "negative share": (SHORT + "limits: {error_share: -1%}\n", 7, SHARE + "the text '-1%'", ""),
    "share in words": (SHORT + "limits: {error_share: few}\n", 7, SHARE + "the text 'few'", ""),
    "share of 250 %": (
        SHORT + "limits:\n  error_share: 250%\n",
        8,
        "an error share of 250% is no limit",
        "write a percentage above 0% and below 100%",
    ),
    "a truth value for a name": (
        SHORT.replace("stack: shop", "stack: on"),
        1,
        "stack" + NAME + "on, which YAML may read as something else",
        'write it in quotes: "on"',
    ),
    "a truth value for a variable": (
        SHORT + "    environment:\n      DEBUG: no\n",
        8,
        "services[1].environment.DEBUG must be text, but is a word that YAML may read as something else",
        "write it in quotes",
    ),
    "a number for a variable": (
        SHORT + "    environment:\n      A: x\n      RATIO: 1.50\n",
        9,
        "services[1].environment.RATIO must be text, but is a number",
        "write it in quotes",
    ),
    "a date for a variable": (
        SHORT + "    environment: {DAY: 2024-01-01}\n",
        7,
        "services[1].environment.DAY must be text, but is a word that YAML may read as something else",
        "write it in quotes",
    ),
    "a variable's name": (
        SHORT + "    environment: {LOG-LEVEL: x}\n",
        7,
        "in services[1].environment the key 'LOG-LEVEL' is not a variable's name, such as LOG_LEVEL",
        "rename it",
    ),
    "a name in capitals": (
        SHORT.replace("shop-api", "ShopApi"),
        3,
        "services[1].name" + NAME + "the text 'ShopApi'",
        "",
    ),
    "a name with a line break": (
        SHORT.replace("shop-api", '"api\\n"'),
        3,
        "services[1].name" + NAME + "the text 'api\\n'",
        "",
    ),
    "a path without a slash": (
        SHORT.replace("/health", "health"),
        6,
        "services[1].health must be a path that begins with / and has no blank in it, but is the text 'health'",
        "",
    ),
    "a command as one text": (
        SHORT + "    command: ./run\n",
        7,
        "services[1].command must be a list, but is the text './run'",
        "",
    ),
    "bad image": (
        SHORT.replace("shop/api", "shop/API"),
        4,
        "image 'shop/API': the repository part 'API' may hold only lower-case letters, digits and single separators",
        "write it as [registry[:port]/]repository[:tag][@digest], for example alfredai/backend:v2.1.0",
    ),
    "one probe left out": (
        SHORT.replace("    health: /health\n", "    probes: {startup: {path: /}, readiness: {path: /}}\n"),
        6,
        "service shop-api does not say how to probe liveness",
        "add it under 'probes', or write health: /path for all that are left out",
    ),
    "service twice": (
        SHORT + "  - {name: shop-api, image: a, port: 2, health: /}\n",
        7,
        "two services are called 'shop-api'",
        "give each its own name",
    ),
    "check twice": (
        SHORT + "checks:\n  - &c {name: x, service: shop-api, path: /}\n  - *c\n",
        8,
        "two checks are called 'x'",
        "give each its own name",
    ),
    "need of a stranger": (
        SHORT + "  - {name: web, image: a, port: 2, health: /, needs: {shop-appi: URL}}\n",
        7,
        "'shop-appi' is not another service of the stack",
        "did you mean 'shop-api'?",
    ),
    "need of itself": (
        SHORT + "    needs: {shop-api: URL}\n  - {name: web, image: a, port: 2, health: /}\n",
        7,
        "'shop-api' is not another service of the stack",
        "it may be web",
    ),
    "needs in a circle": (
        SHORT + "    needs: {web: URL}\n  - {name: web, image: a, port: 2, health: /, needs: {shop-api: URL}}\n",
        2,
        "services need each other in a circle: shop-api and web",
        "remove one of the needs",
    ),
    "a variable set twice": (
        SHORT
        + "  - name: web\n    image: a\n    port: 2\n    health: /\n"
        + "    environment: {URL: x}\n    needs:\n      shop-api: URL\n",
        13,
        "the variable URL is set twice: by 'needs' and in 'environment', or by two needs",
        "keep one of them",
    ),
    "check of a stranger": (
        SHORT + "checks:\n  - name: x\n    service: shop\n    path: /\n",
        9,
        "'shop' is not a service of the stack",
        "did you mean 'shop-api'?",
    ),
    **{
        what: (SHORT + "checks:\n  - name: x\n" + text, line, message, mend)
        for what, (text, line, message, mend) in {
            "a check of nothing": (
                "",
                8,
                "check 'x' has no 'service' and no 'command'",
                "add service: ..., or make it a command: [program, argument]",
            ),
            "a check without a path": (
                "    service: shop-api\n",
                8,
                "check 'x' has no 'path' and no 'command'",
                "add path: ..., or make it a command: [program, argument]",
            ),
            "a command that is asked": (
                "    command: [a]\n    status: 200\n",
                10,
                "a command check has no 'status'",
                "remove it, or make it a check of its own",
            ),
            "a body of a GET": (
                "    service: shop-api\n    path: /\n    body: x\n",
                11,
                "only a POST sends a body",
                "add method: POST",
            ),
            "another method": (
                "    service: shop-api\n    path: /\n    method: DELETE\n",
                11,
                "checks[1].method must be GET or POST, but is the text 'DELETE'",
                "",
            ),
            "a header that is ours": (
                "    service: shop-api\n    path: /\n    request_headers:\n      Authorization: x\n",
                12,
                "the header Authorization cannot be sent by a check",
                "leave it out; a command check can send what it likes",
            ),
            "a header of two lines": (
                '    service: shop-api\n    path: /\n    request_headers:\n      A: "x\\ny"\n',
                12,
                "checks[1].request_headers.A must be text of one line, but is another text",
                "",
            ),
            "no such status": (
                "    service: shop-api\n    path: /\n    status: 6xx\n",
                11,
                (
                    "checks[1].status must be a whole number from 100 up to 599 or a class such as 2xx or a list,"
                    " but is the text '6xx'"
                ),
                "",
            ),
            "no such status in a list": (
                "    service: shop-api\n    path: /\n    status: [200, 20]\n",
                11,
                (
                    "checks[1].status[2] must be a whole number from 100 up to 599 or a class such as 2xx,"
                    " but is the number 20"
                ),
                "",
            ),
            "no status at all": (
                "    service: shop-api\n    path: /\n    status: []\n",
                11,
                "no status would be good",
                "name at least one, for example 200",
            ),
            "no regular expression": (
                "    service: shop-api\n    path: /\n    matches: '(a'\n",
                11,
                "'(a' is no regular expression: missing ), unterminated subpattern at position 0",
                "write it in single quotes",
            ),
            "a regular expression beyond all bounds": (
                "    service: shop-api\n    path: /\n    matches: 'a{99999999999999999999}'\n",
                11,
                "'a{99999999999999999999}' is no regular expression: the repetition number is too large",
                "write it in single quotes",
            ),
            "a truth of YAML 1.1": (
                "    service: shop-api\n    path: /\n    json:\n      - path: ok\n        equals: yes\n",
                13,
                (
                    "checks[1].json[1].equals must be true or false or a whole number or a number or text,"
                    " but is yes, which YAML may read as something else"
                ),
                'write it in quotes: "yes"',
            ),
            "a path that is none": (
                "    service: shop-api\n    path: /\n    json:\n      - path: a..b\n",
                12,
                (
                    "checks[1].json[1].path must be keys with dots between them, such as database.state,"
                    " but is the text 'a..b'"
                ),
                "",
            ),
            "two conditions that quarrel": (
                "    service: shop-api\n    path: /\n    json:\n      - {path: a, equals: 1, above: 0}\n",
                12,
                "'equals' leaves nothing to compare",
                "keep it, or the other bounds",
            ),
            "a latency that is never seen": (
                "    service: shop-api\n    path: /\n    latency: 5\n",
                11,
                "a latency of 5 s is never seen: the timeout is 5 s",
                "make the timeout longer, or leave latency out",
            ),
            "a row that cannot be whole": (
                "    command: [a]\n    consecutive: 5\n    interval: 10\n    within: 40\n",
                12,
                "5 in a row, 10 s apart, take longer than 40 s",
                "make it longer than 40",
            ),
        }.items()
    },
    "a service that tells nothing": (
        SHORT + "    tells: {path: /}\n",
        7,
        "it tells nothing",
        "name slot or version, each with a header or a json path",
    ),
    "a service that tells it twice": (
        SHORT + "    tells:\n      slot: {header: A, json: a}\n",
        8,
        "it stands in a header or in the body, not in both",
        "keep one of them",
    ),
    "a tab": ("stack: shop\n\tservices: []\n", 2, "a tab is no indentation in YAML", "indent with spaces"),
    "a tab in a list": (
        "stack: shop\nservices:\n\t- name: x\n",
        3,
        "a tab is no indentation in YAML",
        "indent with spaces",
    ),
    "a bracket left open": (
        "stack: shop\nservices: [a, b\n",
        3,
        "expected ',' or ']', but got '<stream end>'",
        "see YAML's rules for this line, or the line before it",
    ),
    "bad indentation": (
        "stack: shop\n  services: []\n",
        2,
        "mapping values are not allowed here",
        "see YAML's rules for this line, or the line before it",
    ),
    "two documents": (
        SHORT + "---\nstack: other\n",
        7,
        "a second document begins here",
        "keep one stack in one file",
    ),
    "an unknown anchor": (
        "stack: *nothing\n",
        1,
        "the * begins an alias, and there is no such anchor",
        "text that begins with it stands in quotes; else remove it",
    ),
    "a tag": (
        "stack: !!python/name:os.system x\n",
        1,
        "the tag tag:yaml.org,2002:python/name:os.system means nothing here",
        "remove it",
    ),
    "an own tag": (
        "stack: !secret x\n",
        1,
        "the ! begins a tag, which means nothing here",
        "text that begins with it stands in quotes; else remove it",
    ),
    "half a character": (SHORT + 'contacts: ["\\ud83d"]\n', 7, "U+D83D is no character", "remove it"),
    "half a character in a key": ('"\\udc00": x\n', 1, "U+DC00 is no character", "remove it"),
    "a number without end": (
        SHORT + "checks: [{name: x, service: shop-api, path: /, json: [{path: a, at_least: 1.0e+999}]}]\n",
        7,
        "checks[1].json[1].at_least must be a number, but is 1.0e+999, which YAML may read as something else",
        "",
    ),
    "a folder that cannot be": (
        SHORT + f"local: {{images: /{'a' * 300}}}\n",
        7,
        f"'/{'a' * 59}...' is too long for a folder",
        "name a folder, relative to this file",
    ),
    "a share without end": (
        SHORT + f"limits: {{error_share: {'9' * 400}%}}\n",
        7,
        f"an error share of {'9' * 60}... is no limit",
        "write a percentage above 0% and below 100%",
    ),
    "a key without end": (
        SHORT + f"{'k' * 100}: 1\n",
        7,
        f"the file has the unknown key '{'k' * 60}...'",
        "it may be stack, services, checks, limits, contacts, prometheus, notify, local, kubernetes",
    ),
    "a host for a URL": (
        SHORT + "    entry: shop.example.com\n",
        7,
        "services[1].entry must be a URL that begins with http:// or https://, but is the text 'shop.example.com'",
        "",
    ),
    "the name of a Service": (
        SHORT + "    kubernetes: {service: Shop}\n",
        7,
        (
            "services[1].kubernetes.service must be a name of lower-case letters, digits and dashes,"
            " at most 63 characters long, but is the text 'Shop'"
        ),
        "",
    ),
    "need where there is no other": (
        SHORT + "    needs: {api: URL}\n",
        7,
        "'api' is not another service of the stack",
        "there is no other: remove it",
    ),
    "a number as YAML does not write it": (
        SHORT + "    grace: 1e2\n",
        7,
        "services[1].grace must be a number above 0 up to 86400, but is the text '1e2'",
        "write it as a plain number: 100",
    ),
    "a value that holds itself": (
        "stack: &s [*s]\n",
        1,
        "this value holds itself",
        "write it out without the alias",
    ),
    "a merge of itself": (
        "services: &s {<<: *s}\n",
        1,
        "this value holds itself",
        "write it out without the alias",
    ),
    "a merge of text": ("<<: text\n", 1, "'<<' takes a mapping, or a list of mappings", "write the keys out"),
    "a list as a key": ("? [a]\n: b\n", 1, "a key must be a word", "write it as name: value"),
    "a control character": (
        "stack: shop\nservices: \x07\n",
        2,
        "the character U+0007 may not stand in a YAML file",
        "remove it",
    ),
    "nested without end": (
        "a: " + "[" * 5000 + "]" * 5000,
        0,
        "it is nested too deeply",
        "an app file is five levels deep",
    ),
}


@pytest.mark.parametrize(("text", "line", "message", "mend"), REFUSALS.values(), ids=REFUSALS.keys())
def test_refusals(tmp_path: Path, text: str, line: int, message: str, mend: str) -> None:
    assert refusal(tmp_path, text) == (line, message, mend)


CANARY = "4711081547110815"

LEAKS = [
    f"    environment: {{PASSWORD: {CANARY}}}\n",
    f"    environment: {{PASSWORD: [{CANARY}]}}\n",
    f"    environment: {{PASSWORD: {CANARY}:11}}\n",
    f"    environment: {{PASSWORD: {CANARY}00000}}\n",
    f"    environment: {{PASSWORD: !{CANARY}}}\n",
    f"    environment: {{PASSWORD: !{CANARY}!x}}\n",
    f"    environment: {{PASSWORD: *a{CANARY}}}\n",
    f"    environment: {{'postgres://u:{CANARY}@h/d': x}}\n",
    f"checks: [{{name: x, service: shop-api, path: /, request_headers: {{X-Token: {CANARY}}}}}]\n",
    f'checks: [{{name: x, service: shop-api, path: /, request_headers: {{X-Token: "{CANARY}\\n"}}}}]\n',
    f"contacts: slack://{CANARY}/x\n",
    f"notify:\n  slack://{CANARY}: 1\n  slack://{CANARY}: 2\n",
    f"slack://{CANARY}/x: 1\n",
    f"prometheus: {{url: 'user:{CANARY}@prometheus:9090'}}\n",
    f"prometheus: {{url: 'http://user:{CANARY}@prometheus:9090'}}\n",
]


@pytest.mark.parametrize("text", LEAKS)
def test_no_error_repeats_what_may_be_a_secret(tmp_path: Path, text: str) -> None:
    """A job's log is read by many; a password of digits alone that lacks its quotes is the usual slip."""
    line, message, mend = refusal(tmp_path, SHORT + text)

    assert line >= 7
    assert CANARY not in message + mend


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(AppFileError) as caught:
        load_app(tmp_path / "none.yaml")

    assert str(caught.value) == f"{tmp_path / 'none.yaml'}: there is no such file"
    assert caught.value.mend == "name the app file with --app FILE"


def test_a_folder_instead_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(AppFileError, match="it cannot be read: Is a directory"):
        load_app(tmp_path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "app")
    for path in (tmp_path / "app", Path("/dev/zero")):
        with pytest.raises(AppFileError, match="it is no file but a pipe or a device") as caught:
            load_app(path)
        assert caught.value.mend == "write it into a file, and name that"


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "app.yaml").write_bytes(b"stack: shop\nservices: \xff\n")
    with pytest.raises(AppFileError, match=r"app\.yaml:2: the file is not UTF-8 text"):
        load_app(tmp_path / "app.yaml")


def test_windows_line_ends_and_a_byte_order_mark_are_fine(tmp_path: Path) -> None:
    (tmp_path / "app.yaml").write_bytes(b"\xef\xbb\xbf" + SHORT.replace("\n", "\r\n").encode())

    assert load_app(tmp_path / "app.yaml").stack.names == ("shop-api",)


def test_the_file_of_the_current_folder_comes_before_the_built_in_stack(folder: Path) -> None:
    built_in = load_app()
    (folder / "bluegreen.yaml").write_text(SHORT, encoding="utf-8")
    own = load_app()

    assert (built_in.stack.name, built_in.path, built_in.local.images) == ("alfred", None, folder / "images")
    assert (own.stack.name, own.path, own.local.images) == ("shop", folder / "bluegreen.yaml", folder / "images")


def test_the_built_in_stack_is_the_specifications(folder: Path) -> None:
    backend, gateway = load_app().stack.services

    assert (backend.name, backend.port, backend.replicas, backend.grace) == ("alfred-backend", 8000, 2, 60)
    assert backend.probes == Probes(
        startup=Probe(path="/health", period=3, failures=30),
        readiness=Probe(path="/health", period=5),
        liveness=Probe(path="/health", period=10),
    )
    assert (gateway.name, gateway.port, gateway.replicas, gateway.grace) == ("alfred-gateway", 8080, 2, 60)
    assert gateway.probes == Probes(
        startup=Probe(path="/healthz", period=3, failures=30),
        readiness=Probe(path="/ready", period=5),
        liveness=Probe(path="/healthz", period=10),
    )
    assert gateway.needs == (Need(service="alfred-backend", variable="BACKEND_URL"),)
    assert gateway.metrics == MetricNames(
        requests="alfred_gateway_requests_total",
        duration="alfred_gateway_request_duration_ms",
        overhead="alfred_gateway_overhead_ms",
    )


def test_the_example_is_the_built_in_stack_and_what_it_can_tell(folder: Path) -> None:
    """The specification says nothing of how Alfred tells its slot and its version, so the built-in stack does not."""
    example = load_app(ROOT / "examples" / "alfred" / "bluegreen.yaml")

    assert tuple(replace(each, tells=None) for each in example.stack.services) == load_app().stack.services
    assert [each.tells.path for each in example.stack.services if each.tells] == ["/health", "/ready"]
    assert [check.name for check in example.stack.checks] == ["the pair answers"]


def test_the_schema_refuses_unknown_keys_and_knows_the_defaults() -> None:
    schema = json_schema()
    service = schema["$defs"]["ServiceFile"]

    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert all(each["additionalProperties"] is False for each in schema["$defs"].values())
    assert set(service["required"]) == {"name", "image", "port"}
    assert service["properties"]["replicas"]["default"] == 2
    assert service["properties"]["port"]["anyOf"][0]["maximum"] == 65535
    assert schema["$defs"]["ReadinessProbeFile"]["properties"]["period"]["default"] == 5.0


def test_every_pattern_of_the_schema_has_words() -> None:
    """An error that says "must be text, but is the text 'x'" helps nobody."""
    text = json.dumps(json_schema()["$defs"])
    patterns = {json.loads(each) for each in re.findall(r'"pattern": ("(?:[^"\\]|\\.)*")', text)}

    assert patterns
    assert patterns - set(PATTERNS) == set()


def test_every_key_of_the_schema_is_described() -> None:
    for name, struct in json_schema()["$defs"].items():
        for key, about in struct["properties"].items():
            assert about.get("description"), f"{name}.{key}"
