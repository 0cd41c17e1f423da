"""What stands on the right-hand side of a declared field: where each parameter's value comes
from."""

import inspect
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from plait.backend.paths import path_text

UNSET_DEFAULT: Any = object()
"""No default: the argument is required unless its type may be null."""


class This:
    """A property of the row that the field belongs to: `this.userId`, `this.customer.id`,
    `this["user-id"]`.

    It reads the backend's row, not the GraphQL type, so a foreign key needs no field of its own.
    """

    __slots__ = ("_path",)

    def __init__(self, path: tuple[str, ...] = ()) -> None:
        self._path = path

    def __getattr__(self, name: str) -> "This":
        if name.startswith("__"):
            raise AttributeError(name)
        return This((*self._path, name))

    def __getitem__(self, name: str) -> "This":
        return This((*self._path, name))

    def __repr__(self) -> str:
        return path_text(("this", *self._path))


def path_of(this: This) -> tuple[str, ...]:
    """The properties to walk, outermost first."""
    return this._path


this = This()


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """A GraphQL argument of the field. Made by `arg`."""

    annotation: Any
    default: Any = UNSET_DEFAULT
    name: str | None = None
    """Its Python name, where it is not the parameter's."""
    description: str | None = None
    deprecation_reason: str | None = None
    empty_is_all: bool = False
    """Whether an empty list is left out of the call, instead of asking for nothing."""


def arg(
    annotation: Any,
    default: Any = UNSET_DEFAULT,
    *,
    name: str | None = None,
    description: str | None = None,
    deprecation_reason: str | None = None,
    empty_is_all: bool = False,
) -> Argument:
    """Bind a parameter to a GraphQL argument of the field.

    `annotation` is its type, as a Strawberry resolver would annotate it. An argument that the
    client leaves out is left out of the call, and so is one whose default is null. Null, or an
    empty list, that the client does give asks for nothing: there is no call, and the field is null
    or an empty list. `empty_is_all=True` leaves an empty list out instead. `name` is the argument's
    name when it is not the parameter's: `get_user.many(id=arg(list[ID], name="ids"))`.
    """
    return Argument(
        annotation=annotation,
        default=default,
        name=name,
        description=description,
        deprecation_reason=deprecation_reason,
        empty_is_all=empty_is_all,
    )


def arguments_in(bindings: Mapping[str, Any]) -> Iterator[tuple[str, Argument]]:
    """Every argument among bindings, with its Python name; those in a dict that makes up a body
    too."""
    for parameter, binding in bindings.items():
        if isinstance(binding, Argument):
            yield binding.name or parameter, binding
        elif isinstance(binding, dict):
            yield from arguments_in(binding)


def all_bindings(bindings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Each parameter's binding; those inside a dict that makes up a body too."""
    for name, binding in bindings.items():
        if isinstance(binding, dict):
            yield from all_bindings(binding)
        else:
            yield name, binding


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldOptions:
    """What a declared field may carry beside its bindings."""

    fallback: Any = UNSET_DEFAULT
    description: str | None = None
    deprecation_reason: str | None = None
    name: str | None = None
    permission_classes: Sequence[type] = ()
    extensions: Sequence[Any] = ()
    directives: Sequence[object] = ()

    @property
    def has_fallback(self) -> bool:
        return self.fallback is not UNSET_DEFAULT

    @property
    def bound(self) -> Iterator[str]:
        """The options that are given what only a parameter can be given."""
        for one in fields(self):
            if isinstance(getattr(self, one.name), This | Argument):
                yield one.name

    @property
    def usable(self) -> "FieldOptions":
        """With the others alone: those are reported, and stand for their defaults until then."""
        wrong = set(self.bound)
        return FieldOptions(
            **{one.name: getattr(self, one.name) for one in fields(self) if one.name not in wrong}
        )


OPTION_NAMES = frozenset(one.name for one in fields(FieldOptions))


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in the author's code something was declared."""

    file: str
    line: int
    namespace: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


def caller_place(depth: int = 1) -> Place:
    """Where the author wrote the call, `depth` frames above the function that asks."""
    frame = sys._getframe(depth + 1)
    return Place(file=frame.f_code.co_filename, line=frame.f_lineno, namespace=frame.f_globals)


def place_of(cls: type) -> Place:
    """Where a class is written."""
    try:
        return Place(file=inspect.getsourcefile(cls) or "?", line=inspect.getsourcelines(cls)[1])
    except (OSError, TypeError):
        return Place(file=str(getattr(cls, "__module__", "?")), line=0)
