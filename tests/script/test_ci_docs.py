"""docs/ci.md: its step is the specification's, and the command line takes every command that it shows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tests.script.kit import ROOT, SCRIPT, run, run_text

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = (ROOT / "docs/ci.md").read_text()
BLOCKS = [yaml.safe_load(text) for text in re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)]
RELEASE, ROLLBACK, GITLAB = BLOCKS

STEP = """\
- name: Blue-Green Deploy
  run: |
    devops/scripts/blue_green_deploy.sh \\
      --backend-image alfredai/backend:${{ github.sha }} \\
      --gateway-image alfredai/gateway:${{ github.sha }} \\
      --health-retries 60 \\
      --validation-time 60
  env:
    KUBECONFIG: ${{ secrets.KUBECONFIG }}
"""
"""As the specification has it."""


def steps() -> Iterator[dict[str, Any]]:
    for block in (RELEASE, ROLLBACK):
        for job in block["jobs"].values():
            yield from (step for step in job["steps"] if "run" in step)


def commands() -> list[str]:
    """The text of every step."""
    gitlab = [line for job in GITLAB.values() for line in [*job["script"], *job.get("after_script", [])]]
    return [*(step["run"] for step in steps()), *gitlab]


def filled(text: str) -> str:
    """The text as a runner hands it to the shell."""
    return text.replace("${{ github.sha }}", "0123456789abcdef0123456789abcdef01234567")


def test_the_step_is_the_specifications() -> None:
    (wanted,) = yaml.safe_load(STEP)

    assert wanted in list(steps())
    assert "$" not in filled(wanted["run"])


def test_a_release_is_never_cut_off_and_a_rollback_never_waits() -> None:
    assert RELEASE["concurrency"] == {"group": "alfred-release", "cancel-in-progress": False}
    assert "concurrency" not in ROLLBACK
    assert GITLAB["release"]["interruptible"] is False
    assert "resource_group" not in GITLAB["rollback"]


def test_the_state_is_shown_whatever_happened() -> None:
    last = list(steps())[1]

    assert (last["if"], last["run"]) == ("always()", f"{SCRIPT} status")


def test_nothing_that_a_person_types_becomes_shell_code() -> None:
    expressions = [found for text in commands() for found in re.findall(r"\$\{\{ *(.*?) *\}\}", text)]

    assert set(expressions) == {"github.sha"}


@pytest.mark.parametrize("command", commands())
def test_the_command_line_takes_it(command: str, prepared: dict[str, str]) -> None:
    """It comes as far as the cluster, which is not named here: a wrong option would be told before."""
    variables = {"REASON": "it's slow; $(false)", "CI_COMMIT_SHA": "0123abcd", "CI_PIPELINE_ID": "7"}
    done = run_text(filled(command), {**prepared, **variables, "KUBECONFIG": ""})

    assert done.code == 2, done.err
    assert done.err.startswith("error: KUBECONFIG is set but empty\n")


def test_the_words_about_first_use_are_the_scripts(env: dict[str, str]) -> None:
    shown = re.findall(r"^bluegreen: .*$", PAGE, re.MULTILINE)
    said = run(["--version"], env).err.splitlines()

    def shape(line: str) -> str:
        return re.sub(r"/\S+|\d+\.\d", "…", line)

    prompt = [line for line in said if "still fetching" not in line]  # which a slow index makes it say
    assert [shape(line) for line in prompt] == [shape(line) for line in shown]
