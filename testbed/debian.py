"""Programs from Debian packages, unpacked into the cache and not installed.

Nothing of the machine changes: no service starts, and a container engine that is already there stays as it is
(Debian's containerd would replace it). The packages are those of the machine's own distribution, so that they
fit its C library.
"""

import hashlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from testbed.errors import TestbedError, Unavailable
from testbed.processes import run

Tell = Callable[[str], None]

NODE_PACKAGES = (
    "containerd",
    "runc",
    "libseccomp2",
    "containernetworking-plugins",
    "docker-registry",
    "iptables",
    "libxtables12",
    "libip4tc2",
    "libip6tc2",
    "libnftnl11",
    "libmnl0",
    "libnetfilter-conntrack3",
    "libnfnetlink0",
)
# Debian makes these names at installation; the program does what the name says.
_IPTABLES_NAMES = tuple(f"{family}{verb}" for family in ("iptables", "ip6tables") for verb in ("", "-save", "-restore"))


def unpack(packages: Sequence[str], *, into: Path, tell: Tell) -> Path:
    """A folder below `into` with the files of these packages; downloads them when it is not there yet."""
    folder = into / _key(packages)
    if folder.exists():
        return folder
    if shutil.which("apt-get") is None:
        raise Unavailable(
            "the cluster's programs come from Debian packages, and there is no apt-get here; use Debian or Ubuntu"
        )
    tell(f"downloading {len(packages)} Debian packages (unpacked into the cache, not installed)")
    work = folder.with_suffix(".work")
    shutil.rmtree(work, ignore_errors=True)
    archives = work / "archives"
    archives.mkdir(parents=True)
    _download(packages, archives)
    for archive in sorted(archives.glob("*.deb")):
        run(["dpkg-deb", "--extract", archive, work / "root"])
    (work / "root").rename(folder)
    shutil.rmtree(work)
    return folder


def node_programs(*, into: Path, tell: Tell) -> Path:
    """The folder with containerd, runc, the network plugins, the registry and iptables."""
    root = unpack(NODE_PACKAGES, into=into, tell=tell)
    for name in _IPTABLES_NAMES:
        link = root / "usr" / "sbin" / name
        if not link.exists():
            link.unlink(missing_ok=True)
            link.symlink_to("xtables-nft-multi")
    return root


def promtool(*, into: Path, tell: Tell) -> Path:
    """Prometheus' own checker of rules: from Debian's package, 19 MB to download and none of Go's minutes to build."""
    return unpack(["prometheus"], into=into, tell=tell) / "usr" / "bin" / "promtool"


def prometheus(*, into: Path, tell: Tell) -> Path:
    """The server of the same package: for tests of who asks it, where no cluster is needed."""
    return unpack(["prometheus"], into=into, tell=tell) / "usr" / "bin" / "prometheus"


def environment(root: Path, base: Mapping[str, str]) -> dict[str, str]:
    """`base` with the programs and libraries of an unpacked folder in front of the machine's."""
    libraries = sorted(str(path) for path in root.glob("usr/lib/*-linux-gnu"))
    plugins = [str(path) for path in root.glob("usr/lib/*-linux-gnu/xtables")]
    programs = [str(root / "usr" / "sbin"), str(root / "usr" / "bin")]
    return {
        **base,
        "PATH": ":".join([*programs, "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]),
        "LD_LIBRARY_PATH": ":".join(libraries),
        "XTABLES_LIBDIR": ":".join(plugins),
    }


def release() -> str:
    """The distribution and its release, as /etc/os-release names them."""
    try:
        lines = Path("/etc/os-release").read_text().splitlines()
    except FileNotFoundError:
        return "unknown"
    known = dict(line.partition("=")[::2] for line in lines if "=" in line)
    return f"{known.get('ID', 'unknown')}-{known.get('VERSION_ID', '0')}".replace('"', "")


def _key(packages: Sequence[str]) -> str:
    digest = hashlib.sha256("\n".join(packages).encode()).hexdigest()
    return f"{release()}-{digest[:16]}"


def _download(packages: Sequence[str], folder: Path) -> None:
    command = ["apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", *packages]
    try:
        run(command, cwd=folder, limit=300)
    except TestbedError:  # the lists may be old or missing: fetch them once, then it has to work
        run(["apt-get", "update", "-q"], limit=300)
        run(command, cwd=folder, limit=300)
