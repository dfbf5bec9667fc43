"""A stack of its own in a folder of its own: images, `bluegreen` commands, users as load. For the demo and the tests.

It works through the command line only, as a user does; what it knows of the stack it reads from ``status``. Here are
the parts that every platform shares, and Alfred on one machine; Alfred in a cluster is in ``cluster_harness``.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

HERE = Path(__file__).resolve().parent
ALFRED = HERE / "alfred"
sys.path.insert(0, str(ALFRED))

from images import make_image  # noqa: E402 - it lies beside the application

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

SIZE = "    replicas: 2"
LIMIT_OF_SLOWNESS = "p95_overhead_ms: 150"
LAME_DUCK = '    environment: {LAME_DUCK_SECONDS: "2"}\n'
"""Two seconds in which an ending replica still answers, for three: no client here leaves a connection idle so long."""

COMMAND_LIMIT = 240.0
"""No command of a test or the demo takes longer; one that does is a failure."""

_TOLD = 20
"""Requests that failed, told one by one by a failing test."""

SETTLE = 3.0
"""Seconds that load runs before the first release and after the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str
    seconds: float

    @property
    def events(self) -> list[dict[str, Any]]:
        """The JSON lines of ``--output json``."""
        return [json.loads(line) for line in self.out.splitlines() if line.startswith("{")]

    @property
    def why(self) -> str:
        """How it ended in one line: what a list of failed tests has room for."""
        for event in reversed(self.events):
            if "headline" in event:
                return "; ".join([event["headline"], *event["details"]])
        return next((line for line in self.err.splitlines() if line), "it said nothing")


class Commands:
    """A stack, as its command line shows it."""

    folder: Path
    """Where the commands run, and where load leaves its results."""

    def command(self, *words: str) -> list[str]:
        """The command line of one ``bluegreen`` command on this stack."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        """The environment of every command."""
        return {**os.environ, "NO_COLOR": "1"}

    def start(self, *words: str, **more: Any) -> subprocess.Popen[str]:  # noqa: ANN401 - Popen's own options
        """Start a command and come back at once."""
        return subprocess.Popen(self.command(*words), cwd=self.folder, env=self.environment(), text=True, **more)

    def run(self, *words: str, output: str = "text") -> Done:
        """Run a command to its end."""
        started = time.monotonic()
        process = self.start("--output", output, *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            out, err = process.communicate(timeout=COMMAND_LIMIT)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            out, err = process.communicate()
            raise AssertionError(f"{words} took longer than {COMMAND_LIMIT:g} s:\n{out}\n{err}") from None
        return Done(code=process.returncode, out=out, err=err, seconds=time.monotonic() - started)

    def must(self, *words: str, code: int = 0, output: str = "text") -> Done:
        """Run a command that has to end with this exit code."""
        done = self.run(*words, output=output)
        if done.code != code:
            said = f"exit {done.code}, not {code}: {done.why}"
            raise AssertionError(f"{said}: {' '.join(words)}\n{done.out}\n{done.err}")
        return done

    def deploy(self, tag: str, *words: str, code: int = 0, output: str = "text") -> Done:
        """Release one version of both services."""
        return self.must("deploy", *images_of(tag), *words, code=code, output=output)

    def report(self, run: str = "") -> dict[str, Any]:
        """The report of a run, the newest by default."""
        events = self.must("show", *([run] if run else []), output="json").events
        return next(event for event in events if event["event"] == "report")

    def status(self) -> dict[str, Any]:
        """What ``status`` says."""
        found: dict[str, Any] = self.must("status", output="json").events[-1]
        return found

    def standing(self) -> dict[str, Any]:
        """The same, but for what probes find of a replica at the moment: on a busy machine one may fail."""
        status = self.status()
        for service in services(status):
            del service["ready"], service["trouble"]
        return status


def services(status: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Those of both slots, of what ``status`` says."""
    return [service for slot in status["slots"] for service in slot["services"]]


class LocalStack(Commands):
    """Alfred on this machine, in ``folder``."""

    def __init__(self, folder: Path) -> None:
        """Nothing is started; the app file is copied so that its images lie in the folder."""
        self.folder = folder
        self.state = folder / "state"
        self.images = folder / "images"
        folder.mkdir(parents=True, exist_ok=True)
        self.app = folder / "bluegreen.yaml"
        self.app.write_text((ALFRED / "bluegreen.yaml").read_text().replace(SIZE, LAME_DUCK + SIZE))

    def image(self, tag: str, *, fault: str = "", service: str = "gateway") -> None:
        """Make the images of one version; the fault is in the service named."""
        for name in ("backend", "gateway"):
            make_image(self.images, service=name, tag=tag, fault=fault if name == service else "")

    def allow_slowness(self, *, limit_ms: int = 5000) -> None:
        """Put the limit of slowness out of reach: a machine that runs much else is slow by itself."""
        text = self.app.read_text()
        assert LIMIT_OF_SLOWNESS in text
        self.app.write_text(text.replace(LIMIT_OF_SLOWNESS, f"p95_overhead_ms: {limit_ms}"))

    def command(self, *words: str) -> list[str]:
        """The command line of one ``bluegreen`` command on this stack."""
        return [sys.executable, "-m", "bluegreen", "--state", str(self.state), *words]

    def up(self, tag: str = "v1") -> None:
        """Start it with this version in both slots, on ports that are free."""
        text = self.app.read_text().replace(":v1", f":{tag}")
        self.app.write_text(text)
        self.must("up", "--app", str(self.app), "--port", "backend=0", "--port", "gateway=0")

    def down(self) -> None:
        """End it, and everything that it left."""
        self.must("down", "--purge")

    def users(self, service: str = "gateway") -> str:
        """The address that users call."""
        return next(str(item["users"]) for item in self.status()["addresses"] if item["service"].endswith(service))


class StartLoad(Protocol):
    """Starts users of every kind."""

    def __call__(self, stack: LocalStack, *, bad: Sequence[str] = (), rates: Rates | None = None) -> Load:
        """``bad``: versions whose wrong answers are their own."""


def images_of(tag: str) -> tuple[str, ...]:
    """The options that name one version of both services."""
    return ("--backend-image", f"alfredai/backend:{tag}", "--gateway-image", f"alfredai/gateway:{tag}")


Inside = Callable[[list[str]], list[str]]
"""Makes a command line one that runs somewhere else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Requests a second of each kind of client."""

    new: float = 30
    keepalive: float = 60
    slow: float = 2
    post: float = 25
    stream: float = 5
    websocket: float = 12
    post_connections: int = 4
    """0: a new one for each POST."""

    def options(self) -> Iterator[str]:
        """For the load generator's command line; a kind whose rate is 0 is left out.

        No connection stays idle for long: what a lame duck says goodbye to is whoever asks while it lasts.
        """
        connections = {
            "keepalive": 8,
            "slow": max(1, round(2 * self.slow)),
            "post": self.post_connections,
            "stream": 2,
            "websocket": 4,
        }
        for kind in ("new", "keepalive", "slow", "post", "stream", "websocket"):
            rate = getattr(self, kind)
            if rate:
                yield from (f"--{kind}", f"{rate:g}/{connections[kind]}" if kind in connections else f"{rate:g}")


class Load:
    """Users of every kind, in a process of their own, until stopped or until its time is up."""

    def __init__(
        self,
        url: str,
        *,
        result: Path,
        seconds: float,
        bad: Sequence[str] = (),
        rates: Rates | None = None,
        crashes: Path | None = None,
        spans: Path | None = None,
        inside: Inside = list,
    ) -> None:
        """Start sending. ``bad``: versions whose wrong answers are their own.

        ``crashes``: a file that says, by the end of the run, when a version was dying. ``spans``: the same of what is
        to be counted apart. ``inside``: makes the command line one that runs in another network.
        """
        self._result = result
        words = [sys.executable, "-m", "bluegreen.load", f"{url}/api/work", "--duration", f"{seconds:g}"]
        words += [*(rates or Rates()).options(), "--contains", '"service"', "--json", str(result)]
        words += ["--path", "slow=/api/slow?seconds=2"]
        words += ["--path", "stream=/api/stream?chunks=5"]
        words += ["--path", "websocket=/ws"]
        for version in bad:
            words += ["--bad-version", version]
        if crashes is not None:
            words += ["--crash-windows", str(crashes)]
        if spans is not None:
            words += ["--spans", str(spans)]
        host = urlsplit(url).hostname or ""
        if host not in {"127.0.0.1", "localhost"}:
            words += ["--allow", host]
        self._process = subprocess.Popen(inside(words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def stop(self) -> Counts:
        """Stop sending, wait until everything sent is accounted for, and read the result."""
        self.ask_to_stop()
        return self.finish()

    def ask_to_stop(self) -> None:
        """Stop sending."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)

    def finish(self) -> Counts:
        """Wait until its time is up."""
        out, err = self._process.communicate(timeout=COMMAND_LIMIT)
        if self._process.returncode != 0:
            raise AssertionError(f"the load generator ended with {self._process.returncode}:\n{out}\n{err}")
        return Counts(json.loads(self._result.read_text()))

    def kill(self) -> None:
        """End it without a result."""
        self._process.kill()
        self._process.communicate()


class Counts:
    """What the load counted, from its JSON and nothing else."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        """``document``: the load generator's result."""
        self.document = document

    @classmethod
    def together(cls, parts: Sequence[Counts]) -> Counts:
        """The sum of several loads that ran side by side or one after the other."""
        documents = [part.document for part in parts]
        return cls(
            {
                "requests": sum(document["requests"] for document in documents),
                "columns": _added(document["columns"] for document in documents),
                "causes": {
                    column: _added(document["causes"].get(column, {}) for document in documents)
                    for column in sorted({column for document in documents for column in document["causes"]})
                },
                "answers": [row for document in documents for row in document["answers"]],
                "spans": [row for document in documents for row in document["spans"]],
                "standstills": [row for document in documents for row in document["standstills"]],
                "not_ok": [
                    {"target": document.get("target"), **row} for document in documents for row in document["not_ok"]
                ],
            }
        )

    @property
    def requests(self) -> int:
        """All requests."""
        return int(self.document["requests"])

    def column(self, name: str) -> int:
        """One of ok, moved, failed, answered_badly, lost_to_crash."""
        return int(self.document["columns"][name])

    @property
    def failed(self) -> int:
        """Anything a user lost that was ours to keep."""
        return self.column("failed")

    @property
    def spans(self) -> Sequence[Mapping[str, Any]]:
        """What was counted apart."""
        found: Sequence[Mapping[str, Any]] = self.document["spans"]
        return found

    @property
    def lost(self) -> list[Mapping[str, Any]]:
        """The requests that failed, one by one."""
        return [row for row in self.document["not_ok"] if row["column"] == "failed"]

    def versions(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Each slot and version that answered, in the order of their first answers."""
        rows = sorted(self.document["answers"], key=lambda row: row["first"]["ms"])
        for row in rows:
            yield f"{row['version']} in {row['slot']}", row

    def told(self) -> str:
        """What was lost, for a failing test's message: a line for each request, as only a log's end may be kept.

        Of these the first is all that a list of failed tests shows.
        """
        rows = self.lost
        kinds = Counter(f"{row['kind']} {row['cause']}" for row in rows)
        lines = [f"{self.failed} of {self.requests} failed: " + ", ".join(f"{n} {kind}" for kind, n in kinds.items())]
        lines += [f"{table}: {json.dumps(self.document[table])}" for table in ("columns", "causes")]
        lines += [_lost_line(row) for row in rows[:_TOLD]]
        if len(rows) > _TOLD:
            lines.append(f"and {len(rows) - _TOLD} more")
        if self.document["standstills"]:
            lines.append(f"the load itself stood still: {json.dumps(self.document['standstills'])}")
        return "\n".join(lines)


def _lost_line(row: Mapping[str, Any]) -> str:
    """Who asked for what and got no answer; seconds since that load began, and the clock's time of the fault."""
    due, sent, end = (row[moment]["ms"] / 1000 for moment in ("due", "sent", "end"))
    at = datetime.fromtimestamp(row["fault"]["wall_ns"] / 1e9, UTC)
    who = f"{row['slot'] or '?'} {row['version'] or '?'}, status {row['status']}"
    moments = f"due {due:.3f}, sent {sent:.3f}, over {end:.3f}, fault at {at:%H:%M:%S.%f}"
    return f"{row['kind']} to {row.get('target')}: {row['cause']}, {who}; {moments}"


def _added(tables: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for table in tables:
        total.update(table)
    return dict(total)
