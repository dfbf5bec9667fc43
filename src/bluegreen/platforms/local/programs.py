"""How programs are started: a small shell script each, and what supervisord is told about it. Pure text.

Supervisord starts a script, the script becomes the program. So the program's environment is exactly what the script
says, its output goes straight to its log (a pipe to supervisord would break when supervisord dies, and take the program
with it), and it leaves its pid behind with the instant of its start.
"""

from __future__ import annotations

import math
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bluegreen.domain.values import dataclass, replace
from bluegreen.platforms.local.processes import IDENTITY_SCRIPT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bluegreen.domain.stack import Seconds
    from bluegreen.platforms.local.layout import Layout

AGENT = "agent"
ENVOY = "envoy"
START_LINE = "bluegreen: start of "
"""How each start begins in the program's log, so that an old life's last line is never taken for a new one's."""
GOOD_SECONDS = 600
"""A program that lived this long starts anew at once and with a fresh count of tries, as on Kubernetes."""

_KEPT = frozenset({"PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One program under supervisord."""

    name: str
    argv: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()
    folder: str = ""
    """Where it starts; empty: the state folder."""
    grace: Seconds = 60.0
    settled_after: int = GOOD_SECONDS
    """Seconds; one that ends sooner is started again after a growing pause."""
    about: str = ""
    """For the start line in its log."""
    kept_by_shell: bool = False
    """The shell waits for the program instead of becoming it."""


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What every program may see of the environment that ``up`` was called in: no tokens, no kubeconfig."""
    return {name: value for name, value in environment.items() if name in _KEPT or name.startswith("LC_")}


def script_text(program: Program) -> str:
    """The start script. It runs in the state folder; its paths are relative to that."""
    name = program.name
    exports = "".join(f"export {key}={shlex.quote(value)}\n" for key, value in program.environment)
    change = f"cd {shlex.quote(program.folder)} || exit 127\n" if program.folder else ""
    return (
        "#!/bin/sh\n"
        f"# How bluegreen starts {name}; written anew at each stage.\n"
        "unset SUPERVISOR_ENABLED SUPERVISOR_SERVER_URL SUPERVISOR_PROCESS_NAME SUPERVISOR_GROUP_NAME\n"
        f"{exports}"
        # Descriptors 3 and 4 keep supervisord's pipes open, unused. The end of the one is how supervisord learns of our
        # end at once. The other, closed early, makes supervisord 4.3 spin if it still watches its number for a dead
        # child.
        f"exec 3>&1 4<&0 </dev/null >>logs/{name}.log 2>&1\n"
        f"echo {shlex.quote(f'{START_LINE}{name} {program.about}'.rstrip())}\n"
        f"{{ echo $$; {IDENTITY_SCRIPT}; }} >pids/{name}\n"
        f"{change}{_last_lines(program)}"
    )


def _last_lines(program: Program) -> str:
    if not program.kept_by_shell:
        return f"exec {shlex.join(program.argv)}\n"
    # The trap lets the shell outlive the signal that goes to both, so that its end is the program's end.
    return f"trap : TERM INT\n{shlex.join(program.argv)}\nexit $?\n"


def program_conf(program: Program) -> str:
    """Supervisord's section about the program. It names no path, so that no path needs its quoting."""
    return (
        f"[program:{program.name}]\n"
        f"command=/bin/sh programs/{program.name}.sh\n"
        "autostart=true\n"
        "autorestart=true\n"
        f"startsecs={program.settled_after}\n"
        "startretries=1000000\n"
        "stopsignal=TERM\n"
        f"stopwaitsecs={max(1, math.ceil(program.grace))}\n"
        "stopasgroup=true\n"
        "killasgroup=true\n"
        "redirect_stderr=true\n"
        "stdout_logfile=NONE\n"
    )


def supervisor_conf(layout: Layout) -> str:
    """The configuration of this stack's own supervisord, which runs in the state folder."""
    user = "user=root\n" if os.getuid() == 0 else ""
    return (
        "[unix_http_server]\n"
        f"file={_plain(layout.supervisor)}\n"
        "chmod=0600\n"
        "[supervisord]\n"
        "logfile=logs/supervisord.log\n"
        "logfile_maxbytes=1MB\n"
        "logfile_backups=1\n"
        "loglevel=info\n"
        f"pidfile={_plain(layout.runtime / 'supervisord.pid')}\n"
        "minfds=256\n"
        "umask=077\n"
        f"{user}"
        "[rpcinterface:supervisor]\n"
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
        "[include]\n"
        "files=conf.d/*.conf\n"
    )


def _plain(path: Path) -> str:
    return str(path).replace("%", "%%")


def own_programs(layout: Layout) -> tuple[Program, ...]:
    """What belongs to the platform itself: the data plane and the agent."""
    envoy = _module(ENVOY, "bluegreen.platforms.local.envoy_run", layout)
    # Envoy ends itself when its parent ends (hot restart asks the kernel for that). Users must not pay for the death of
    # supervisord, so its parent is a shell that does nothing else.
    return replace(envoy, kept_by_shell=True), _module(AGENT, "bluegreen.platforms.local.agent", layout)


def _module(name: str, module: str, layout: Layout) -> Program:
    """The same Python and the same package as the command's, wherever that was started from."""
    import bluegreen

    package = str(Path(bluegreen.__file__).parent.parent)
    return Program(
        name=name,
        argv=(sys.executable, "-m", module, str(layout.state)),
        environment=(("PYTHONPATH", package),),
        grace=5.0,
        settled_after=1,
    )


def replica_environment(
    *,
    own: Sequence[tuple[str, str]],
    port: int,
    slot: str,
    version: str,
    peers: Sequence[tuple[str, str]],
) -> tuple[tuple[str, str], ...]:
    """What a replica sees besides the clean environment; ours goes last, so that it holds."""
    ours = {"HOST": "127.0.0.1", "PORT": str(port), "SLOT": slot, "VERSION": version}
    return tuple({**dict(own), **dict(peers), **ours}.items())
