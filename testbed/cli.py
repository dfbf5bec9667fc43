"""The command line: `python -m testbed up | down | exec | load-image | image | build | status`.

Exit codes: 0 done; 1 failed; 2 usage; 69 a cluster cannot run here. `exec` has the code of its command.
"""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from testbed.cluster import find, need
from testbed.errors import TestbedError
from testbed.places import CONTROL_PLANE, Places, default_places
from testbed.programs import RECIPES, Programs
from testbed.pythonimage import PythonProgram, build
from testbed.start import Wish, link_tools, prepare, up
from testbed.stop import down, leftovers

_ALL = "all"


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    options = _parser().parse_args(words)
    # Ended politely, as by a cancelled CI job, is interrupted: a start takes down what it has begun.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    places = default_places(options.name)
    command: Callable[[Places, argparse.Namespace], int] = options.command
    try:
        return command(places, options)
    except TestbedError as error:
        tell(f"testbed: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        tell("testbed: interrupted")
        return 130


def tell(line: str) -> None:
    """One line for the person who waits, apart from a command's own output."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="testbed", description="A real Kubernetes in network namespaces, for tests.")
    parser.add_argument("--name", default="testbed", help="which cluster, when there are several (%(default)s)")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    one = commands.add_parser("up", help="start the cluster; harmless when it is up")
    one.add_argument("--nodes", type=int, default=2, help="worker nodes (%(default)s)")
    one.add_argument("--without-prometheus", action="store_true", help="leave Prometheus out")
    one.set_defaults(command=_up)
    one = commands.add_parser("down", help="end it and leave nothing")
    one.set_defaults(command=_down)
    one = commands.add_parser("status", help="what runs, and how much memory it takes")
    one.set_defaults(command=_status)
    one = commands.add_parser("exec", help="run a command inside the cluster's network, with KUBECONFIG set")
    one.add_argument("--at", default=CONTROL_PLANE, metavar="SPACE", help="cp, a node n1.. or a pod-like client c1..")
    one.add_argument("words", nargs=argparse.REMAINDER, metavar="-- COMMAND ...")
    one.set_defaults(command=_exec)
    one = commands.add_parser("load-image", help="push an OCI archive to the cluster's registry")
    one.add_argument("archive", type=Path)
    one.add_argument("--image-name", metavar="NAME:TAG", help="instead of the one in the archive")
    one.set_defaults(command=_load_image)
    one = commands.add_parser("image", help="make an OCI archive of a Python program, without a container engine")
    one.add_argument("archive", type=Path)
    one.add_argument("--image-name", required=True, metavar="NAME:TAG")
    one.add_argument("--requirements", required=True, type=Path, help="a lock file with hashes")
    one.add_argument("--tree", required=True, type=Path, help="the folder that holds the program's packages")
    one.add_argument("--module", required=True, help="what `python -m` runs")
    one.add_argument("--env", action="append", default=[], metavar="KEY=VALUE")
    one.set_defaults(command=_image)
    one = commands.add_parser("build", help="build programs that are not built yet")
    names = [*sorted(RECIPES), _ALL]
    which = f"{', '.join(names)}; the last is what up needs, too"
    one.add_argument("programs", nargs="+", choices=names, metavar="PROGRAM", help=which)
    one.set_defaults(command=_build)
    return parser


def _up(places: Places, options: argparse.Namespace) -> int:
    up(places, Wish(nodes=options.nodes, prometheus=not options.without_prometheus), tell=tell)
    return 0


def _down(places: Places, _: argparse.Namespace) -> int:
    down(places, tell=tell)
    return 0


def _status(places: Places, _: argparse.Namespace) -> int:
    cluster = find(places)
    if cluster is None:
        tell("down")
        for line in leftovers(places):
            tell(f"  left: {line}")
        return 1
    for name, space in cluster.spaces.items():
        tell(f"{name}: first process {space.keeper}, {cluster.groups.memory(name).resident} MiB")
    if places.ready.exists():
        tell("started: " + "; ".join(map(str, cluster.marks)))
    for node in cluster.api.nodes():
        tell(f"node {node.name}: {'Ready' if node.ready else 'not Ready'}")
    memory = cluster.groups.memory()
    tell(f"memory: {memory.resident} MiB resident, {memory.cached} MiB of files cached")
    return 0


def _exec(places: Places, options: argparse.Namespace) -> int:
    words = options.words[1:] if options.words[:1] == ["--"] else options.words
    if not words:
        raise TestbedError("exec: no command; write `exec -- COMMAND ...`")
    cluster = need(places)
    link_tools(places, Programs(places.cache))
    command = cluster.command(words, at=options.at)
    sys.stdout.flush()
    os.execvpe(command[0], command, cluster.environment())  # noqa: S606  the command is the caller's own


def _load_image(places: Places, options: argparse.Namespace) -> int:
    name = need(places).load_image(options.archive, name=options.image_name)
    tell(f"loaded {name}")
    return 0


def _image(places: Places, options: argparse.Namespace) -> int:
    env = dict(pair.split("=", 1) for pair in options.env if "=" in pair)
    program = PythonProgram(requirements=options.requirements, tree=options.tree, module=options.module, env=env)
    build(program, name=options.image_name, archive=options.archive, cache=places.cache, tell=tell)
    tell(f"{options.archive}: {options.image_name}, {options.archive.stat().st_size / 1_000_000:.1f} MB")
    return 0


def _build(places: Places, options: argparse.Namespace) -> int:
    wanted = options.programs
    if _ALL in wanted:
        prepare(places, Wish(), tell=tell)
        wanted = sorted(RECIPES)
    for name, program in Programs(places.cache).need(wanted, tell=tell).items():
        tell(f"{name}: {program}")
    return 0
