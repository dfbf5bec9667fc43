"""Dataclasses that cost nothing until they are used: a rollback imports more than a hundred, and must not wait for it.

The standard library writes and compiles the methods of each class when its module is imported, 0.3 ms a class, and is
itself slow to import. Here the same methods are closures over the names of the fields. Type checkers see the standard
library's own; tests/unit/test_domain_values.py holds both equal, and ``dataclasses.fields`` and ``replace`` know these
classes. Of its settings only those that this program uses are taken: every class has slots, and no base with fields.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass", "field", "fields", "is_dataclass", "replace"]

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from dataclasses import dataclass, field, fields, is_dataclass, replace

    Methods = dict[str, Any]
    Values = Callable[[object], tuple[object, ...]]

_FIELDS = "__value_fields__"
_MISSING: Any = object()


class Field:
    """One field, as ``fields`` tells of it."""

    __slots__ = ("default", "default_factory", "hash", "init", "kw_only", "name", "repr")

    def __init__(
        self,
        *,
        default: object = _MISSING,
        default_factory: Callable[[], object] | None = None,
        shown: bool = True,
        hashed: bool = True,
    ) -> None:
        """Nobody's yet."""
        self.name = ""
        self.default = default
        self.default_factory = default_factory
        self.repr = shown
        self.hash = hashed
        self.kw_only = False
        self.init = True


if not TYPE_CHECKING:

    def field(
        *,
        default: object = _MISSING,
        default_factory: Callable[[], object] | None = None,
        repr: bool = True,  # noqa: A002 - as dataclasses has it
        hash: bool = True,  # noqa: A002
    ) -> object:
        """As ``dataclasses.field``."""
        return Field(default=default, default_factory=default_factory, shown=repr, hashed=hash)

    def dataclass(
        *,
        slots: bool,
        frozen: bool = False,
        kw_only: bool = False,
        repr: bool = True,  # noqa: A002 - as dataclasses has it
    ) -> Callable[[type], type]:
        """As ``dataclasses.dataclass``. Raises TypeError for a class without slots."""
        if not slots:
            raise TypeError("a class without slots is for the standard library's dataclasses")
        return lambda cls: _made(cls, frozen=frozen, kw_only=kw_only, shown=repr)

    def fields(value: object) -> tuple[Field, ...]:
        """The fields of a class or an instance, in order."""
        return getattr(value, _FIELDS)

    def is_dataclass(value: object) -> bool:
        """Whether it is such a class, or an instance of one."""
        return hasattr(value, _FIELDS)

    def replace(value: Any, /, **changes: object) -> Any:  # noqa: ANN401 - of the same class
        """As ``dataclasses.replace``."""
        return type(value)(**{each.name: getattr(value, each.name) for each in fields(value)} | changes)


def _made(cls: type, *, frozen: bool, kw_only: bool, shown: bool) -> type:
    """The class again, with slots for its fields and the methods that it does not have itself."""
    found = tuple(_field_of(cls, name, kw_only=kw_only) for name in cls.__annotations__)
    names = tuple(each.name for each in found)
    body = {name: value for name, value in vars(cls).items() if name not in names and name not in _OF_EVERY_CLASS}
    methods: Methods = {"__eq__": _equality(_values_of(names))}
    methods |= _freezing(_values_of([each.name for each in found if each.hash])) if frozen else {"__hash__": None}
    if shown:
        methods["__repr__"] = _shown
    marks = {"__slots__": names, "__match_args__": () if kw_only else names}
    known = {_FIELDS: found, "__dataclass_fields__": _Known(), "__signature__": _Signature()}
    made = type(cls)(cls.__name__, cls.__bases__, methods | body | marks | known)
    made.__qualname__ = cls.__qualname__
    setattr(made, "__init__", _init_of(made, found))  # noqa: B010 - mypy knows that a class has one
    return made


_OF_EVERY_CLASS = frozenset({"__dict__", "__weakref__"})


def _field_of(cls: type, name: str, *, kw_only: bool) -> Field:
    given = vars(cls).get(name, _MISSING)
    found = given if isinstance(given, Field) else Field(default=given)
    found.name, found.kw_only = name, kw_only
    return found


def _init_of(cls: type, found: Sequence[Field]) -> Callable[..., None]:
    setters = tuple((each.name, vars(cls)[each.name].__set__) for each in found)
    defaults = {each.name: each.default for each in found if each.default is not _MISSING}
    factories = tuple((each.name, each.default_factory) for each in found if each.default_factory is not None)
    then = getattr(cls, "__post_init__", None)
    size = len(setters)

    def __init__(self: object, /, *args: object, **given: object) -> None:  # noqa: N807 - it becomes one
        if args:
            _place(cls, args, given)
        for name, make in factories:
            if name not in given:
                given[name] = make()
        values = defaults | given if len(given) < size else given
        try:
            for name, put in setters:
                put(self, values[name])
        except KeyError:
            raise _misfit(cls, values) from None
        if len(values) != size:
            raise _misfit(cls, values)
        if then is not None:
            then(self)

    return __init__


def _place(cls: type, args: Sequence[object], given: dict[str, object]) -> None:
    """Give the arguments that came by place their names."""
    names: tuple[str, ...] = vars(cls)["__match_args__"]
    if len(args) > len(names):
        raise TypeError(f"{cls.__qualname__}.__init__() takes {len(names)} positional arguments, and got {len(args)}")
    for name, value in zip(names, args, strict=False):
        if name in given:
            raise TypeError(f"{cls.__qualname__}.__init__() got multiple values for argument {name!r}")
        given[name] = value


def _misfit(cls: type, values: Mapping[str, object]) -> TypeError:
    """What is wrong with the arguments, of which none is a default's."""
    names = [each.name for each in getattr(cls, _FIELDS)]
    strangers = [name for name in values if name not in names]
    if strangers:
        return TypeError(f"{cls.__qualname__}.__init__() got an unexpected keyword argument {strangers[0]!r}")
    missing = ", ".join(repr(name) for name in names if name not in values)
    return TypeError(f"{cls.__qualname__}.__init__() missing required arguments: {missing}")


# --- the methods of every class -----------------------------------------------------------------------------------


def _shown(self: object) -> str:
    fields_shown = (each.name for each in getattr(self, _FIELDS) if each.repr)
    return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in fields_shown)})"


def _equality(values: Values) -> Callable[[object, object], bool]:
    def __eq__(self: object, other: object) -> bool:  # noqa: N807 - it becomes one
        return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

    return __eq__


def _values_of(names: Sequence[str]) -> Values:
    """All fields as a tuple."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda value: tuple(getattr(value, name) for name in names)


def _freezing(hashed: Values) -> Methods:
    """What makes an instance a value: nothing sets a field of it, and so it has a hash."""
    return {
        "__hash__": lambda self: tuple.__hash__(hashed(self)),
        "__setattr__": _refuse,
        "__delattr__": _refuse,
        "__getstate__": _state,
        "__setstate__": _set_state,
    }


def _refuse(self: object, name: str, _value: object = None) -> None:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot change the field {name!r} of {type(self).__qualname__}")


def _state(self: object) -> tuple[object, ...]:
    return tuple(getattr(self, each.name) for each in getattr(self, _FIELDS))


def _set_state(self: object, state: Sequence[object]) -> None:
    """For copies and pickles, which begin with an empty instance."""
    for each, value in zip(getattr(self, _FIELDS), state, strict=True):
        object.__setattr__(self, each.name, value)


class _Known:
    """What the standard library's functions ask a dataclass for; made when one of them asks."""

    def __get__(self, _: object, owner: type) -> object:
        import dataclasses

        made = dataclasses.make_dataclass(
            owner.__name__,
            [(each.name, owner.__annotations__[each.name], _known(each)) for each in getattr(owner, _FIELDS)],
        )
        type.__setattr__(owner, "__dataclass_fields__", found := vars(made)["__dataclass_fields__"])
        return found


def _known(each: Field) -> Any:  # noqa: ANN401 - dataclasses says that it is of the field's type
    import dataclasses

    given = {"default": each.default, "default_factory": each.default_factory or _MISSING}
    settings: Any = {name: value for name, value in given.items() if value is not _MISSING}
    return dataclasses.field(repr=each.repr, hash=each.hash, kw_only=each.kw_only, **settings)


class _Signature:
    """What ``inspect.signature`` and ``help`` say of the arguments; made when somebody asks."""

    def __get__(self, _: object, owner: type) -> object:
        from inspect import Parameter, Signature

        def parameter(each: Field) -> Parameter:
            kind = Parameter.KEYWORD_ONLY if each.kw_only else Parameter.POSITIONAL_OR_KEYWORD
            default = _known(each) if each.default_factory is not None else each.default
            default = Parameter.empty if default is _MISSING else default
            return Parameter(each.name, kind, default=default, annotation=hints[each.name])

        hints = _hints_of(owner)
        return Signature([parameter(each) for each in getattr(owner, _FIELDS)], return_annotation=None)


def _hints_of(owner: type) -> Mapping[str, Any]:
    """The types of the fields; their names, when one is imported for type checkers alone."""
    from typing import get_type_hints

    try:
        return get_type_hints(owner)
    except NameError:
        return owner.__annotations__
