"""What each field of a selection takes to be shown for a row, worked out once for all rows.

graphql-core asks the same questions at every field of every row: which field this is, which
arguments it has, what its type is made of. For rows the answers are the same each time. What cannot
be shown the usual way (an error, null where none may be, a scalar of the graph's own) is left to
graphql-core, field by field.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

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


class How(Enum):
    """How a field is shown."""

    AS_IS = auto()
    """A property that JSON and GraphQL have alike."""
    LEAF = auto()
    """A property that is converted."""
    ROWS = auto()
    """A property that holds objects."""
    FETCH = auto()
    """The rows of an endpoint."""
    TYPENAME = auto()
    CORE = auto()
    """As graphql-core has it."""


@dataclass(slots=True, kw_only=True, eq=False)
class QuickPart:
    """One field of a selection."""

    name: str
    """Its key in the answer."""
    details: Any
    definition: GraphQLField
    how: How
    key: str = ""
    """Of a property shown as it is, the name that it is read under first."""
    kind: type | None = None
    """What of JSON is shown as it is."""
    null_is_null: bool = False
    """Whether null, or nothing, is null and no more need be asked."""
    is_id: bool = False
    get: Callable[[dict[str, Any]], Any] = dict
    type: Any = None
    """Its named type; of a list, that of the items."""
    item_type: GraphQLOutputType | None = None
    """Of a list."""
    nullable: bool = True
    entry: Fetch | Property | None = None
    step: Any = None
    """Its step in the operation's plan, if it has one."""


@dataclass(slots=True, kw_only=True, eq=False)
class Quick:
    """One selection on rows of one type."""

    of: Any
    """graphql-core's own set of fields: kept, so that no other takes its identity."""
    parts: Sequence[QuickPart]
    looks: Sequence[tuple[str, str, type | None, bool, bool, QuickPart]]
    """Of each part its name, key, kind, `null_is_null` and `is_id`, and itself: what is looked at
    for every value of an answer stands together."""
    name_bytes: int
    """What the names take in the answer."""
    is_flat: bool
    """Whether nothing in it can take more than a moment."""


def quick(
    parent: GraphQLObjectType,
    grouped: Any,
    definition_of: Callable[[str], GraphQLField | None],
    table: FieldTable,
    *,
    is_strict: bool,
    step_of: Callable[[str], Any],
) -> Quick:
    """How the fields of `grouped` are shown. `step_of` finds the plan's step by a field's key."""
    fields = table.get(parent.name, {})
    parts = list(_parts(parent, grouped, definition_of, fields, is_strict, step_of))
    flat = (How.AS_IS, How.LEAF, How.TYPENAME)
    return Quick(
        of=grouped,
        parts=parts,
        looks=[(one.name, one.key, one.kind, one.null_is_null, one.is_id, one) for one in parts],
        name_bytes=sum(len(name) + NAME_BYTES for name in grouped),
        is_flat=all(one.how in flat for one in parts),
    )


def _parts(
    parent: GraphQLObjectType,
    grouped: Any,
    definition_of: Callable[[str], GraphQLField | None],
    fields: Any,
    is_strict: bool,
    step_of: Callable[[str], Any],
) -> Iterator[QuickPart]:
    for key, details in grouped.items():
        name = details[0].node.name.value
        definition = definition_of(name)
        if definition is None:
            continue  # as graphql-core does: there is no such field
        entry = fields.get(name)
        part = QuickPart(name=key, details=details, definition=definition, how=How.CORE)
        part.nullable = not isinstance(definition.type, GraphQLNonNull)
        if name == "__typename":
            part.how = How.TYPENAME
        elif isinstance(entry, Property) and not entry.is_guarded:
            _of_property(part, entry, is_strict)
        elif isinstance(entry, Fetch) and (step := step_of(key)) is not None:
            part.step, part.entry = step, entry
            _of_rows(part, How.FETCH)
        yield part


def _of_property(part: QuickPart, entry: Property, is_strict: bool) -> None:
    part.get, part.entry = entry.reader.get, entry
    type_ = _nullable(part.definition.type)
    if not is_leaf_type(type_):
        if not is_strict:
            _of_rows(part, How.ROWS)
        return
    part.type = type_
    path = entry.reader.paths[0]
    if type_.name in JSON_KINDS and len(path) == 1:
        part.how, part.key, part.kind = How.AS_IS, path[0], JSON_KINDS[type_.name]
        part.is_id = type_.name == "ID"
        has_one_name = len(entry.reader.paths) == 1 and not entry.reader.has_default
        part.null_is_null = part.nullable and has_one_name and not is_strict
    else:
        part.how = How.LEAF


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
