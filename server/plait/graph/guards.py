"""Permissions of a field, asked apart from what the field does once they have let it."""

from typing import Any

from strawberry.permission import PermissionExtension
from strawberry.types.field import StrawberryField

from plait.graph.ran import GRANTED


class Guard:
    """The permissions of one field that answer at once."""

    __slots__ = ("_extension", "_field", "_info_class")

    def __init__(
        self, extension: PermissionExtension, field: StrawberryField, info_class: Any
    ) -> None:
        self._extension = extension
        self._field = field
        self._info_class = info_class

    def ask(self, owner: Any, info: Any) -> Any:
        """`GRANTED`, or what is shown in place of the field's value; `info` is graphql-core's.
        Raises what they raise."""
        told = self._info_class(_raw_info=info, _field=self._field)
        return self._extension.resolve(_granted, owner, told)


def guard_of(field: StrawberryField, info_class: Any) -> Guard | None:
    """A field's permissions; `None` where it has none, where they may wait, and where others have a
    say: further extensions, or arguments, which permissions get too."""
    if len(field.extensions) != 1 or field.arguments:
        return None
    extension = field.extensions[0]
    if type(extension) is not PermissionExtension or not extension.supports_sync:
        return None
    return Guard(extension, field, info_class)


def _granted(source: Any, info: Any, **_: Any) -> Any:
    return GRANTED
