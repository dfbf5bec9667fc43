"""A service's settings as a flat template, and back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluegreen.domain.snapshot import Template
from bluegreen.domain.stack import Need, Probe, Probes, Service
from bluegreen.platforms.local.template import Seal, sealed_values, template_of, with_template

SEAL = Seal(key=b"k" * 32)
PROBE = Probe(path="/health")
SERVICE = Service(
    name="web",
    image="shop/web:v1",
    port=80,
    probes=Probes(startup=PROBE, readiness=PROBE, liveness=PROBE),
    environment=(("MODE", "fast"), ("DB_PASSWORD", "hush"), ("COLOUR", "(secret 000000000000)x")),
    needs=(Need(service="api", variable="API_URL"),),
)

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
names = st.from_regex(r"[A-Z][A-Z0-9_]{0,8}", fullmatch=True)
seconds = st.integers(1, 10_000).map(lambda tenths: tenths / 10)
probes = st.builds(
    Probe,
    path=st.from_regex(r"/[a-z/?= ]{0,12}", fullmatch=True),
    period=seconds,
    timeout=seconds,
    failures=st.integers(1, 99),
)
services = st.builds(
    replace,
    st.just(SERVICE),
    command=st.lists(texts.filter(bool), max_size=3).map(tuple).filter(lambda words: words != ("run",)),
    environment=st.dictionaries(names, texts, max_size=4).map(lambda values: tuple(sorted(values.items()))),
    probes=st.builds(Probes, startup=probes, readiness=probes, liveness=probes),
    grace=seconds,
)


@given(services)
def test_a_template_rebuilds_the_service(service: Service) -> None:
    sealed = sealed_values(service, seal=SEAL)

    assert with_template(SERVICE, template_of(service, seal=SEAL), sealed=sealed) == service


def test_secrets_are_not_in_the_template_but_their_change_is() -> None:
    before = template_of(SERVICE, seal=SEAL)
    changed = replace(SERVICE, environment=(("MODE", "fast"), ("DB_PASSWORD", "other")))

    assert "hush" not in repr(before)
    (line,) = (line for line in before.differences(template_of(changed, seal=SEAL)) if "PASSWORD" in line)
    assert line.startswith("environment.DB_PASSWORD: (secret ")
    assert template_of(SERVICE, seal=Seal(key=b"x" * 32)) != before


def test_a_template_that_is_none_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="the template of web lacks 'command'"):
        with_template(SERVICE, Template(), sealed={})
