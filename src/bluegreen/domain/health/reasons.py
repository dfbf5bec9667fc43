"""The words for what is wrong with a slot: what each means, when it is told, and what to do about it."""

from __future__ import annotations

from enum import StrEnum

from bluegreen.domain.health import graces
from bluegreen.domain.values import dataclass


class Reason(StrEnum):
    """Why a slot is doomed."""

    IMAGE_NOT_FOUND = "image not found"
    WRONG_ARCHITECTURE = "wrong architecture"
    IMAGE_NAME = "invalid image name"
    IMAGE_NOT_ON_NODE = "image not on the node"
    IMAGE_UNTRUSTED = "image not trusted"
    PULL_FAILS = "image cannot be pulled"
    CONFIG_MISSING = "configuration missing"
    RUNS_AS_ROOT = "runs as root"
    CONFIG_INVALID = "invalid configuration"
    CANNOT_RUN = "cannot be run"
    CANNOT_CREATE = "container cannot be created"
    CRASH_LOOP = "crash loop"
    CRASH_AFTER_READY = "crashes after it was ready"
    EXITS = "ends by itself"
    OUT_OF_MEMORY = "out of memory"
    STARTUP = "startup probe fails"
    READINESS = "readiness probe fails"
    LIVENESS = "liveness probe fails"
    HOOK = "start hook fails"
    UNSCHEDULABLE = "no node takes it"
    VOLUME_MISSING = "volume missing"
    VOLUME = "volume cannot be mounted"
    SANDBOX = "pod cannot be set up"
    NODE_LOST = "node lost"
    EVICTED = "evicted"
    POD_FAILED = "refused by its node"
    QUOTA = "quota exceeded"
    ADMISSION = "refused by admission"
    PAUSED = "paused"
    NO_PODS = "cannot make its pods"


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """One reason for people: what it is, when it is told, what to do."""

    reason: Reason
    means: str
    told: str
    advice: str


AT_ONCE = "at once"
_SECOND_END = f"at its end number {graces.RESTARTS_ALLOWED + 1}"

MEANINGS = (
    Meaning(
        reason=Reason.IMAGE_NOT_FOUND,
        means="the registry knows no such image or tag",
        told=AT_ONCE,
        advice="was the image built and pushed?",
    ),
    Meaning(
        reason=Reason.WRONG_ARCHITECTURE,
        means="the image is for other processors than the node's, seen at the pull or when its program is started",
        told="at once; where only the log says so, as a crash loop",
        advice="build the image for the nodes' architecture, or for several",
    ),
    Meaning(
        reason=Reason.IMAGE_NAME,
        means="no engine takes the reference, or the node's only with its registry",
        told=AT_ONCE,
        advice="mend the image's name",
    ),
    Meaning(
        reason=Reason.IMAGE_NOT_ON_NODE,
        means="imagePullPolicy is Never, and the node does not have the image",
        told=AT_ONCE,
        advice="let the node pull it: imagePullPolicy IfNotPresent",
    ),
    Meaning(
        reason=Reason.IMAGE_UNTRUSTED,
        means="the node's policy does not accept the image's signature",
        told=AT_ONCE,
        advice="sign the image, or mend the node's policy",
    ),
    Meaning(
        reason=Reason.PULL_FAILS,
        means="the registry does not answer, refuses the account, or asks for patience",
        told=f"after {graces.PULL_REFUSED:g} s where the registry refuses the account, else after {graces.PULL:g} s",
        advice="the message says why; look at the registry, the pod's pull secret and the node's disk",
    ),
    Meaning(
        reason=Reason.CONFIG_MISSING,
        means="a ConfigMap or Secret that the container's environment comes from, or a key in it, is not there",
        told=AT_ONCE,
        advice="make it, or mend its name in the pod template",
    ),
    Meaning(
        reason=Reason.RUNS_AS_ROOT,
        means="runAsNonRoot is set, and the image would run as root or does not say by number as whom",
        told=AT_ONCE,
        advice="give the image a USER by number, or the pod template a runAsUser",
    ),
    Meaning(
        reason=Reason.CONFIG_INVALID,
        means="the container's settings cannot be carried out, for another reason",
        told=AT_ONCE,
        advice="mend the pod template",
    ),
    Meaning(
        reason=Reason.CANNOT_RUN,
        means="the program is not in the image, or may not be executed",
        told=AT_ONCE,
        advice="mend the command, or the image's entrypoint",
    ),
    Meaning(
        reason=Reason.CANNOT_CREATE,
        means="the runtime does not get the container made, or its program not started",
        told=f"after {graces.SETUP:g} s, or {_SECOND_END}",
        advice="the message and the pod's events say why",
    ),
    Meaning(
        reason=Reason.CRASH_LOOP,
        means="the container, or an init container, ends again and again",
        told=_SECOND_END,
        advice="its last log lines say why",
    ),
    Meaning(
        reason=Reason.CRASH_AFTER_READY,
        means="the same, after the pod had been ready",
        told=_SECOND_END,
        advice="its last log lines say why; what it does after its first requests or its warm-up ends it",
    ),
    Meaning(
        reason=Reason.EXITS,
        means="the container ends with exit code 0: nothing failed, but a service has to go on",
        told=_SECOND_END,
        advice="keep the program in the foreground",
    ),
    Meaning(
        reason=Reason.OUT_OF_MEMORY,
        means="the kernel killed the container for its memory limit, again",
        told=_SECOND_END,
        advice="raise the container's memory limit, or make it need less",
    ),
    Meaning(
        reason=Reason.STARTUP,
        means="the startup probe failed for as long as its own settings allow",
        told="when the platform ends it for that, or at the end of the window; "
        "at once where the probe's command is not in the image",
        advice="mend the start, or give the startup probe more tries",
    ),
    Meaning(
        reason=Reason.READINESS,
        means="it runs, all that it needs is ready, and its readiness probe goes on failing",
        told=f"after {graces.READINESS_WINDOWS} windows of the probe, not before {graces.SETTLING:g} s; "
        "without a startup probe at the limit; at once where the probe's command is not in the image",
        advice="ask its readiness path why, or give the probe more tries",
    ),
    Meaning(
        reason=Reason.LIVENESS,
        means="the platform ended it for its liveness probe, again",
        told=_SECOND_END,
        advice="ask its liveness path why, or give the probe more tries",
    ),
    Meaning(
        reason=Reason.HOOK,
        means="the platform ended it because its postStart hook failed, again",
        told=_SECOND_END,
        advice="mend the hook, or what it calls: its output is kept nowhere",
    ),
    Meaning(
        reason=Reason.UNSCHEDULABLE,
        means="no node has room for it or fits its rules, and no autoscaler has promised one",
        told=f"after {graces.UNSCHEDULABLE:g} s",
        advice="add a node, ask for less, or mend its node selector, affinity and tolerations",
    ),
    Meaning(
        reason=Reason.VOLUME_MISSING,
        means="a volume's claim, ConfigMap or Secret, or a key in it, is not there, or goes",
        told=AT_ONCE,
        advice="make it, or mend its name in the pod template",
    ),
    Meaning(
        reason=Reason.VOLUME,
        means="a volume is not bound, attached or mounted, for another reason",
        told=f"after {graces.SETUP:g} s; after {graces.UNSCHEDULABLE:g} s where no node can have it, "
        f"and after {graces.BINDING:g} s where its claim has no volume yet",
        advice="the message says why; a volume for one node cannot be in both slots",
    ),
    Meaning(
        reason=Reason.SANDBOX,
        means="the node cannot set up the pod, mostly its network",
        told=f"after {graces.SETUP:g} s",
        advice="look at the node's runtime and network plugin",
    ),
    Meaning(
        reason=Reason.NODE_LOST,
        means="the node that it runs on does not answer",
        told=f"after {graces.NODE:g} s",
        advice="look at the node; its pods are made elsewhere when it is drained or deleted",
    ),
    Meaning(
        reason=Reason.EVICTED,
        means="its pods were evicted or preempted, and those made in their place as well",
        told=f"when more than {graces.LOST_ALLOWED} was lost for each one wanted",
        advice="look at the nodes' memory and disk, and ask for what it really needs",
    ),
    Meaning(
        reason=Reason.POD_FAILED,
        means="nodes refused or failed its pods, and those made in their place as well",
        told=f"when more than {graces.LOST_ALLOWED} was lost for each one wanted",
        advice="the message says why; look at the node",
    ),
    Meaning(
        reason=Reason.QUOTA,
        means="a ResourceQuota has no room for its pods",
        told=f"after {graces.QUOTA:g} s",
        advice="raise the quota, or ask for less; while both slots run there must be room for both",
    ),
    Meaning(
        reason=Reason.ADMISSION,
        means="a policy, a webhook, a limit range or pod security does not allow its pods",
        told=f"at once; a webhook that cannot be called after {graces.WEBHOOK:g} s, "
        f"a service account that is not there after {graces.REFUSAL:g} s",
        advice="mend what the message names in the pod template, or the policy",
    ),
    Meaning(
        reason=Reason.PAUSED,
        means="somebody has paused its rollout",
        told=AT_ONCE,
        advice="resume the rollout",
    ),
    Meaning(
        reason=Reason.NO_PODS,
        means="the platform cannot make its pods, for another reason",
        told=f"after {graces.REFUSAL:g} s",
        advice="the message says why",
    ),
)
"""All of them, in the order of the words."""

ADVICE = {meaning.reason: meaning.advice for meaning in MEANINGS}
