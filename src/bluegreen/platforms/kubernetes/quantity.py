"""Amounts as Kubernetes writes them: ``250m``, ``64Mi``, ``1e3``; and what a pod asks for, of a pod's specification."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING

from bluegreen.platforms.kubernetes.errors import NotKubernetes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bluegreen.platforms.kubernetes.node import Node

Amounts = dict[str, Fraction]
"""By the resource's name: ``cpu`` in cores, ``memory`` in bytes, ``pods``. What is left out is none."""

_FORM = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(?:[eE]([+-]?[0-9]{1,3})|([numkMGTPE]|[KMGTPE]i)?)\Z")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_MEBI = 1024**2


def quantity(text: str) -> Fraction:
    """The amount, exactly. Raises NotKubernetes for what is none."""
    found = _FORM.match(text)
    if found is None:
        raise NotKubernetes("the API server sent an amount that is none")
    number, exponent, suffix = found.groups()
    if suffix in _BINARY:
        return Fraction(number) * (1 << 10 * _BINARY[suffix])
    return Fraction(f"{number}e{exponent or _DECIMAL[suffix or '']}")


def shown(resource: str, amount: Fraction) -> str:
    """For a person: thousandths of a core, mebibytes, or the number; rounded up."""
    name = resource.rpartition(".")[2]
    if name == "cpu":
        return f"{-(-amount * 1000 // 1)}m"
    if name in {"memory", "ephemeral-storage"}:
        return f"{-(-amount // _MEBI)}Mi"
    return str(-(-amount // 1))


def amounts(node: Node) -> Amounts:
    """What an object such as ``allocatable`` or ``requests`` holds."""
    return {name: quantity(node.at(name).either()) for name in node.mapping()}


def plus(*many: Mapping[str, Fraction]) -> Amounts:
    """All of them together."""
    total: Amounts = {}
    for one in many:
        for name, amount in one.items():
            total[name] = total.get(name, Fraction(0)) + amount
    return total


def times(one: Mapping[str, Fraction], count: int) -> Amounts:
    """So many of it."""
    return {name: amount * count for name, amount in one.items()}


def asked(spec: Node, kind: str = "requests") -> Amounts:
    """What one pod takes. ``spec``: a pod's, or a pod template's; ``kind``: ``requests`` or ``limits``.

    Init containers run before the others, one by one; one that restarts always stays beside them. What is not
    requested is requested to its limit, as the API server writes it into a pod, and not into a template.
    """
    running: Amounts = plus(*(_of(one.at("resources"), kind) for one in spec.at("containers").items()))
    beside: Amounts = {}
    highest: Amounts = {}
    for one in spec.at("initContainers").items():
        own = _of(one.at("resources"), kind)
        if one.at("restartPolicy").text() == "Always":
            beside = plus(beside, own)
            highest = _most(highest, beside)
        else:
            highest = _most(highest, plus(beside, own))
    whole = _most(plus(running, beside), highest)
    return plus(_of(spec.at("resources"), kind, unless=whole), amounts(spec.at("overhead")))


def _of(resources: Node, kind: str, *, unless: Mapping[str, Fraction] | None = None) -> Amounts:
    """``unless``: what its containers take, where nothing is said of the whole."""
    limits = amounts(resources.at("limits")) if kind == "requests" else {}
    return {**limits, **(unless or {}), **amounts(resources.at(kind))}


def _most(*many: Mapping[str, Fraction]) -> Amounts:
    names: Iterable[str] = {name for one in many for name in one}
    return {name: max(one.get(name, Fraction(0)) for one in many) for name in names}
