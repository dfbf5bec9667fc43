"""One set of wheels for all tests; an index and a home for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.script.kit import Index, Way, bare_python, environment, run, serving, tools_on_path, wheels

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheels."""
    return wheels(tmp_path_factory.mktemp("wheels"))


@pytest.fixture
def index(files: Path) -> Iterator[Index]:
    """A package index that works."""
    with serving(Index(files)) as index:
        yield index


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A user's home, without anything in it."""
    return tmp_path / "home"


@pytest.fixture
def env(home: Path, index: Index) -> dict[str, str]:
    """The environment of a user of that index."""
    return environment(home, PIP_INDEX_URL=index.address)


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python without pip."""
    return bare_python(tmp_path_factory.mktemp("bare"))


@pytest.fixture
def without_pip(env: dict[str, str], bare: Path, tmp_path: Path) -> dict[str, str]:
    """The environment of a user of that index who has no pip."""
    return {**env, "PATH": tools_on_path(tmp_path / "path", python=bare)}


@pytest.fixture(params=["pip", "no-pip"])
def way(request: pytest.FixtureRequest, env: dict[str, str], without_pip: dict[str, str]) -> Way:
    """Each of the two."""
    return Way(env, pip=True) if request.param == "pip" else Way(without_pip, pip=False)


@pytest.fixture(scope="session")
def prepared(files: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which the first use is over. The wheels are in a folder, so no index is asked."""
    home = tmp_path_factory.mktemp("prepared")
    env = environment(home, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(files))
    done = run(["--version"], env)
    assert done.code == 0, done.err
    return env
