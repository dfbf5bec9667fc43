"""The two layouts of control groups, on files that stand for them: what is written and read where."""

from pathlib import Path

import pytest
from testbed.cgroups import Groups, Memory


@pytest.fixture
def version_1(tmp_path: Path) -> Groups:
    """A hierarchy for each controller, a link beside them, and the empty version 2 tree of a hybrid machine."""
    for name in ("cpuset", "memory", "pids", "unified"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cgroup.procs").touch()
    (tmp_path / "mem").symlink_to("memory")
    return Groups("kubernetes-one", root=tmp_path)


@pytest.fixture
def version_2(tmp_path: Path) -> Groups:
    (tmp_path / "cgroup.procs").touch()
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids\n")
    (tmp_path / "cgroup.subtree_control").touch()
    return Groups("kubernetes-one", root=tmp_path)


def test_a_group_is_made_in_every_hierarchy_of_version_1(version_1: Groups) -> None:
    version_1.make("n1", "sys")
    made = {str(path.resolve().relative_to(version_1.root)) for path in version_1.root.glob("*/kubernetes-one/n1/sys")}
    assert made == {f"{name}/kubernetes-one/n1/sys" for name in ("cpuset", "memory", "pids", "unified")}
    assert version_1.marker("clients") == version_1.root / "pids/kubernetes-one/clients/cgroup.procs"


def test_a_group_is_made_once_in_version_2_which_hands_controllers_down(version_2: Groups) -> None:
    version_2.make("n1", "sys")
    assert version_2.entries("n1", "sys") == [version_2.root / "kubernetes-one/n1/sys/cgroup.procs"]
    assert version_2.marker("clients") == version_2.root / "kubernetes-one/clients/cgroup.procs"
    assert (version_2.root / "cgroup.subtree_control").read_text() == "+pids"  # the last of one write for each


def test_members_are_those_of_the_groups_below_too(version_1: Groups) -> None:
    version_1.make("n1", "sys")
    for hierarchy, pids in (("memory", "5\n7\n"), ("pids", "7\n9\n")):
        (version_1.root / hierarchy / "kubernetes-one/n1/sys/cgroup.procs").write_text(pids)
    assert version_1.pids() == [5, 7, 9]
    assert version_1.pids("n1") == [5, 7, 9]
    assert version_1.pids("n2") == []


def test_memory_is_read_from_either_layout(version_1: Groups, tmp_path: Path) -> None:
    version_1.make("cp")
    stat = version_1.root / "memory/kubernetes-one/memory.stat"
    stat.write_text("rss 1\ntotal_rss 104857600\ntotal_cache 2097152\n")
    assert version_1.memory() == Memory(resident=100, cached=2)
    root = tmp_path / "two"
    (root / "kubernetes-one").mkdir(parents=True)
    (root / "cgroup.controllers").touch()
    (root / "kubernetes-one/memory.stat").write_text("anon 104857600\nfile 2097152\n")
    assert Groups("kubernetes-one", root=root).memory() == Memory(resident=100, cached=2)


def test_removed_groups_are_gone_and_others_stay(version_1: Groups) -> None:
    version_1.make("n1", "sys")
    (version_1.root / "memory" / "others").mkdir()
    assert len(version_1.left()) == 4
    version_1.remove()
    assert version_1.left() == []
    assert (version_1.root / "memory" / "others").exists()
