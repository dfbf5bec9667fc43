"""The command: what it prints, what it writes, how it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from tests.load.misbehaving import LIMIT, Deed, Server, WsDeed

from bluegreen.load.cli import main

if TYPE_CHECKING:
    from pathlib import Path

FAST = ["--duration", "0.1", "--timeout", "10"]


def read(path: Path) -> Any:
    return json.loads(path.read_text())


@pytest.mark.slow
def test_a_run_prints_a_page_and_ends_with_0_whatever_it_counted(capsys: pytest.CaptureFixture[str]) -> None:
    with Server([Deed.RESET_AT_ONCE] * 3) as server:
        assert main([server.url, *FAST, "--new", "100"]) == 0
    out = capsys.readouterr().out
    assert "10 requests in" in out
    assert "failed 3, answered badly 0, lost to a crash 0, moved 0, ok 7" in out
    assert "failed: 3 reset_before_first_byte" in out
    assert "blue v1: first answer at" in out


@pytest.mark.slow
def test_a_text_of_any_bytes_can_be_looked_for() -> None:
    with Server() as server:
        assert main([server.url, *FAST, "--new", "100", "--contains", "\udcff", "--fail-on-loss"]) == 1


@pytest.mark.slow
@pytest.mark.parametrize(("script", "code"), [([Deed.STATUS_500], 1), ([], 0)])
def test_fail_on_loss(script: list[Deed], code: int) -> None:
    with Server(script) as server:
        assert main([server.url, *FAST, "--new", "100", "--fail-on-loss"]) == code


@pytest.mark.slow
def test_wrong_answers_of_the_bad_version_are_its_own(tmp_path: Path) -> None:
    script = [Deed.STATUS_500, Deed.ERROR_PAGE, Deed.LATE, Deed.RESET_AT_ONCE]
    judging = ["--contains", "new=right", "--slow-over", "2000", "--timeout", "20"]
    judging += ["--json", str(tmp_path / "result.json")]
    with Server(script, version="v2", late=2.5) as server, Server(script, version="v2", late=2.5) as twin:
        assert main([server.url, *FAST, "--new", "100", *judging, "--bad-version", "v2"]) == 0
        blamed = read(tmp_path / "result.json")
        assert main([twin.url, *FAST, "--new", "100", *judging]) == 0
    not_blamed = read(tmp_path / "result.json")
    assert blamed["causes"]["answered_badly"] == {"too_slow": 1, "wrong_body": 1, "wrong_status": 1}
    assert blamed["causes"]["failed"] == {"reset_before_first_byte": 1}
    assert blamed["columns"] == {"ok": 6, "moved": 0, "failed": 1, "answered_badly": 3, "lost_to_crash": 0}
    assert not_blamed["columns"] == {"ok": 7, "moved": 0, "failed": 3, "answered_badly": 0, "lost_to_crash": 0}
    assert not_blamed["causes"]["ok"] == {"too_slow": 1}


@pytest.mark.slow
def test_crash_windows_are_read_when_the_run_has_ended(tmp_path: Path) -> None:
    windows = tmp_path / "windows.jsonl"
    windows.write_text('{"start_ns": 0, "end_ns": 4000000000000000000, "slot": "blue"}\n\n')
    with Server([Deed.RESET_AT_ONCE] * 2) as server:
        arguments = ["--crash-windows", str(windows), "--json", str(tmp_path / "result.json"), "--fail-on-loss"]
        assert main([server.url, *FAST, "--new", "100", *arguments]) == 0
    assert read(tmp_path / "result.json")["columns"]["lost_to_crash"] == 2


@pytest.mark.slow
@pytest.mark.parametrize("content", [None, "nonsense", '{"start_ns": "1"}', '{"start_ns": 1, "end_ns": "2"}', "7"])
def test_a_windows_file_that_cannot_be_read_costs_no_result(
    content: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    windows = tmp_path / "windows.jsonl"
    if content is not None:
        windows.write_text(content)
    with Server() as server:
        assert main([server.url, *FAST, "--new", "100", "--crash-windows", str(windows)]) == 2
    printed = capsys.readouterr()
    assert "failed 0," in printed.out
    assert printed.err.startswith("bluegreen.load: cannot read the crash windows in")
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "the following arguments are required"),
        (["http://127.0.0.1:9/"], "required: --duration"),
        (["http://127.0.0.1:9/", "--duration", "1"], "no kind of client is given"),
        (["http://127.0.0.1:9/", "--duration", "1801", "--new", "1"], "above the limit of 1800 s"),
        (["http://127.0.0.1:9/", "--duration", "1", "--new", "5001"], "above the limit of 5000 req/s"),
        (["http://127.0.0.1:9/", "--duration", "1", "--keepalive", "1/2001"], "above the limit of 2000 connections"),
        (["http://127.0.0.1:9/", "--duration", "1", "--new", "many"], "write RATE or RATE/CONNECTIONS"),
        (["http://127.0.0.1:9/", "--duration", "1", "--new", "-5"], "the rate of new must be above 0"),
        (["http://127.0.0.1:9/", "--duration", "soon", "--new", "1"], "invalid float value"),
        (["http://127.0.0.1:9/", "--duration", "1", "--new", "5", "--path", "old=/x"], "write KIND=PATH"),
        (["http://127.0.0.1:9/", "--duration", "1", "--new", "5", "--json", "/no/such/file"], "cannot write"),
        (["http://10.0.0.1/", "--duration", "1", "--new", "5"], "add --allow 10.0.0.1 if it is yours"),
        (["http://8.8.8.8/", "--duration", "1", "--new", "5", "--allow", "8.8.8.8"], "is a public address"),
    ],
)
def test_what_is_refused_is_one_line_and_2(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert says in printed.err
    assert printed.err.startswith("bluegreen.load: ")
    assert printed.err.count("\n") == 1
    assert not printed.out


def test_help_teaches_by_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0
    out = capsys.readouterr().out
    assert out.count("python -m bluegreen.load http://127.0.0.1:8080/") == 4
    assert "--websocket RATE[/CONNECTIONS]" in out


@pytest.mark.slow
def test_contains_is_for_every_kind_unless_it_names_one(tmp_path: Path) -> None:
    kinds = ["--keepalive", "50/1", "--post", "50/1", "--path", "post=/", "--json", str(tmp_path / "result.json")]
    with Server(always=Deed.ERROR_PAGE) as server:
        assert main([server.url, *FAST, *kinds, "--contains", "right", "--contains", "post=went wrong"]) == 0
    result = read(tmp_path / "result.json")
    assert [(kind["kind"], kind["causes"]) for kind in result["kinds"]] == [
        ("keepalive", {"wrong_body": 5}),
        ("post", {}),
    ]


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "bluegreen.load", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_sending_and_everything_sent_is_accounted_for(number: signal.Signals) -> None:
    with Server(always=Deed.LATE) as server:
        load = start(server.url, "--duration", "60", "--new", "100", "--json", "-")
        server.wait_for_requests(20)
        load.send_signal(number)
        out, err = load.communicate(timeout=LIMIT)
        assert (load.returncode, err) == (0, "")
        document = json.loads(out)
        assert document["stopped_early"] is True
        assert document["requests"] == document["columns"]["ok"] == server.requests
    assert document["requests"] + document["unsent"] == document["planned"] == 6000


@pytest.mark.slow
def test_two_signals_leave_the_waiting_too() -> None:
    with Server(always=WsDeed.HANG) as server:
        load = start(server.url, "--duration", "60", "--websocket", "100/3", "--timeout", "50", "--path", "websocket=/",
                     "--json", "-")  # fmt: skip
        server.wait_for_requests(20)
        load.send_signal(signal.SIGTERM)
        while load.poll() is None and not _ended(load):
            load.send_signal(signal.SIGTERM)
        out, _ = load.communicate(timeout=LIMIT)
    document = json.loads(out)
    assert document["causes"] == {"failed": {"in_flight_at_end": document["requests"]}}
    assert document["requests"] >= 20


def _ended(load: subprocess.Popen[str]) -> bool:
    """Wait a moment for the end; signals of the same number sent at once are delivered as one."""
    try:
        load.wait(0.2)
    except subprocess.TimeoutExpired:
        return False
    return True


@pytest.mark.slow
def test_it_imports_nothing_else_of_the_product() -> None:
    code = "import sys, bluegreen.load.cli; print(*(name for name in sys.modules if name.startswith('bluegreen')))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    others = [name for name in found.stdout.split() if not name.startswith("bluegreen.load")]
    assert others == ["bluegreen"]


@pytest.mark.slow
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_run_whose_reader_is_gone_ends_as_it_would(stream: str) -> None:
    """``| head``, or a terminal that was closed: what was sent is accounted for all the same, without a traceback."""
    script = (
        "import sys; from bluegreen.load.cli import _tell, main; from bluegreen.load.engine import Progress;"
        "_tell(Progress(seconds=5.0, requests=1, under_way=0, wrong=0));"
        "sys.exit(main(['http://127.0.0.1:1/', '--duration', '0.1', '--new', '100', '--json', '-']))"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        gone, kept = process.stdout, process.stderr
        if stream == "stderr":
            gone, kept = kept, gone
        assert gone is not None
        assert kept is not None
        gone.close()
        said = kept.read().decode()
        assert process.wait(20) == 0
    assert "Error" not in said
