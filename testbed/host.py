"""Whether a cluster can run here at all, found out before anything is started."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from testbed.errors import Unavailable

_PROGRAMS = {
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "mount": "mount",
    "ip": "iproute2",
    "openssl": "openssl",
}
_KINDS = ["--net", "--mount", "--pid", "--uts", "--ipc", "--fork", "--mount-proc", "--propagation", "private"]
_MODULES = ("overlay", "br_netfilter")


def check_host() -> None:
    """Raises Unavailable, in one sentence, when a cluster cannot run on this machine or for this user."""
    if not sys.platform.startswith("linux"):
        raise Unavailable(f"the cluster needs Linux's namespaces, and this is {sys.platform}; use a Linux machine")
    if os.geteuid() != 0:
        raise Unavailable("the cluster needs root to make network namespaces, and this is not root; run it as root")
    for program, package in _PROGRAMS.items():
        if shutil.which(program) is None:
            raise Unavailable(f"the cluster needs `{program}`, which is not here; install Debian's {package}")
    _check_namespaces()
    _check_cgroups(Path("/sys/fs/cgroup"))
    _load_modules()


def layers_by_overlay(folder: Path) -> bool:
    """Whether an overlay filesystem can lie in this folder: not when that is one itself, as in most containers."""
    done = subprocess.run(["stat", "-f", "-c", "%T", folder], capture_output=True, text=True, check=True)
    return done.stdout.strip() not in {"overlayfs", "ramfs"}


def _check_namespaces() -> None:
    script = "mount -t tmpfs none /mnt && ip link add probe0 type bridge"
    done = subprocess.run(["unshare", *_KINDS, "--", "sh", "-ec", script], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise Unavailable(
            f"this machine refuses the namespaces that the cluster needs ({reason}); use a privileged shell"
        )


def _check_cgroups(root: Path) -> None:
    for probe in ("cgroup.controllers", "memory"):
        if (root / probe).exists() and os.access(root, os.W_OK):
            return
    raise Unavailable(f"the cluster needs control groups that root may write at {root}; use a privileged shell")


def _load_modules() -> None:
    """What is not built into the kernel; a machine without modprobe has it, or says so when a node needs it."""
    modprobe = shutil.which("modprobe")
    if modprobe is None:
        return
    for module in _MODULES:
        subprocess.run([modprobe, module], capture_output=True, check=False)
