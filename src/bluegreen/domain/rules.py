"""What an examination may find, each with why it matters: the one list, which docs/doctor.md is held to.

A rule says nothing of where it was found or how it is mended: that is a finding's, made by the platform.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Rule(StrEnum):
    """One rule. Its value is its name in the JSON output."""

    why: str

    def __new__(cls, name: str, why: str) -> Self:
        """Attach the reason to the name."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.why = why
        return member

    # --- the Services that users call
    HEADLESS = (
        "headless-service",
        (
            "a headless Service is a list of pods in DNS, which clients keep for as long as they like: a switch "
            "reaches them late, and some never"
        ),
    )
    EXTERNAL_NAME = (
        "external-name",
        "an ExternalName Service is a name in DNS: it selects no pods, so there is nothing to switch",
    )
    NO_SELECTOR = (
        "no-selector",
        "without a selector nobody keeps the Service's endpoints: a switch would write a slot that leads nowhere",
    )
    NO_SLOT_LABEL = (
        "no-slot-label",
        (
            "the selector names no slot, so users meet both slots at once: what is staged gets users before it is "
            "validated"
        ),
    )
    SPLIT_STACK = (
        "split-stack",
        (
            "services of one stack are on different slots: which of them serves cannot be told, and a rollback "
            "would lead to a pair that was never validated"
        ),
    )
    NOT_READY_ADDRESSES = (
        "not-ready-addresses",
        "publishNotReadyAddresses sends users to pods that are not ready, and to those on their way out",
    )
    DIFFERENT_PORTS = (
        "different-ports",
        (
            "the slots listen on different ports: at a switch the Service's endpoints are made anew instead of "
            "changed at once, and a port that a slot does not have leads nowhere"
        ),
    )
    INTERNAL_LOCAL = (
        "internal-traffic-local",
        "with internalTrafficPolicy Local a node without a ready pod of the new slot drops what its own pods send",
    )
    EXTERNAL_LOCAL = (
        "external-traffic-local",
        (
            "with externalTrafficPolicy Local a node without a ready pod of the new slot drops what comes from "
            "outside, until the load balancer's health check notices"
        ),
    )
    IP_TARGETS = (
        "ip-targets",
        (
            "the cloud's load balancer sends to pods by their own addresses and registers new ones seconds to "
            "minutes late, after it has let go of the old: at a switch it has nobody to send to"
        ),
    )
    SESSION_AFFINITY = (
        "session-affinity",
        (
            "sessionAffinity ClientIP keeps a client on one pod: at a switch all of them are sent elsewhere at "
            "once, and what that pod remembered of them is gone"
        ),
    )
    OTHER_SERVICE = (
        "other-service",
        (
            "a release switches the Services of the app file and no other: users of another one stay on a slot that a "
            "later release ends, or meet what is not validated yet"
        ),
    )
    FOREIGN_ENDPOINTS = (
        "foreign-endpoints",
        (
            "a switch moves the pods behind a Service, and no addresses that others have given it: users are sent "
            "there in either slot, and the release ends because the switch is never seen to arrive"
        ),
    )
    KEPT = (
        "kept-by-source",
        (
            "what keeps a Service as a repository has it moves users back to the slot that is written there: in the "
            "middle of a release, or to a slot that was ended since"
        ),
    )
    # --- slots
    UNKNOWN_SLOTS = (
        "unknown-slots",
        "which objects are blue and which are green must be certain before one of them is written over",
    )
    UNKNOWN_PORT = ("unknown-port", "the port that users call is not there, so nothing can be asked through it")
    MISSING_OBJECT = ("missing-object", "a release changes what is there, and makes nothing that it does not know")
    WRONG_SELECTOR = (
        "wrong-selector",
        "a Service whose selector does not meet the pods' labels sends its users nowhere, or to other pods as well",
    )
    NO_PREVIEW = (
        "no-preview",
        (
            "without a Service of its own a slot cannot be called before users are on it, and services of one slot "
            "cannot call each other"
        ),
    )
    ROLLOUT = ("rollout", "what serves is not what its Deployment says: nobody knows what to go back to")
    NO_CONTAINER = ("no-container", "a release replaces the image of one container, and must know which")
    # --- pods
    NO_READINESS = (
        "no-readiness-probe",
        "without a readiness probe a pod gets users as soon as it has started, before it answers",
    )
    NO_LIVENESS = (
        "no-liveness-probe",
        "without a liveness probe a process that hangs stays as it is until a person ends it",
    )
    NO_STARTUP = (
        "no-startup-probe",
        "without a startup probe the liveness probe counts from the start: a slow start is killed, and begins again",
    )
    EQUAL_PROBES = (
        "liveness-equals-readiness",
        (
            "asked the same and as impatiently as the readiness probe, the liveness probe kills a pod that is only "
            "slow, instead of leaving it without users for a moment; under load it kills all of them"
        ),
    )
    SLOW_PROBE = (
        "probe-timeout",
        (
            "a probe that may take longer than its period is late: a bad pod keeps its users for longer than its "
            "settings say"
        ),
    )
    NO_PRE_STOP = (
        "no-pre-stop",
        (
            "nodes learn up to a second or so late that a pod is ending: without preStop it is gone by then, and "
            "what they still send to it is lost"
        ),
    )
    SHORT_GRACE = (
        "short-grace",
        "preStop and the requests under way share the grace period: what is not done at its end is killed",
    )
    NO_LAME_DUCK = (
        "no-lame-duck",
        (
            "a switch never moves connections that are kept open: when the old pods end, each breaks once, and a "
            "client that does not repeat the request (a POST) loses it. A lame duck answers on for some seconds "
            "with Connection: close"
        ),
    )
    PULL_POLICY = (
        "pull-policy",
        (
            "with Always a pod that is restarted while the registry is down does not come back; with Never a new "
            "version never arrives"
        ),
    )
    MOVING_TAG = (
        "moving-tag",
        (
            "an image without a tag or with latest is other bits on another day: pods of one slot may differ, and a"
            " rollback may bring back what it was to leave"
        ),
    )
    SINGLE_REPLICA = (
        "single-replica",
        "one pod is no spare: its node's end, a drain or a crash is an outage until another one is ready",
    )
    NO_SPREAD = (
        "no-spread",
        "without a spread all pods of a slot may be on one node, and end with it",
    )
    # --- who else acts on the pods
    NO_BUDGET = ("no-budget", "without a budget a drain may evict all pods of a service at once")
    BUDGET_WAITS = (
        "budget-waits",
        "a budget that allows no disruption holds up every drain: somebody will force it one day",
    )
    BUDGETS_OVERLAP = ("budgets-overlap", "a pod that two budgets cover cannot be evicted at all: the API refuses")
    BUDGET_KIND = (
        "budget-kind",
        (
            "a release turns a budget from slot to slot by its labels and its minAvailable; one that says it "
            "otherwise covers both slots as one, so that a drain may evict all that serves"
        ),
    )
    SCALER = (
        "autoscaler",
        "an autoscaler of the idle slot makes it as small as an idle service may be, and would meet all users with it",
    )
    # --- who calls whom
    NEED_SHARED = (
        "need-shared",
        "both slots call the same service: the pair that is validated is not the pair that then serves",
    )
    NEED_UNSET = ("need-unset", "a service that does not call its own slot's peer was not validated with it")
    # --- the account, and the machine
    MISSING_RIGHT = ("missing-right", "a right that is missing in the middle of a release stops it there")
    NOT_RUNNING = ("not-running", "users reach a stack through Envoy, and the agent sees to its processes")
    NO_FOLDER = ("state-folder", "routes, the journal and logs are files in the state folder")
    NO_ROOM = ("no-room", "routes, the journal and logs are files: on a full disk a release cannot go on")
    PORT_TAKEN = ("port-taken", "a process of the idle slot needs a port of its own")
    FEW_FILES = ("open-files", "each connection of a user is two open files of Envoy")
