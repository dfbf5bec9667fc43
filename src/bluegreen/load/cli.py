"""The command line of the load generator.

Decides exit codes: 0 it ran, whatever it counted; 1 with ``--fail-on-loss`` when anything failed; 2 it was asked
for something that is refused; 130 it was stopped before it sent anything.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import resource
import signal
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, NoReturn, TypeVar

from bluegreen.load.classify import CrashWindow
from bluegreen.load.engine import Stop, run_async
from bluegreen.load.plan import MAX_CONNECTIONS, Kind, KindPlan, LoadPlan, PlanError
from bluegreen.load.report import to_text
from bluegreen.load.spans import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bluegreen.load.engine import Progress
    from bluegreen.load.result import LoadResult

EXAMPLES: Final = """\
examples:
  fifty new connections and a hundred requests on 8 kept ones, each second, for half a minute:
    python -m bluegreen.load http://127.0.0.1:8080/api/hello --duration 30 --new 50 --keepalive 100/8

  every kind of client, the result for a program, a line each few seconds:
    python -m bluegreen.load http://127.0.0.1:8080/ --duration 60 --new 20 --keepalive 50 --slow 2 \\
      --post 20 --stream 5 --websocket 20/4 --json result.json --progress

  what the version that is known to be bad answers wrongly, or after more than 800 ms, apart from what is lost:
    python -m bluegreen.load http://127.0.0.1:8080/ --duration 60 --new 50 --bad-version v2.1.0 --slow-over 800

  fail a job when anything was lost, an error page that says 200 included:
    python -m bluegreen.load http://127.0.0.1:8080/ --duration 10 --new 50 --contains hello --fail-on-loss

It stops by itself: at most 30 minutes, 5000 requests a second and 2000 connections. Control-C ends it early and
still accounts for everything sent; a second Control-C no longer waits for answers.
"""


_STANDARD: Final = "-"
"""As a file's name: the standard output."""
SPARE_FILES: Final = 64
"""Open files besides connections."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    try:
        options = _parse(arguments)
        result = asyncio.run(_run(options))
    except PlanError as error:
        return _refuse(error)
    return _finish(result, options)


def _finish(result: LoadResult, options: _Options) -> int:
    """Write what was counted, whatever goes wrong with the files; returns the exit code."""
    code = _exit_code(result, fail_on_loss=options.fail_on_loss)
    try:
        result = result.judged(crash_windows=_read_lines(options.crash_windows, _window, what="the crash windows"))
        code = _exit_code(result, fail_on_loss=options.fail_on_loss)
        result = result.counted(_read_lines(options.spans, _span, what="the spans"))
    except PlanError as error:
        code = _refuse(error)
    try:
        _write_file(result, options.json)
    except OSError as error:
        code = _refuse(PlanError(f"cannot write {options.json}: {error.strerror}; what was counted is below"))
    try:
        _put(sys.stdout, result.to_json() if options.json == _STANDARD else to_text(result))
    except OSError as error:
        code = _refuse(PlanError(f"cannot write the result: {error.strerror}"))
    return code


def _refuse(error: PlanError) -> int:
    sys.stderr.write(f"bluegreen.load: {error}\n")
    return 2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    plan: LoadPlan
    json: str | None
    progress: bool
    fail_on_loss: bool
    crash_windows: Path | None
    spans: Path | None


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Refuse in one line, as everything else that is refused."""
        raise PlanError(f"{message}; --help shows how")


def _parser() -> _Parser:
    parser = _Parser(
        prog="python -m bluegreen.load",
        description="Put a service under steady load and account for every request exactly once.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("url", help="where to: http://HOST:PORT/PATH")
    parser.add_argument("--duration", type=float, required=True, metavar="S", help="seconds to send for")
    for kind in Kind:
        parser.add_argument(f"--{kind}", metavar="RATE[/CONNECTIONS]", help=_KIND_HELP[kind])
    _add_expectations(parser)
    _add_outputs(parser)
    return parser


_KIND_HELP: Final = {
    Kind.NEW: "a new connection for each request (rate only)",
    Kind.KEEPALIVE: "requests on kept connections (8 unless told)",
    Kind.SLOW: "requests that take 2 s by design",
    Kind.POST: "POST of a small JSON body on kept connections",
    Kind.STREAM: "chunked answers, which must be complete",
    Kind.WEBSOCKET: "messages on long-lived WebSockets, each to be echoed",
}


def _add_expectations(parser: _Parser) -> None:
    add = parser.add_argument
    add("--path", action="append", default=[], metavar="KIND=PATH", help="ask this kind for another path")
    add("--contains", action="append", default=[], metavar="[KIND=]TEXT", help="a right answer's body holds TEXT")
    add("--timeout", type=float, default=5.0, metavar="S", help="give a request up after S seconds (default 5)")
    add("--bad-version", action="append", default=[], metavar="V", help="whose wrong answers are its own (repeatable)")
    add("--slow-over", type=float, metavar="MS", help="note answers that take longer as too slow")
    add("--crash-windows", type=Path, metavar="FILE", help=_WINDOWS_HELP)
    add("--spans", type=Path, metavar="FILE", help=_SPANS_HELP)
    add("--max-connections", type=int, default=MAX_CONNECTIONS, metavar="N", help="never have more open")
    add("--allow", action="append", default=[], metavar="HOST", help="a host other than this machine (repeatable)")


_WINDOWS_HELP: Final = (
    "read when the run has ended: when something was dying, a line each, "
    'as {"start_ns": N, "end_ns": N, "slot": "green", "version": "v2"}; with "bare": true where no proxy '
    "accepts connections for the dead, so that new ones are refused"
)


_SPANS_HELP: Final = (
    "read when the run has ended: what is to be counted apart, a line each, as "
    '{"name": "r-1", "slot": "green", "start_ns": N, "until_ns": N, "latest_ns": N}: what the slot answered from the '
    "start until then for certain, and what it may have answered of all that was begun until the latest"
)


def _add_outputs(parser: _Parser) -> None:
    add = parser.add_argument
    add("--json", metavar="FILE", help="write the result as JSON; - is the standard output")
    add("--progress", action="store_true", help="say how it goes every few seconds, on the standard error")
    add("--fail-on-loss", action="store_true", help="exit with 1 when anything failed")


def _parse(arguments: Sequence[str] | None) -> _Options:
    given = _parser().parse_args(arguments)
    paths, texts = _read_paths(given.path), _read_texts(given.contains)
    rates = [(kind, getattr(given, kind)) for kind in Kind]
    kinds = [_kind(kind, rate, timeout=given.timeout) for kind, rate in rates if rate is not None]
    kinds = [replace(plan, path=paths.get(plan.kind, plan.path), contains=texts.get(plan.kind, "")) for plan in kinds]
    plan = LoadPlan(
        url=given.url,
        duration=given.duration,
        kinds=tuple(kinds),
        bad_versions=frozenset(given.bad_version),
        slow_over_ms=given.slow_over,
        max_connections=given.max_connections,
        allow=frozenset(given.allow),
    )
    _check_output(given.json)
    return _Options(
        plan=plan,
        json=given.json,
        progress=given.progress,
        fail_on_loss=given.fail_on_loss,
        crash_windows=given.crash_windows,
        spans=given.spans,
    )


def _kind(kind: Kind, rate: str, *, timeout: float) -> KindPlan:
    """Read ``RATE`` or ``RATE/CONNECTIONS``. Raises PlanError."""
    per_second, slash, connections = rate.partition("/")
    try:
        plan = KindPlan.usual(kind, rate=float(per_second))
        kept = int(connections) if slash else plan.connections
    except ValueError as error:
        if isinstance(error, PlanError):
            raise
        raise PlanError(f"--{kind} {rate}: write RATE or RATE/CONNECTIONS, for example --{kind} 20") from error
    return replace(plan, connections=kept, timeout=timeout)


def _read_paths(values: Sequence[str]) -> dict[Kind, str]:
    """Read ``KIND=PATH``. Raises PlanError."""
    paths: dict[Kind, str] = {}
    for value in values:
        name, _, path = value.partition("=")
        if name not in _KIND_NAMES:
            raise PlanError(f"--path {value}: write KIND=PATH, where KIND is one of {', '.join(Kind)}")
        paths[Kind(name)] = path
    return paths


def _read_texts(values: Sequence[str]) -> dict[Kind, str]:
    """Read ``KIND=TEXT``, or ``TEXT`` for every kind that no other value names."""
    for_all: dict[Kind, str] = {}
    for_one: dict[Kind, str] = {}
    for value in values:
        name, _, text = value.partition("=")
        if name in _KIND_NAMES:
            for_one[Kind(name)] = text
        else:
            for_all = dict.fromkeys(Kind, value)
    return for_all | for_one


_KIND_NAMES: Final = frozenset(kind.value for kind in Kind)


def _check_output(name: str | None) -> None:
    """Find out before the run, not after it, that its result cannot be written."""
    if name is None or name == _STANDARD:
        return
    try:
        with Path(name).open("a", encoding="utf-8"):
            pass
    except OSError as error:
        raise PlanError(f"cannot write {name}: {error.strerror}; give another --json FILE") from error


async def _run(options: _Options) -> LoadResult:
    _allow_files(options.plan.max_connections + SPARE_FILES)
    stop = Stop()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.ask)
    return await run_async(options.plan, stop=stop, progress=_tell if options.progress else None)


def _allow_files(wanted: int) -> None:
    """Raise this process's own limit of open files, as far as it may: 1024 is usual, and too few."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _tell(progress: Progress) -> None:
    said = f"{progress.seconds:.0f} s: {progress.requests} requests done, "
    with contextlib.suppress(OSError):  # a full disk costs a line, not the run
        _put(sys.stderr, f"{said}{progress.under_way} under way, {progress.wrong} not right\n")


def _put(stream: IO[str], text: str) -> None:
    """Write at once. Without a reader it goes nowhere, so that the run goes on and ends as it would. Raises OSError."""
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())  # else the end of Python would try again what is left
        os.close(nowhere)
        if not isinstance(error, BrokenPipeError):
            raise


_T = TypeVar("_T")


def _read_lines(path: Path | None, read: Callable[[dict[str, object]], _T], *, what: str) -> list[_T]:
    """What was noted during the run, a JSON line each. Raises PlanError for a file that is not there or not right."""
    if path is None:
        return []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return [read(json.loads(line)) for line in lines if line.strip()]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise PlanError(f"cannot read {what} in {path}: {error}") from error


def _window(fields: dict[str, object]) -> CrashWindow:
    start, end = _moment(fields, "start_ns"), _moment(fields, "end_ns")
    slot, version = str(fields.get("slot", "")), str(fields.get("version", ""))
    return CrashWindow(start_ns=start, end_ns=end, slot=slot, version=version, bare=fields.get("bare") is True)


def _span(fields: dict[str, object]) -> Span:
    return Span(
        name=str(fields["name"]),
        slot=str(fields["slot"]),
        start_ns=_moment(fields, "start_ns"),
        until_ns=_moment(fields, "until_ns"),
        latest_ns=_moment(fields, "latest_ns"),
    )


def _moment(fields: dict[str, object], name: str) -> int:
    value = fields[name]
    if not isinstance(value, int):
        raise TypeError(f"{name} is a whole number of nanoseconds")
    return value


def _write_file(result: LoadResult, name: str | None) -> None:
    """The JSON to the file that was asked for, if one was. Raises OSError."""
    if name is not None and name != _STANDARD:
        Path(name).write_text(result.to_json(), encoding="utf-8")


def _exit_code(result: LoadResult, *, fail_on_loss: bool) -> int:
    if result.run.stopped_early and not result.columns.total:
        return 130
    return int(fail_on_loss and result.columns.failed > 0)
