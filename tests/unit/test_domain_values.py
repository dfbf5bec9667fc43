"""The light dataclasses beside the standard library's: the same class body must behave the same under both."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from bluegreen.domain import values

if TYPE_CHECKING:
    from collections.abc import Callable

BOTH = pytest.mark.parametrize("under", [dataclasses, values], ids=["standard", "light"])


def plain(under: Any) -> type[Any]:
    """All kinds of fields: without a default, with one, with a factory, and one that is not shown."""

    @under.dataclass(frozen=True, slots=True, kw_only=True)
    class Plain:
        """A doc."""

        name: str
        size: int = 3
        tags: list[str] = under.field(default_factory=list)
        secret: str = under.field(default="s", repr=False)

        @property
        def twice(self) -> int:
            return 2 * self.size

    return Plain


def placed(under: Any) -> type[Any]:
    @under.dataclass(frozen=True, slots=True)
    class Placed:
        left: int
        right: int = 2

        def __post_init__(self) -> None:
            if self.left > self.right:
                raise ValueError(f"{self.left} is more than {self.right}")

        def __str__(self) -> str:
            return f"{self.left} to {self.right}"

    return Placed


def single(under: Any) -> type[Any]:
    @under.dataclass(frozen=True, slots=True)
    class Single:
        only: str

    return Single


def empty(under: Any) -> type[Any]:
    @under.dataclass(frozen=True, slots=True)
    class Empty:
        """Nothing."""

    return Empty


def changing(under: Any) -> type[Any]:
    @under.dataclass(slots=True)
    class Changing:
        count: int = 0
        names: list[str] = under.field(default_factory=list)

    return Changing


def unhashed(under: Any) -> type[Any]:
    @under.dataclass(frozen=True, slots=True, kw_only=True)
    class Unhashed:
        name: str
        body: dict[str, int] = under.field(repr=False, hash=False)

    return Unhashed


def hidden(under: Any) -> type[Any]:
    @under.dataclass(frozen=True, slots=True, repr=False)
    class Hidden:
        token: str

        def __repr__(self) -> str:
            return "Hidden"

    return Hidden


MADE: list[tuple[Callable[[Any], type[Any]], tuple[Any, ...], dict[str, Any]]] = [
    (plain, (), {"name": "a"}),
    (plain, (), {"name": "a", "size": 4, "secret": "t", "tags": ["x"]}),
    (placed, (1,), {}),
    (placed, (1, 5), {}),
    (placed, (1,), {"right": 7}),
    (placed, (), {"left": 0}),
    (single, ("x",), {}),
    (empty, (), {}),
    (changing, (), {}),
    (changing, (4,), {"names": ["n"]}),
    (hidden, ("t",), {}),
    (unhashed, (), {"name": "a", "body": {"b": 1}}),
]
REFUSED: list[tuple[Callable[[Any], type[Any]], tuple[Any, ...], dict[str, Any], type[Exception]]] = [
    (plain, (), {}, TypeError),
    (plain, ("a",), {}, TypeError),
    (plain, (), {"name": "a", "color": "red"}, TypeError),
    (plain, (), {"color": "red"}, TypeError),
    (placed, (), {}, TypeError),
    (placed, (1, 2, 3), {}, TypeError),
    (placed, (1,), {"left": 1}, TypeError),
    (placed, (3,), {}, ValueError),
    (empty, (1,), {}, TypeError),
]


@pytest.mark.parametrize(("make", "args", "given"), MADE)
def test_instances_are_the_same_in_all_that_can_be_asked_of_them(
    make: Callable[[Any], type[Any]], args: tuple[Any, ...], given: dict[str, Any]
) -> None:
    standard, light = (make(under)(*args, **given) for under in (dataclasses, values))
    assert repr(standard).replace("standard", "") == repr(light)
    assert str(standard) == str(light)
    names = [each.name for each in dataclasses.fields(standard)]
    assert [each.name for each in dataclasses.fields(light)] == names
    assert [getattr(standard, name) for name in names] == [getattr(light, name) for name in names]
    assert hash_of(standard) == hash_of(light)
    assert dataclasses.asdict(standard) == dataclasses.asdict(light)


def hash_of(value: object) -> object:
    try:
        return hash(value)
    except TypeError as error:
        return str(error)


@BOTH
@pytest.mark.parametrize(("make", "args", "given", "error"), REFUSED)
def test_arguments_that_do_not_fit_are_refused(
    make: Callable[[Any], type[Any]],
    args: tuple[Any, ...],
    given: dict[str, Any],
    error: type[Exception],
    under: Any,
) -> None:
    with pytest.raises(error):
        make(under)(*args, **given)


@BOTH
def test_equal_are_those_of_one_class_with_the_same_values(under: Any) -> None:
    pair, other = placed(under), placed(under)
    assert pair(1, 2) == pair(1)
    assert pair(1, 2) != pair(1, 3)
    assert pair(1, 2) != other(1, 2)
    assert pair(1, 2) != (1, 2)
    loose = unhashed(under)
    assert loose(name="a", body={"b": 1}) != loose(name="a", body={"b": 2})
    assert single(under)("x") != "x"
    assert len({pair(1), pair(1, 2), pair(0)}) == 2


@BOTH
def test_nothing_changes_what_is_frozen(under: Any) -> None:
    value = placed(under)(1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        value.left = 9
    with pytest.raises(dataclasses.FrozenInstanceError):
        del value.left
    assert value.left == 1


@BOTH
def test_what_is_not_frozen_changes_and_has_no_hash(under: Any) -> None:
    value = changing(under)()
    value.count += 1
    assert value.count == 1
    with pytest.raises(AttributeError):
        value.new = 1
    with pytest.raises(TypeError):
        hash(value)


@BOTH
def test_a_factory_makes_a_new_one_each_time(under: Any) -> None:
    one, two = changing(under)(), changing(under)()
    one.names.append("x")
    assert two.names == []


@BOTH
def test_a_changed_copy_keeps_the_rest_and_checks_itself(under: Any) -> None:
    value = placed(under)(1, 5)
    assert under.replace(value, left=2) == placed_as(value, 2, 5)
    assert dataclasses.replace(value, right=6) == placed_as(value, 1, 6)
    with pytest.raises(ValueError, match="9 is more than 5"):
        under.replace(value, left=9)
    with pytest.raises(TypeError):
        under.replace(value, middle=1)


def placed_as(value: Any, left: int, right: int) -> object:
    return type(value)(left, right)


@BOTH
def test_patterns_match_by_place_and_by_name(under: Any) -> None:
    pair, apart = placed(under), plain(under)
    match pair(1, 2):
        case pair(left, 2):
            assert left == 1
        case _:
            pytest.fail("it did not match by place")
    match apart(name="a"):
        case apart(name=name, size=3):
            assert name == "a"
        case _:
            pytest.fail("it did not match by name")


@BOTH
def test_copies_are_equal(under: Any) -> None:
    value = plain(under)(name="a", tags=["x"])
    assert copy.copy(value) == value
    deep = copy.deepcopy(value)
    assert deep == value
    assert deep.tags is not value.tags


def test_a_pickle_comes_back() -> None:
    from bluegreen.domain.routing import Active, Move
    from bluegreen.domain.stack import Slot

    for value in (Active(Slot.BLUE), Move(service="s", to=Slot.GREEN, expect="1", fence="w")):
        assert pickle.loads(pickle.dumps(value)) == value


@BOTH
def test_what_is_asked_of_the_class(under: Any) -> None:
    made: Any = plain(under)
    assert under.is_dataclass(made)
    assert under.is_dataclass(made(name="a"))
    assert not under.is_dataclass(int)
    assert dataclasses.fields(made)
    assert [each.name for each in under.fields(made)] == ["name", "size", "tags", "secret"]
    assert [(each.repr, each.init, each.kw_only) for each in under.fields(made)][2:] == [
        (True, True, True),
        (False, True, True),
    ]
    assert made.__doc__ == "A doc."
    assert made.__qualname__ == "plain.<locals>.Plain"
    assert made(name="a", size=4).twice == 8
    assert not hasattr(made(name="a"), "__dict__")
    assert inspect.isclass(made)


@pytest.mark.parametrize("make", [plain, placed, single, empty, changing, hidden, unhashed])
def test_arguments_are_told_by_name_kind_and_whether_they_may_be_left_out(make: Callable[[Any], type[Any]]) -> None:
    standard, light = (
        [
            (each.name, each.kind, each.default is each.empty)
            for each in inspect.signature(make(under)).parameters.values()
        ]
        for under in (dataclasses, values)
    )
    assert light == standard


def test_only_the_settings_in_use_are_taken() -> None:
    light: Any = values
    with pytest.raises(TypeError):
        light.dataclass(slots=False)
    with pytest.raises(TypeError):
        light.dataclass(slots=True, order=True)


def test_the_standard_ones_are_not_imported_for_it() -> None:
    program = (
        "import sys\nimport bluegreen.domain.release as r\nfrom bluegreen.domain.stack import Slot\n"
        "v = r.Validated(slot=Slot.BLUE)\nassert v == r.Validated(slot=Slot.BLUE) and hash(v) and repr(v)\n"
        "assert 'dataclasses' not in sys.modules and 'inspect' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
