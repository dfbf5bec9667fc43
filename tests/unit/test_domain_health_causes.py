"""Verdicts, cause by cause: Krane's table, kubedog's, and ours, each with the rows that must not trigger.

Krane's is in lib/krane/kubernetes_resource/pod.rb and deployment.rb, kubedog's in pkg/tracker/pod and
pkg/tracker/event. Where a row is judged otherwise here, it says why.
"""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.domain_kit import GREEN, snapshot, workload

from bluegreen.domain.health import Doomed, Progressing, Reason, judge
from bluegreen.domain.health.reasons import ADVICE, MEANINGS
from bluegreen.domain.snapshot import Container, Lost, Pod, Running, Terminated, Trouble, Waiting, Windows
from bluegreen.domain.stack import Instant
from bluegreen.domain.values import replace

CRASHED = Terminated(exit_code=3, reason="Error", message="boom")
LOOP = Waiting(reason="CrashLoopBackOff", message="back-off 10s restarting failed container")
NODE_FAULT = Terminated(exit_code=128, reason="ContainerCannotRun")
CANNOT_RUN = Terminated(exit_code=127, reason="ContainerCannotRun", message="exec: not found")
OOM = Terminated(exit_code=137, reason="OOMKilled")
DONE = Terminated(exit_code=0, reason="Completed")
STARTING = Waiting(reason="ContainerCreating")
PROBED = Windows(startup=90.0, readiness=15.0)
UNSTARTED = Windows(readiness=15.0)
EAGER = Windows(startup=90.0, readiness=3.0)
STAT = 'unable to start container process: exec: "/nope": stat /nope: no such file or directory'
FORMAT = "unable to start container process: exec /run: exec format error"


PULL = 'failed to pull and unpack image "r/x:v2"'
HTML = "unexpected media type text/html for sha256:0a: not found"
TOKEN = 'failed to resolve reference "r/x:v2": failed to authorize: failed to fetch anonymous token: unexpected status'
INDEX = 'choosing image instance: no image found in manifest list for architecture arm64, variant "v8", OS linux'
SHORT = 'Failed to inspect image "": short name mode is enforcing, but image name team/x:v2 returns ambiguous list'
RELATION = 'configmaps "c" is forbidden: no relationship found between node "n2" and this object'


MOUNT = (
    'error during container init: error mounting "/var/lib/kubelet/pods/1" to rootfs at "/c": no such file or directory'
)
SECCOMP = 'cannot load seccomp profile "/var/lib/kubelet/seccomp/web.json": no such file or directory'


KILLED = Terminated(exit_code=137, reason="Error")
CURL = 'rpc error: code = Unknown desc = failed to exec in container: exec: "curl": executable file not found in $PATH'


def start_error(message: str) -> Terminated:
    return Terminated(exit_code=128, reason="StartError", message=message)


def waits(reason: str, message: str = "") -> dict[str, Any]:
    return {"state": Waiting(reason=reason, message=message)}


def verdict(one: Pod, *, age: float) -> Doomed | Progressing:
    """Of a slot whose only pod has been like that for so many seconds."""
    since = Instant(100.0)
    containers = tuple(replace(each, since=since) for each in one.containers)
    trouble = replace(one.trouble, since=since) if one.trouble is not None else None
    aged = replace(one, since=since, containers=containers, trouble=trouble)
    found = judge(snapshot(workload(aged, replicas=1), at=100.0 + age), GREEN, revision="r-1")
    assert isinstance(found, Doomed | Progressing)
    return found


def reason(found: Doomed | Progressing) -> str:
    return found.cause.reason if isinstance(found, Doomed) else ""


def contained(**changes: Any) -> Pod:
    """A pod that is not ready, with one container of these."""
    return bad(containers=(Container(name="main", **changes),))


def bad(**changes: Any) -> Pod:
    return Pod(name="p-0", service="pair-back", slot=GREEN, revision="r-1", ready=False, **changes)


# container, seconds in this state -> the reason when doomed, else empty

KRANE = [
    ({"state": LOOP, "last": CRASHED, "restarts": 1}, 0, Reason.CRASH_LOOP),
    ({"state": LOOP, "last": CRASHED, "restarts": 9}, 0, Reason.CRASH_LOOP),
    # Krane calls the first pause a doom. Here one end is a hiccup; a kubelet pauses only after the second.
    ({"state": LOOP, "last": CRASHED, "restarts": 0}, 999, ""),
    ({"state": LOOP, "restarts": 1}, 999, ""),  # how it ended is not known: missing data is no proof
    (waits("ErrImagePull", "manifest for team/x:v2 Not Found"), 0, Reason.IMAGE_NOT_FOUND),
    (waits("ErrImagePull", "failed to resolve reference: team/x:v2: not found"), 0, Reason.IMAGE_NOT_FOUND),
    (waits("ErrImagePull", "dial tcp: i/o timeout"), 89, ""),
    (waits("ErrImagePull"), 89, ""),
    (waits("ImagePullBackOff", 'Back-off pulling image "team/x:v2"'), 89, ""),
    (waits("ImagePullBackOff", "not found"), 89, ""),
    (waits("CreateContainerConfigError", 'secret "s" not found'), 0, Reason.CONFIG_MISSING),
    (waits("CreateContainerConfigError", "failed to sync secret cache: timed out"), 999, ""),
    (waits("CreateContainerConfigError", "failed to sync configmap cache: timed out"), 999, ""),
    ({"state": CANNOT_RUN}, 0, Reason.CANNOT_RUN),
    ({"last": CANNOT_RUN, "restarts": 1}, 0, Reason.CANNOT_RUN),
    ({"state": NODE_FAULT}, 999, ""),
    ({"last": NODE_FAULT, "restarts": 1}, 999, ""),
    (waits("ContainerCreating"), 999, ""),
    (waits("PodInitializing"), 999, ""),
    ({"state": Running()}, 999, ""),
    # A failing readiness probe alone is no doom there; here only beyond its own window, which is not known of this one.
    ({"failing": "readiness: GET /ready answered 503"}, 999, ""),
]

KUBEDOG = [
    (waits("ErrImageNeverPull"), 0, Reason.IMAGE_NOT_ON_NODE),
    (waits("ErrImagePull", "not found"), 0, Reason.IMAGE_NOT_FOUND),
    # It counts each of these as an error and allows one; here the kubelet's own tries are counted, by their times.
    (waits("ErrImagePull", "dial tcp: connection refused"), 90, Reason.PULL_FAILS),
    (waits("ImagePullBackOff", "Back-off"), 90, Reason.PULL_FAILS),
    ({"state": LOOP, "last": CRASHED, "restarts": 1}, 0, Reason.CRASH_LOOP),
    ({"state": CRASHED}, 999, ""),  # one error is allowed
    ({"state": CRASHED, "last": CRASHED, "restarts": 2}, 0, Reason.CRASH_LOOP),  # the next is not
    # "failed startup probe, will be restarted": its window is over by the kubelet's own word
    ({"started": False, "condemned": "startup", "windows": PROBED}, 0, Reason.STARTUP),
    ({"started": False, "condemned": "startup", "last": OOM, "restarts": 1}, 0, Reason.STARTUP),
    ({"condemned": "startup", "last": CRASHED, "restarts": 1}, 999, ""),  # its next life has started
    # "failed liveness probe, will be restarted"
    ({"condemned": "liveness", "last": CRASHED, "restarts": 1}, 999, ""),
    ({"condemned": "liveness", "last": CRASHED, "restarts": 2}, 0, Reason.LIVENESS),
    ({"state": LOOP, "condemned": "liveness", "last": CRASHED, "restarts": 1}, 0, Reason.LIVENESS),
    # "Readiness probe failed": ignored for a window computed from the probes
    ({"failing": "readiness: 503", "windows": PROBED}, 32, ""),
    ({"failing": "readiness: 503", "windows": PROBED}, 33, Reason.READINESS),
    ({"failing": "readiness: 503", "windows": EAGER}, 29, ""),
    ({"failing": "readiness: 503", "windows": EAGER}, 30, Reason.READINESS),
    ({"failing": "readiness: 503", "windows": UNSTARTED}, 59, ""),
    ({"failing": "readiness: 503", "windows": UNSTARTED}, 60, Reason.READINESS),
    # Four minutes without an event are an error there. Here the limits that have a reason decide: a large image is
    # silent for as long.
    (waits("ContainerCreating"), 240, ""),
]

OURS = [
    # images
    (waits("InvalidImageName", "couldn't parse image name"), 0, Reason.IMAGE_NAME),
    (waits("SignatureValidationFailed"), 0, Reason.IMAGE_UNTRUSTED),
    (waits("RegistryUnavailable"), 89, ""),
    (waits("RegistryUnavailable"), 90, Reason.PULL_FAILS),
    (waits("ErrImagePull", "manifest unknown"), 0, Reason.IMAGE_NOT_FOUND),
    (waits("ImagePullBackOff", 'Back-off pulling image "x": ErrImagePull: x:v2: not found'), 0, Reason.IMAGE_NOT_FOUND),
    (waits("ImagePullBackOff", 'Back-off pulling image "x": ErrImagePull: i/o timeout'), 89, ""),
    (waits("ErrImagePull", "no match for platform in manifest: not found"), 0, Reason.WRONG_ARCHITECTURE),
    (waits("ErrImagePull", "no matching manifest for linux/arm64 in the manifest list"), 0, Reason.WRONG_ARCHITECTURE),
    (waits("ErrImagePull", "pull access denied, insufficient_scope: authorization failed"), 29, ""),
    (waits("ErrImagePull", "pull access denied, insufficient_scope: authorization failed"), 30, Reason.PULL_FAILS),
    (waits("ErrImagePull", "denied: 503 Service Unavailable"), 89, ""),
    (waits("ErrImagePull", "dial tcp: lookup reg.example on 10.0.0.2: host not found"), 89, ""),
    (waits("ErrImagePull", "unexpected status: 502 Bad Gateway: not found"), 89, ""),
    (waits("ErrImagePull", "toomanyrequests: manifest not found in cache"), 89, ""),
    # an image that is known, of which the node has not got all, and who gives the right to pull
    (waits("ErrImagePull", f"{PULL}: failed to unpack image on snapshotter overlayfs: {HTML}"), 89, ""),
    (waits("ErrImagePull", f"{PULL}: {HTML}"), 90, Reason.PULL_FAILS),
    (
        waits("ErrImagePull", f"{PULL}: failed to get reader from content store: content digest sha256:0a: not found"),
        89,
        "",
    ),
    (
        waits("ErrImagePull", f"{PULL}: failed open: content at https://r/v2/x/blobs/sha256:0a not found: not found"),
        89,
        "",
    ),
    (waits("ErrImagePull", f"{PULL}: {TOKEN}: 404 Not Found"), 89, ""),
    (waits("ErrImagePull", f"{PULL}: {TOKEN}: 403 Forbidden"), 29, ""),
    (waits("ErrImagePull", f"{PULL}: {TOKEN}: 403 Forbidden"), 30, Reason.PULL_FAILS),
    (waits("ErrImagePull", f"{PULL}: {TOKEN}: 503 Service Unavailable"), 89, ""),
    (
        waits("ErrImagePull", 'error getting credentials: exec: "docker-credential-x": executable file not found'),
        89,
        "",
    ),
    (
        waits("ErrImagePull", "Get https://1.dkr.ecr.eu.aws/v2/x/manifests/v2: no basic auth credentials"),
        30,
        Reason.PULL_FAILS,
    ),
    # CRI-O's words
    (
        waits("ErrImagePull", "reading manifest v2 in quay.io/x: name unknown: repository not found"),
        0,
        Reason.IMAGE_NOT_FOUND,
    ),
    (waits("ErrImagePull", "name unknown: repository name not known to registry"), 0, Reason.IMAGE_NOT_FOUND),
    (waits("ErrImagePull", INDEX), 0, Reason.WRONG_ARCHITECTURE),
    (waits("ImagePullBackOff", f'Back-off pulling image "x": ErrImagePull: {INDEX}'), 0, Reason.WRONG_ARCHITECTURE),
    (waits("ImageInspectError", SHORT), 0, Reason.IMAGE_NAME),
    (
        waits("ErrImagePull", 'short-name "x:v2" did not resolve to an alias and no unqualified-search registries'),
        0,
        Reason.IMAGE_NAME,
    ),
    (waits("ImageInspectError", 'Failed to inspect image "x": rpc error: code = Unknown'), 89, ""),
    (waits("ImageInspectError", 'Failed to inspect image "x": rpc error: code = Unknown'), 90, Reason.PULL_FAILS),
    # configuration
    (
        waits("CreateContainerConfigError", "services have not yet been read at least once, cannot construct envvars"),
        29,
        "",
    ),
    (waits("CreateContainerConfigError", RELATION), 29, ""),
    (waits("CreateContainerConfigError", RELATION), 30, Reason.CONFIG_INVALID),
    (
        waits("CreateContainerConfigError", 'Get "https://10.0.0.1/api": dial tcp 10.0.0.1:443: connection refused'),
        29,
        "",
    ),
    (waits("CreateContainerConfigError", 'configmap "c" not found'), 0, Reason.CONFIG_MISSING),
    (waits("CreateContainerConfigError", "couldn't find key K in Secret ns/s"), 0, Reason.CONFIG_MISSING),
    (
        waits("CreateContainerConfigError", "container has runAsNonRoot and image will run as root"),
        0,
        Reason.RUNS_AS_ROOT,
    ),
    (waits("CreateContainerConfigError", "runAsUser breaks non-root policy"), 0, Reason.RUNS_AS_ROOT),
    (waits("CreateContainerConfigError", "invalid capability"), 0, Reason.CONFIG_INVALID),
    # the program
    (waits("RunContainerError", STAT), 0, Reason.CANNOT_RUN),
    (waits("RunContainerError", "context deadline exceeded"), 999, ""),
    ({"state": Terminated(exit_code=128, reason="StartError", message=STAT)}, 0, Reason.CANNOT_RUN),
    ({"state": Terminated(exit_code=128, reason="StartError", message="no space left")}, 999, ""),
    ({"state": Terminated(exit_code=128, reason="StartError", message=FORMAT)}, 0, Reason.WRONG_ARCHITECTURE),
    ({"state": LOOP, "last": replace(CANNOT_RUN, message=FORMAT)}, 0, Reason.WRONG_ARCHITECTURE),
    ({"last": replace(NODE_FAULT, message=STAT), "restarts": 1}, 0, Reason.CANNOT_RUN),
    ({"last": replace(CRASHED, message="open x: no such file or directory"), "restarts": 1}, 999, ""),  # its own words
    # runc and crun, of the program
    (waits("RunContainerError", 'exec: "web": executable file not found in $PATH'), 0, Reason.CANNOT_RUN),
    (
        waits("RunContainerError", "executable file `web` not found in $PATH: No such file or directory"),
        0,
        Reason.CANNOT_RUN,
    ),
    (waits("RunContainerError", 'exec: "/etc/passwd": permission denied'), 0, Reason.CANNOT_RUN),
    (waits("RunContainerError", "open executable: Permission denied"), 0, Reason.CANNOT_RUN),
    (
        waits("RunContainerError", 'chdir to cwd ("/root/x") set in config.json failed: permission denied'),
        0,
        Reason.CANNOT_RUN,
    ),
    # the same words, of what is not the program
    (waits("RunContainerError", MOUNT), 999, ""),
    ({"last": start_error(MOUNT), "restarts": 1}, 999, ""),
    ({"last": start_error("mkdir /sys/fs/cgroup/kubepods/x: no such file or directory"), "restarts": 1}, 999, ""),
    (
        waits("CreateContainerError", 'failed to generate spec: failed to stat "/data": no such file or directory'),
        29,
        "",
    ),
    (waits("CreateContainerError", SECCOMP), 29, ""),
    (waits("CreateContainerError", SECCOMP), 30, Reason.CANNOT_CREATE),
    (waits("CreateContainerError", "no command specified"), 0, Reason.CANNOT_RUN),
    (waits("CreateContainerError", "context deadline exceeded"), 29, ""),
    (waits("CreateContainerError", "name web_x is reserved for 12ab"), 29, ""),
    (waits("CreateContainerError", "context deadline exceeded"), 30, Reason.CANNOT_CREATE),
    # crashes
    ({"state": OOM}, 999, ""),
    ({"last": OOM, "restarts": 1}, 999, ""),  # once may be a peak at the start
    ({"state": LOOP, "last": OOM, "restarts": 1}, 0, Reason.OUT_OF_MEMORY),
    ({"last": OOM, "restarts": 2}, 0, Reason.OUT_OF_MEMORY),
    ({"state": LOOP, "last": DONE, "restarts": 1}, 0, Reason.EXITS),
    ({"last": DONE, "restarts": 1}, 999, ""),
    ({"state": LOOP, "last": NODE_FAULT, "restarts": 1}, 0, Reason.CANNOT_CREATE),  # a fault each time is one, too
    ({"last": NODE_FAULT, "restarts": 2}, 0, Reason.CANNOT_CREATE),
    ({"state": LOOP, "last": start_error(MOUNT), "restarts": 1}, 0, Reason.CANNOT_CREATE),
    ({"last": CRASHED, "restarts": 1}, 999, ""),
    ({"restarts": 2}, 999, ""),
    ({"state": STARTING, "last": CRASHED, "restarts": 1}, 999, ""),  # its second life is being made
    ({**waits("CreateContainerConfigError", "failed to sync secret cache"), "last": CRASHED, "restarts": 1}, 999, ""),
    # a hook: the kubelet ends the container, so its exit code and its log say nothing
    ({**waits("PostStartHookError"), "last": KILLED, "restarts": 0}, 999, ""),
    ({**waits("PostStartHookError"), "last": KILLED, "restarts": 1}, 0, Reason.HOOK),
    ({"state": LOOP, "condemned": "postStart", "last": KILLED, "restarts": 1}, 0, Reason.HOOK),
    ({"condemned": "postStart", "last": KILLED, "restarts": 1}, 999, ""),
    ({"state": LOOP, "condemned": "postStart", "last": OOM, "restarts": 1}, 0, Reason.OUT_OF_MEMORY),
    # a probe by command: what cannot be executed is no failure to a kubelet, which goes on for good
    ({"started": False, "failing": f"startup: {CURL}", "windows": PROBED}, 0, Reason.STARTUP),
    ({"failing": f"readiness: {CURL}", "windows": PROBED}, 0, Reason.READINESS),
    ({"failing": "readiness: sh: curl: not found", "windows": PROBED}, 32, ""),
    # probes
    ({"started": False, "failing": "startup: 503", "windows": PROBED}, 92, ""),
    ({"started": False, "failing": "startup: 503", "windows": PROBED}, 93, Reason.STARTUP),
    ({"started": False, "state": STARTING, "windows": PROBED}, 999, ""),  # the window begins with the program
    ({"started": False, "windows": Windows()}, 999, ""),
    ({"windows": PROBED}, 999, ""),  # nothing fails: the platform is only slow to say that it is ready
    ({"failing": "liveness: 503", "windows": Windows()}, 999, ""),
]


@pytest.mark.parametrize(("container", "age", "expected"), KRANE)
def test_kranes_table(container: dict[str, Any], age: float, expected: str) -> None:
    assert reason(verdict(contained(**container), age=age)) == expected


@pytest.mark.parametrize(("container", "age", "expected"), KUBEDOG)
def test_kubedogs_table(container: dict[str, Any], age: float, expected: str) -> None:
    assert reason(verdict(contained(**container), age=age)) == expected


@pytest.mark.parametrize(("container", "age", "expected"), OURS)
def test_our_table(container: dict[str, Any], age: float, expected: str) -> None:
    assert reason(verdict(contained(**container), age=age)) == expected


ROOM = "0/2 nodes are available: 2 Insufficient cpu."
CLAIM = '0/2 nodes are available: persistentvolumeclaim "data" not found.'
EPHEMERAL = (
    '0/2 nodes are available: waiting for ephemeral volume controller to create the persistentvolumeclaim "p-x".'
)
ONLY_ONE = "0/2 nodes are available: 2 node has pod using PersistentVolumeClaim with the same name and "
ONLY_ONE += "ReadWriteOncePod access mode."
SECRET = 'MountVolume.SetUp failed for volume "v" : secret "s" not found'
AUTHORITIES = 'MountVolume.SetUp failed for volume "kube-api-access-x" : configmap "kube-root-ca.crt" not found'
KEY = 'MountVolume.SetUp failed for volume "v" : references non-existent config key: k'
RACE = 'MountVolume.SetUp failed for volume "v" : failed to sync secret cache: timed out; secret "s" not found'
MULTI = 'Multi-Attach error for volume "v": Volume is already used by pod(s) p-9'
NETWORK = "failed to setup network for sandbox: no IP addresses available"

PODS = [
    (bad(unplaced=ROOM), 19, ""),
    (bad(unplaced=ROOM), 20, Reason.UNSCHEDULABLE),
    (bad(unplaced=ROOM, promised="an autoscaler makes a node"), 999, ""),
    (bad(unplaced="gated", promised="its scheduling gates are not open yet"), 999, ""),
    (bad(unplaced=CLAIM), 0, Reason.VOLUME_MISSING),
    (bad(unplaced='0/2 nodes are available: persistentvolumeclaim "data" is being deleted.'), 0, Reason.VOLUME_MISSING),
    # a disk is made for it; and the claims of which there can be but one user
    (bad(unplaced="0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims."), 59, ""),
    (bad(unplaced="0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims."), 60, Reason.VOLUME),
    (bad(unplaced=EPHEMERAL), 59, ""),
    (bad(unplaced=ONLY_ONE), 19, ""),
    (bad(unplaced=ONLY_ONE), 20, Reason.VOLUME),
    (
        bad(unplaced="0/3 nodes are available: 3 node(s) didn't match pod topology spread constraints."),
        20,
        Reason.UNSCHEDULABLE,
    ),
    (bad(trouble=Trouble(reason="ReadinessGatesNotReady", message="gate x")), 999, ""),
    (bad(trouble=Trouble(reason="FailedMount", message=SECRET)), 0, Reason.VOLUME_MISSING),
    (bad(trouble=Trouble(reason="FailedMount", message=KEY)), 0, Reason.VOLUME_MISSING),
    (bad(trouble=Trouble(reason="FailedMount", message=RACE)), 29, ""),
    (bad(trouble=Trouble(reason="FailedMount", message=AUTHORITIES)), 29, ""),
    (bad(trouble=Trouble(reason="FailedMount", message=AUTHORITIES)), 30, Reason.VOLUME),
    (bad(trouble=Trouble(reason="FailedMount", message="timed out")), 29, ""),
    (bad(trouble=Trouble(reason="FailedMount", message="timed out")), 30, Reason.VOLUME),
    (bad(trouble=Trouble(reason="FailedAttachVolume", message=MULTI)), 29, ""),
    (bad(trouble=Trouble(reason="FailedAttachVolume", message=MULTI)), 30, Reason.VOLUME),
    (bad(trouble=Trouble(reason="FailedCreatePodSandBox", message=NETWORK)), 29, ""),
    (bad(trouble=Trouble(reason="FailedCreatePodSandBox", message=NETWORK)), 30, Reason.SANDBOX),
    (bad(trouble=Trouble(reason="NodeNotReady", message="Node is not ready")), 29, ""),
    (bad(trouble=Trouble(reason="NodeNotReady", message="Node is not ready")), 30, Reason.NODE_LOST),
    (bad(trouble=Trouble(reason="FailedPreStopHook")), 999, ""),
    (bad(trouble=Trouble(reason="FailedKillPod")), 999, ""),
    (bad(), 999, ""),
    (
        bad(was_ready=True, containers=(Container(name="main", state=LOOP, last=CRASHED, restarts=1),)),
        0,
        Reason.CRASH_AFTER_READY,
    ),
    (bad(was_ready=True, containers=(Container(name="main", last=CRASHED, restarts=1),)), 999, ""),
]


@pytest.mark.parametrize(("one", "age", "expected"), PODS)
def test_pods(one: Pod, age: float, expected: str) -> None:
    assert reason(verdict(one, age=age)) == expected


FORBIDDEN = 'pods "x" is forbidden: '
NO_SET = 'Failed to create new replica set "x-7d9": '
CONFLICT = 'Operation cannot be fulfilled on resourcequotas "q": the object has been modified'
PROBLEMS = [
    (FORBIDDEN + "exceeded quota: q, requested: pods=1, used: pods=4, limited: pods=4", 4, ""),
    (FORBIDDEN + "exceeded quota: q, requested: pods=1, used: pods=4, limited: pods=4", 5, Reason.QUOTA),
    (FORBIDDEN + "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no", 0, Reason.ADMISSION),
    ('admission webhook "w.example" denied the request: no', 0, Reason.ADMISSION),
    (FORBIDDEN + 'violates PodSecurity "restricted:latest": runAsNonRoot != true', 0, Reason.ADMISSION),
    (FORBIDDEN + "maximum cpu usage per Container is 1, but limit is 2", 0, Reason.ADMISSION),
    ('Internal error occurred: failed calling webhook "w.example": connection refused', 29, ""),
    ('Internal error occurred: failed calling webhook "w.example": connection refused', 30, Reason.ADMISSION),
    (FORBIDDEN + 'error looking up service account a/b: serviceaccount "b" not found', 9, ""),
    (FORBIDDEN + 'error looking up service account a/b: serviceaccount "b" not found', 10, Reason.ADMISSION),
    ("the Deployment x is paused", 0, Reason.PAUSED),
    # kubernetes #67761 and its like: the controller tries again, and so it may be good in a moment
    (CONFLICT, 9, ""),
    (CONFLICT, 10, Reason.NO_PODS),
    ("etcdserver: leader changed", 9, ""),
    ("Internal error occurred: resource quota evaluation timed out", 9, ""),
    ("Timeout: request did not complete within requested timeout - context deadline exceeded", 9, ""),
    ("the server has received too many requests and has asked us to try again later", 9, ""),
    (FORBIDDEN + "status unknown for quota: compute, resources: limits.cpu", 9, ""),
    (FORBIDDEN + "not yet ready to handle request", 9, ""),
    # a policy that asks a registry for signatures
    ('admission webhook "mutate.kyverno" denied the request: Get "https://ghcr.io/v2/": i/o timeout', 9, ""),
    (
        'admission webhook "mutate.kyverno" denied the request: Get "https://ghcr.io/v2/": i/o timeout',
        10,
        Reason.ADMISSION,
    ),
    ('Pod "x" is invalid: spec.containers[0].resources.requests: Invalid value: "2"', 0, Reason.ADMISSION),
    (FORBIDDEN + "unable to create new content in namespace shop because it is being terminated", 0, Reason.ADMISSION),
    (NO_SET + "exceeded quota: q, requested: count/replicasets.apps=1", 5, Reason.QUOTA),
    (NO_SET + 'admission webhook "w.example" denied the request: no', 9, ""),
    (NO_SET + 'admission webhook "w.example" denied the request: no', 10, Reason.ADMISSION),
    ("something else", 9, ""),
    ("something else", 10, Reason.NO_PODS),
]


@pytest.mark.parametrize(("problem", "age", "expected"), PROBLEMS)
def test_pods_that_the_platform_does_not_make(problem: str, age: float, expected: str) -> None:
    work = workload(problem=problem, problem_since=100.0)
    found = judge(snapshot(work, at=100.0 + age), GREEN, revision="r-1")
    assert isinstance(found, Doomed | Progressing)
    assert reason(found) == expected


def test_ready_beats_a_problem_with_further_pods() -> None:
    """kubedog #339: what is wanted is there, so what else fails is nobody's doom."""
    whole = replace(bad(), ready=True)
    work = workload(whole, replicas=1, problem=FORBIDDEN + "exceeded quota", problem_since=0.0)
    assert not isinstance(judge(snapshot(work, at=999.0), GREEN, revision="r-1"), Doomed)


def lost(count: int, word: str) -> tuple[Lost, ...]:
    return tuple(Lost(pod=f"l-{number}", reason=word, message="low on memory") for number in range(count))


@pytest.mark.parametrize(
    ("over", "expected"),
    [
        (lost(2, "Evicted"), ""),  # Krane: an evicted or preempted pod of a workload is no failure, another is made
        (lost(2, "Preempting"), ""),
        (lost(3, "Evicted"), Reason.EVICTED),
        (lost(3, "Preempting"), Reason.EVICTED),
        (lost(2, "UnexpectedAdmissionError"), ""),  # any other way of failing dooms the pod there, and here as well
        (lost(3, "UnexpectedAdmissionError"), Reason.POD_FAILED),
    ],
)
def test_pods_that_are_lost(over: tuple[Lost, ...], expected: str) -> None:
    work = replace(workload(contained(state=STARTING), replicas=2), lost=over)
    found = judge(snapshot(work), GREEN, revision="r-1")
    assert isinstance(found, Doomed | Progressing)
    assert reason(found) == expected


def test_every_reason_has_its_meaning_and_a_row() -> None:
    rows = [*KRANE, *KUBEDOG, *OURS, *PODS, *PROBLEMS]
    told = {str(row[2]) for row in rows} | {Reason.EVICTED, Reason.POD_FAILED, ""}
    assert told == {*Reason, ""}
    assert [meaning.reason for meaning in MEANINGS] == list(Reason)
    assert all(ADVICE.values())
