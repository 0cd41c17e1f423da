"""What each field of a selection takes to be shown for a row, worked out once for all rows.

graphql-core asks the same questions at every field of every row: which field this is, which
arguments it has, what its type is made of. For rows the answers are the same each time. What cannot
be shown the usual way (an error, null where none may be, a scalar of the graph's own) is left to
graphql-core, field by field.
"""

from collections.abc import Callable
from typing import Any, Final, Literal, TypeAlias

from graphql import (
    GraphQLField,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    is_abstract_type,
    is_leaf_type,
    is_list_type,
)

from plait.graph.fields import JSON_KINDS, Fetch, FieldTable, Property
from plait.graph.sizes import NAME_BYTES

How: TypeAlias = Literal["as_is", "leaf", "rows", "fetch", "typename", "core"]
"""How a field is shown: a property that JSON and GraphQL have alike, one that is converted, one
that holds objects, the rows of an endpoint, the type's name; or as graphql-core has it."""
FLAT: Final = ("as_is", "leaf", "typename")


class QuickPart:
    """One field of a selection."""

    def __init__(self, name: str, details: Any, definition: GraphQLField) -> None:
        self.name = name
        """Its key in the answer."""
        self.details = details
        self.definition = definition
        self.how: How = "core"
        self.get: Callable[[dict[str, Any]], Any] = dict
        self.type: Any = None
        """Its named type; of a list, that of the items."""
        self.item_type: GraphQLOutputType | None = None
        """Of a list."""
        self.nullable = not isinstance(definition.type, GraphQLNonNull)
        self.step: Any = None
        """Its step in the operation's plan, if it has one."""
        self.bound: Any = None
        """What resolves it, if it has a step."""
        self.below: dict[GraphQLObjectType, Quick] = {}
        """What is selected of its objects, by their type."""
        self.shown: dict[int, tuple[dict[str, Any], int]] = {}
        """What was shown for what was asked, by the identity of that; and how many bytes that
        took."""


Look: TypeAlias = tuple[str, str, type | None, bool, bool, QuickPart]
"""Of a part its name; of a property that is shown as it is, the name that it is read under first,
what of JSON is shown so, whether null (or nothing) is null and no more need be asked, and whether
it is an id; and the part. What is looked at for every value of an answer stands together."""


class Quick:
    """One selection on rows of one type. `of` is graphql-core's own set of fields: kept, so that
    no other takes its identity."""

    def __init__(self, of: Any, looks: list[Look]) -> None:
        self.of = of
        self.looks = looks
        self.name_bytes = sum(len(name) + NAME_BYTES for name in of)
        """What the names take in the answer."""
        self.is_flat = all(look[5].how in FLAT for look in looks)
        """Whether nothing in it can take more than a moment."""


def quick(
    parent: GraphQLObjectType,
    grouped: Any,
    definition_of: Callable[[GraphQLObjectType, str], GraphQLField | None],
    table: FieldTable,
    *,
    is_strict: bool,
    steps: dict[str, Any],
    bound_of: Callable[[Any], Any] | None,
) -> Quick:
    """How the fields of `grouped` are shown. `steps` are the plan's, by the keys of fields."""
    fields = table.get(parent.name, {})
    looks: list[Look] = []
    for key, details in grouped.items():
        name = details[0].node.name.value
        definition = definition_of(parent, name)
        if definition is None:
            continue  # as graphql-core does: there is no such field
        entry = fields.get(name)
        part = QuickPart(key, details, definition)
        look: Look = (key, "", None, False, False, part)
        if name == "__typename":
            part.how = "typename"
        elif isinstance(entry, Property) and not entry.is_guarded:
            look = _of_property(part, entry, is_strict)
        elif isinstance(entry, Fetch) and (step := steps.get(key)) is not None and bound_of:
            part.step, part.bound = step, bound_of(entry)
            _of_rows(part, "fetch")
        looks.append(look)
    return Quick(grouped, looks)


def _of_property(part: QuickPart, entry: Property, is_strict: bool) -> Look:
    part.get = entry.reader.get
    type_ = _nullable(part.definition.type)
    path = entry.reader.paths[0]
    if not is_leaf_type(type_):
        if not is_strict:
            _of_rows(part, "rows")
    elif type_.name in JSON_KINDS and len(path) == 1:
        part.type, part.how = type_, "as_is"
        has_one_name = len(entry.reader.paths) == 1 and not entry.reader.has_default
        null_is_null = part.nullable and has_one_name and not is_strict
        kind = JSON_KINDS[type_.name]
        return part.name, path[0], kind, null_is_null, type_.name == "ID", part
    else:
        part.type, part.how = type_, "leaf"
    return part.name, "", None, False, False, part


def _of_rows(part: QuickPart, how: How) -> None:
    """A field whose type is an object type, an abstract one, or a list of these."""
    type_ = _nullable(part.definition.type)
    if is_list_type(type_):
        part.item_type = type_.of_type
        type_ = _nullable(type_.of_type)
    if isinstance(type_, GraphQLObjectType) or is_abstract_type(type_):
        part.type, part.how = type_, how


def _nullable(type_: GraphQLOutputType) -> Any:
    return type_.of_type if isinstance(type_, GraphQLNonNull) else type_
