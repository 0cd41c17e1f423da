"""From an operation to Python code that makes its answer of rows. Pure.

For each step of the plan two functions are written, and compiled once for all requests:

    build(rows, shown…)   rows as the backend sent them -> what the answer has of them. What a step
                          below shows is looked up by the values that its parameters have in the row
    gather(rows)          the rows of the step above -> those values, a value for each row. Where
                          the step has permissions, these are asked for each

The code asks of each value whether it is what the schema says. One that is not goes through the
same conversions as everywhere (`Reader.get`, then graphql-core's own for the type); what these
refuse, and everything else that is not as usual, raises, and the operation is executed from the
same rows by graphql-core, which tells what is wrong, and where. So compiled code makes an answer
that graphql-core would make, or none.
"""

import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphql import (
    FragmentDefinitionNode,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    get_named_type,
    is_composite_type,
    is_leaf_type,
    is_list_type,
)
from msgspec import UNSET

from plait.backend.paths import Path, value_at, value_that_is_at
from plait.graph.fields import Constant, Custom, Fetch, FieldTable, Given, Object, Property, Row
from plait.graph.rows import Reader
from plait.graph.schema import Kind
from plait.graph.sizes import NAME_BYTES
from plait.query.joins import Compiled, HeldFetch, Join, NotCompiled, Typed
from plait.query.leaves import SCALARS, exactly, value_of
from plait.query.plan import ASKED_FIRST, Plan, Step
from plait.query.resolved import Resolver
from plait.query.selection import Nodes, Part, Selections, TooLarge, below_of
from plait.query.typed import NotTyped, Shapes, decoder, key_of
from plait.query.writing import CODE_CHARACTERS_MAX, Function, Names, as_key, functions_of, unusual

NOT_WHOLE = "its plan is not whole"
OF_STRICT = "it sees a row that must have every property"
JOINS_MAX = 60


def compiled(
    operation: OperationDefinitionNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    schema: GraphQLSchema,
    fields: FieldTable,
    kinds: Mapping[str, Kind],
    plan: Plan,
    variables: Mapping[str, Any],
    held: Sequence[HeldFetch] = (),
) -> Compiled:
    """The code of a query whose plan is whole; `held` are fields below what resolvers of the root
    return. `variables` are those that decide what is asked for. Raises `NotCompiled`."""
    if not plan.is_whole:
        raise NotCompiled(NOT_WHOLE)
    root = schema.query_type
    assert root is not None
    selections = Selections(schema, fragments, variables)
    writer = _Writer(selections, fields, kinds, plan)
    try:
        return writer.operation(root, operation, held)
    except TooLarge:
        raise NotCompiled("it has too many fields") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    """A step on the way from a join's row to what is inside of it."""

    how: str
    """`object`, `list`, or `kind`."""
    of: str
    """The name of what reads it, or tells it."""
    kind: str = ""


@dataclass(slots=True, kw_only=True)
class _Place:
    """Where code is being written: inside which join's row."""

    join: int
    path: tuple[str, ...]
    """Keys of the answer."""
    types: tuple[Any, ...]
    """Those of the fields with these keys."""
    frames: tuple[_Frame, ...] = ()
    prefix: Path | None = ()
    """The property inside the row, where one path leads there."""


_WRITING = ("is_inside", "properties")
"""What of a join is of use while it is written."""


class _Writer:
    def __init__(
        self,
        selections: Selections,
        fields: FieldTable,
        kinds: Mapping[str, Kind],
        plan: Plan,
    ) -> None:
        self._selections = selections
        self._fields = fields
        self._kinds = kinds
        self._plan = plan
        self._names = Names(
            UNSET=UNSET,
            as_key=as_key,
            unusual=unusual,
            value_at=value_at,
            value_that_is_at=value_that_is_at,
        )
        self._functions: list[Function] = []
        self._texts: list[str] = []
        self._has_lists = False
        self._asks_permissions = False
        self._at: dict[tuple[tuple[str, ...], str], int] = {}
        """The joins by their places."""
        self._shapes = Shapes(
            selections,
            fields,
            own=self._names.of,
            lookup=lambda path, name: (plan.places[path, name], self._at[path, name]),
            value_of=value_of,
            functions=self._texts,
        )
        self._joins: dict[int, dict[str, Any]] = {}

    def operation(
        self,
        type_: GraphQLObjectType,
        operation: OperationDefinitionNode,
        held: Sequence[HeldFetch],
    ) -> Compiled:
        root: list[tuple[str, int | str | Resolver]] = []
        for key, nodes in self._selections.collected(
            type_, [(operation.selection_set, ())]
        ).items():
            name = nodes[0][0].name.value
            if name == "__typename":
                root.append((key, type_.name))
                continue
            entry = self._fields.get(type_.name, {}).get(name)
            if isinstance(entry, Custom):
                if entry.guard is not None:
                    raise NotCompiled(f"{entry.label}: {ASKED_FIRST}")
                root.append((key, self._resolver(type_, key, nodes, entry)))
                continue
            if not isinstance(entry, Fetch):
                raise NotCompiled(f"{type_.name}.{name} asks no endpoint")
            step = self._plan.places[(key,), type_.name]
            root.append((key, self._join(step, None, nodes)))
        below = tuple(self._held(one) for one in held)
        source = "\n\n\n".join([*(one.text() for one in self._functions), *self._texts]) + "\n"
        if len(source) > CODE_CHARACTERS_MAX:
            raise NotCompiled(f"its code would have more than {CODE_CHARACTERS_MAX} characters")
        namespace = functions_of(source, self._names.values)
        joins = tuple(
            Join(
                **{
                    **{name: one for name, one in join.items() if name not in _WRITING},
                    "repeats": max(join["properties"].values(), default=1),
                    "build": namespace[join["build"]] if join["build"] else None,
                    "gather": namespace[join["gather"]] if join["gather"] else None,
                    "below": tuple(join["below"]),
                    "typed": join["typed"] and _typed(join["typed"], namespace),
                }
            )
            for _, join in sorted(self._joins.items())
        )
        return Compiled(
            joins=joins,
            root=tuple(root),
            source=source,
            has_lists=self._has_lists,
            resolvers=tuple(one for _, one in root if isinstance(one, Resolver)),
            computes=any(one.computes for one in joins)
            or any(isinstance(one, Resolver) for _, one in root),
            asks_permissions=self._asks_permissions,
            held=below,
            shared=_shared(joins),
        )

    def _held(self, one: HeldFetch) -> int:
        index = self._join(self._plan.places[one.path, one.type_name], None, one.nodes)
        self._at[one.path, one.type_name] = index
        join = self._joins[index]
        join["types"], join["is_held"] = (*one.types, *join["types"]), True
        return index

    def _resolver(
        self,
        type_: GraphQLObjectType,
        key: str,
        nodes: Nodes,
        entry: Custom | Property,
        place: _Place | None = None,
        spot: str = "",
    ) -> Resolver:
        definition = type_.fields[nodes[0][0].name.value]
        named = get_named_type(definition.type)
        if place is not None and self._is_strict(place):
            raise NotCompiled(f"{entry.label}: {OF_STRICT}")
        if isinstance(entry, Custom) and (entry.may_load or not is_leaf_type(named)):
            raise NotCompiled(f"{entry.label}: {entry.why}")
        self._asks_permissions |= entry.guard is not None
        self._has_lists |= is_list_type(
            definition.type.of_type
            if isinstance(definition.type, GraphQLNonNull)
            else definition.type
        )
        return _authors(key, type_, nodes, entry, place, spot)

    # --- one step

    def _join(
        self, step: Step, place: _Place | None, nodes: Nodes, guard: Resolver | None = None
    ) -> int:
        parts = below_of(nodes)
        fetch = step.fetch
        if any(isinstance(one, Object) and _has_rows(one) for one in fetch.bindings.values()):
            raise NotCompiled(f"{fetch.label} has a body with parts of the row")
        parameters = tuple(name for name, one in fetch.bindings.items() if isinstance(one, Row))
        if fetch.form == "many" and parameters and len(parameters) + _lists_in(fetch) > 1:
            raise NotCompiled(f"{fetch.label} has more than its list from the row")
        type_ = step.definition.type
        if _depth(type_) > (1 if fetch.is_list else 0):
            raise NotCompiled(f"{fetch.label} shows lists of lists")
        index = len(self._joins)
        if index >= JOINS_MAX:
            raise NotCompiled(f"it has more than {JOINS_MAX} fields with endpoints")
        self._joins[index] = join = {
            "index": index,
            "step": step,
            "nodes": tuple(node for node, _ in nodes),
            "types": (*(place.types if place else ()), type_),
            "above": place.join if place else None,
            "below": [],
            "parameters": parameters,
            "gather": None,
            "early": self._early(step, place, parameters),
            "build": None,
            "typed": None,
            "is_inside": bool(place and place.frames),
            "row_key": _row_key(fetch, parameters),
            "names": 0,
            "properties": Counter(),
            "computes": False,
            "is_held": False,
            "guard": guard,
        }
        if place is not None and (parameters or place.frames or guard is not None):
            join["gather"] = self._gather(index, place, fetch, parameters, guard)
        named = get_named_type(type_)
        self._has_lists |= not is_composite_type(named)
        if is_composite_type(named):
            join["build"] = self._build(index, step, named, parts)
        if isinstance(named, GraphQLObjectType) and fetch.form == "one":
            with contextlib.suppress(NotTyped):
                join["typed"] = self._typed(index, step, named, parts)
        return index

    def _typed(
        self, index: int, step: Step, named: GraphQLObjectType, parts: Sequence[Part]
    ) -> dict[str, Any]:
        """As `_build`, for rows as structs."""
        fetch = step.fetch
        is_strict = fetch.endpoint.is_strict
        shape = self._shapes.shape(named, parts, step.path, top=True, is_strict=is_strict)
        row_key = self._joins[index]["row_key"]
        key = shape.key(row_key) if row_key is not None else None
        if key is not None:
            self._texts.append(f"def typed_keys_{index}(rows):\n    return [r.{key} for r in rows]")
        gathers: dict[int, str] = {}
        known: dict[str, str] = {}  # fields that hang on the same property read it once
        for below in self._joins.values():
            if below["above"] != index or below["gather"] is None:
                continue
            if below["is_inside"]:
                raise NotTyped
            value = key_of(shape, below["step"])
            name = known.get(value)
            if name is None:
                name = known[value] = f"typed_gather_{below['index']}"
                self._texts.append(f"def {name}(rows):\n    return [{value} for r in rows]")
            gathers[below["index"]] = name
        names = ", ".join(f"shown_{one}" for one in self._joins[index]["below"])
        lines = [f"def typed_{index}(rows, {names}):"]
        if shape.is_itself and not shape.code(0):
            lines.append("    return rows")
        else:
            nullable = fetch.is_list and fetch.items_nullable
            shown = [] if shape.is_itself else ["    shown = []"]
            lines += [*shown, "    for r in rows:"]
            if nullable and shape.is_itself:
                lines += ["        if r is None: continue"]
            elif nullable:
                lines += ["        if r is None:", "            shown.append(r)"]
                lines += ["            continue"]
            lines += shape.code(2)
            if shape.is_itself:
                lines.append("    return rows")
            else:
                lines += [f"        shown.append({shape.value})", "    return shown"]
        self._texts.append("\n".join(lines))
        row: Any = shape.struct()
        rows: Any = list[row | None] if fetch.items_nullable else list[row]
        batch = fetch.endpoint.batch
        unwrap = fetch.endpoint.unwrap
        kept: Any = rows if fetch.is_list else row
        return {
            "decode": decoder(rows if fetch.is_list else row, unwrap),
            "decode_batch": (
                decoder(list[row], unwrap if batch.unwrap is None else batch.unwrap)
                if batch is not None and key is not None
                else None
            ),
            "decode_kept": decoder(list[kept | None], ()),
            "row_keys": f"typed_keys_{index}" if key is not None else None,
            "gather": gathers,
            "build": f"typed_{index}",
            "is_flat": shape.is_flat,
        }

    def _early(
        self, step: Step, place: _Place | None, parameters: Sequence[str]
    ) -> tuple[str, ...] | None:
        if step.index not in self._plan.early or place is None or place.prefix is None:
            return None
        above = self._joins[place.join]["step"].fetch.endpoint.known
        known = {path: parameter for parameter, path in above.items()}
        found = []
        for name in parameters:
            binding = step.fetch.bindings[name]
            assert isinstance(binding, Row)
            parameter = known.get((*place.prefix, *binding.path))
            if parameter is None:
                return None
            found.append(parameter)
        return tuple(found)

    def _gather(
        self,
        index: int,
        place: _Place,
        fetch: Fetch,
        parameters: Sequence[str],
        guard: Resolver | None,
    ) -> str:
        own = ["rows"] if guard is None else ["rows", "permit"]
        function = Function(f"gather_{index}", own)
        self._functions.append(function)
        function.add(0, "found = []")
        function.add(0, "for r in rows:")
        row, depth = "r", 1
        for frame in place.frames:
            if frame.how == "kind":
                function.add(depth, f"if {frame.of}({row}) != {frame.kind!r}: continue")
                continue
            held = function.new("b")
            function.add(depth, f"{held} = {frame.of}({row})")
            function.add(depth, f"if {held} is None: continue")
            row = held
            if frame.how == "list":
                row = function.new("r")
                function.add(depth, f"for {row} in {held}:")
                depth += 1
                function.add(depth, f"if {row} is None: continue")
        if guard is not None:
            function.add(depth, f"if not permit({row}): continue")
        function.add(depth, f"found.append({self._key(row, fetch, parameters, place)})")
        function.add(0, "return found")
        return function.name

    def _is_strict(self, place: _Place) -> bool:
        """Whether a row must have every property that is read of it. What lacks one is left to
        graphql-core, which tells it."""
        step: Step = self._joins[place.join]["step"]
        return step.fetch.endpoint.is_strict

    def _key(self, row: str, fetch: Fetch, parameters: Sequence[str], place: _Place) -> str:
        """The expression of what a step's parameters are in a row."""
        values = []
        for name in parameters:
            binding = fetch.bindings[name]
            assert isinstance(binding, Row)
            value = self._read(row, binding.path, is_strict=self._is_strict(place))
            values.append(f"as_key({value})" if fetch.form == "many" else value)
        return values[0] if len(values) == 1 else f"({', '.join(values)})" if values else "()"

    def _read(self, row: str, path: Path, *, is_strict: bool) -> str:
        if len(path) == 1:
            return f"{row}[{path[0]!r}]" if is_strict else f"{row}.get({path[0]!r})"
        return f"{'value_that_is_at' if is_strict else 'value_at'}({row}, {path!r})"

    def _build(self, index: int, step: Step, named: Any, parts: Sequence[Part]) -> str:
        function = Function(f"build_{index}", ["rows"])
        self._functions.append(function)
        function.add(0, "shown = []")
        function.add(0, "for r in rows:")
        if step.fetch.is_list and step.fetch.form == "one":
            function.add(1, "if r is None:")
            nothing = "None" if step.fetch.items_nullable else "unusual()"
            function.add(2, f"shown.append({nothing})")
            function.add(2, "continue")
        place = _Place(join=index, path=step.path, types=self._joins[index]["types"])
        self._objects(function, 1, "r", "shown.append({})", named, parts, place)
        function.add(0, "return shown")
        return function.name

    # --- objects

    def _objects(
        self,
        function: Function,
        depth: int,
        row: str,
        then: str,
        named: Any,
        parts: Sequence[Part],
        place: _Place,
    ) -> None:
        """Code that makes an object of `row`, and does `then` with it."""
        if isinstance(named, GraphQLObjectType):
            made = self._object(function, depth, row, named, parts, place)
            function.add(depth, then.format(made))
            return
        kind = self._kinds.get(named.name)
        if kind is None:
            raise NotCompiled(f"{named.name} is told apart by its author's code")
        own = self._names.of("kind", kind)
        told = function.new("k")
        function.add(depth, f"{told} = {own}({row})")
        word = "if"
        possible = self._selections.possible(named)
        # Before a row is there, its kind is known where there is but one.
        prefix = place.prefix if len(possible) == 1 else None
        for type_ in possible:
            frame = _Frame(how="kind", of=own, kind=type_.name)
            inner = _Place(
                join=place.join,
                path=place.path,
                types=place.types,
                frames=(*place.frames, frame),
                prefix=prefix,
            )
            function.add(depth, f"{word} {told} == {type_.name!r}:")
            made = self._object(function, depth + 1, row, type_, parts, inner)
            function.add(depth + 1, then.format(made))
            word = "elif"
        function.add(depth, "else:")
        function.add(depth + 1, "unusual()")

    def _object(
        self,
        function: Function,
        depth: int,
        row: str,
        type_: GraphQLObjectType,
        parts: Sequence[Part],
        place: _Place,
    ) -> str:
        """The expression of an object, after the code that it needs."""
        shown, spot = [], self._names.new("spot")
        for key, nodes in self._selections.collected(type_, parts).items():
            name = nodes[0][0].name.value
            self._joins[place.join]["names"] += len(key) + NAME_BYTES
            if name == "__typename":
                self._joins[place.join]["names"] += len(type_.name)
                shown.append(f"{key!r}: {type_.name!r}")
                continue
            entry = self._fields.get(type_.name, {}).get(name)
            path = (*place.path, key)
            if isinstance(entry, Fetch):
                step = self._plan.places[path, type_.name]
                guard = self._guard(type_, key, nodes, entry, place, spot)
                value = self._lookup(function, row, step, nodes, type_, place, guard)
            elif isinstance(entry, Property) and not entry.is_guarded:
                self._joins[place.join]["properties"][entry.label] += 1
                declared = type_.fields[name].type
                reader = entry.reader.strict if self._is_strict(place) else entry.reader
                if entry.below is None:
                    value = self._leaf(function, depth, row, reader, declared)
                else:
                    inner = _Place(
                        join=place.join,
                        path=path,
                        types=(*place.types, declared),
                        frames=place.frames,
                        prefix=_inside(place.prefix, entry),
                    )
                    if _depth(declared) > 1:
                        raise NotCompiled(f"{entry.label} shows lists of lists")
                    value = self._inside(
                        function, depth, row, reader, declared, below_of(nodes), inner
                    )
            elif isinstance(entry, Custom) or (
                isinstance(entry, Property) and entry.guard is not None and entry.below is None
            ):
                resolver = self._resolver(type_, key, nodes, entry, place, spot)
                value = self._computed(function, row, resolver, place)
            elif isinstance(entry, Property):
                raise NotCompiled(f"{entry.label}: {ASKED_FIRST}")
            else:
                raise NotCompiled(f"{type_.name}.{name} is its author's code")
            shown.append(f"{key!r}: {value}")
        return f"{{{', '.join(shown)}}}"

    def _lookup(
        self,
        function: Function,
        row: str,
        step: Step,
        nodes: Nodes,
        type_: GraphQLObjectType,
        place: _Place,
        guard: Resolver | None,
    ) -> str:
        index = self._join(step, place, nodes, guard)
        self._at[step.path, type_.name] = index
        join = self._joins[index]
        self._joins[place.join]["below"].append(index)
        own = f"shown_{index}"
        function.parameters.append(own)
        value = f"{own}[{self._key(row, step.fetch, join['parameters'], place)}]"
        if guard is not None:  # where it is refused, that is shown
            value = f"{self._computed(function, row, guard, place)} or {value}"
        return value

    def _guard(
        self,
        type_: GraphQLObjectType,
        key: str,
        nodes: Nodes,
        fetch: Fetch,
        place: _Place,
        spot: str,
    ) -> Resolver | None:
        """The permissions of a field with an endpoint."""
        if fetch.guard is None:
            return None
        if self._is_strict(place):
            raise NotCompiled(f"{fetch.label}: {OF_STRICT}")
        self._asks_permissions = True
        return _authors(key, type_, nodes, fetch, place, spot)

    def _computed(self, function: Function, row: str, resolver: Resolver, place: _Place) -> str:
        # Author's code sees rows of a join, as graphql-core would have them, and no structs.
        function.computes = self._joins[place.join]["computes"] = True
        own = function.new("c")
        function.first.append(f"{own} = compute({self._names.of('resolver', resolver)})")
        return f"{own}({row})"

    def _leaf(self, function: Function, depth: int, row: str, reader: Reader, declared: Any) -> str:
        bare = declared.of_type if isinstance(declared, GraphQLNonNull) else declared
        self._has_lists |= is_list_type(bare)
        value, path = function.new("v"), reader.paths[0]
        otherwise = f"{self._names.of('exactly', exactly(reader, declared))}({row})"
        is_plain = is_leaf_type(bare) and bare.name in SCALARS
        if len(path) != 1 or ((reader.has_default or reader.is_strict) and not is_plain):
            function.add(depth, f"{value} = {otherwise}")
            return value
        function.add(depth, f"{value} = {row}.get({path[0]!r})")
        if not is_plain:
            own = f"{self._names.of('value', value_of(declared))}({value})"
            if len(reader.paths) > 1:
                own = f"{otherwise} if {value} is None else {own}"
            function.add(depth, f"{value} = {own}")
            return value
        if bare.name == "ID":
            otherwise = f"str({value}) if type({value}) is int else {otherwise}"
        check = SCALARS[bare.name].format(v=value)
        is_null = len(reader.paths) == 1 and not reader.has_default and not reader.is_strict
        if bare is declared and is_null:
            check = f"{value} is not None and ({check})"
        function.add(depth, f"if {check}: {value} = {otherwise}")
        return value

    def _inside(
        self,
        function: Function,
        depth: int,
        row: str,
        reader: Reader,
        declared: Any,
        parts: Sequence[Part],
        place: _Place,
    ) -> str:
        """A property that holds an object, or a list of them."""
        bare = declared.of_type if isinstance(declared, GraphQLNonNull) else declared
        is_list = is_list_type(bare)
        held, made = function.new("b"), function.new("o")
        read = self._names.of("held", reader.get)
        function.add(depth, f"{held} = {read}({row})")
        function.add(depth, f"if {held} is None:")
        nothing = "None" if bare is declared else "unusual()"
        function.add(depth + 1, f"{made} = {nothing}")
        function.add(depth, "else:")
        named = get_named_type(declared)
        how = "list" if is_list else "object"
        inner = _Place(
            join=place.join,
            path=place.path,
            types=place.types,
            frames=(*place.frames, _Frame(how=how, of=read)),
            prefix=None if is_list else place.prefix,
        )
        if not is_list:
            self._objects(function, depth + 1, held, f"{made} = {{}}", named, parts, inner)
            return made
        item = function.new("r")
        function.add(depth + 1, f"{made} = []")
        function.add(depth + 1, f"for {item} in {held}:")
        function.add(depth + 2, f"if type({item}) is not dict:")
        nullable = not isinstance(bare.of_type, GraphQLNonNull)
        nothing = f"None if {item} is None else unusual()" if nullable else "unusual()"
        function.add(depth + 3, f"{made}.append({nothing})")
        function.add(depth + 3, "continue")
        then = f"{made}.append({{}})"
        self._objects(function, depth + 2, item, then, named, parts, inner)
        return made


def _authors(
    key: str,
    type_: GraphQLObjectType,
    nodes: Nodes,
    entry: Custom | Property | Fetch,
    place: _Place | None,
    spot: str,
) -> Resolver:
    """A field that its author's code has a say in."""
    own = tuple(node for node, _ in nodes)
    if place is None:
        return Resolver(key, type_, own, entry)
    path = (*place.path, key)
    types = (*place.types, type_.fields[own[0].name.value].type)
    return Resolver(key, type_, own, entry, spot, path, types)


def _inside(prefix: Path | None, entry: Property) -> Path | None:
    """Where a property stands in the row of its join, if it stands at one place."""
    paths = entry.reader.paths
    return (*prefix, *paths[0]) if prefix is not None and len(paths) == 1 else None


def _typed(made: Mapping[str, Any], namespace: Mapping[str, Any]) -> Typed:
    gather = {below: namespace[name] for below, name in made["gather"].items()}
    row_keys = namespace[made["row_keys"]] if made["row_keys"] else None
    return Typed(
        **{**made, "gather": gather, "build": namespace[made["build"]], "row_keys": row_keys}
    )


def _row_key(fetch: Fetch, parameters: Sequence[str]) -> str | None:
    batch = fetch.endpoint.batch
    if batch is None or batch.key_matches != "exact" or tuple(batch.keys) != parameters:
        return None
    paths = list(batch.keys.values())
    return paths[0][0] if len(paths) == 1 and len(paths[0]) == 1 else None


def _lists_in(fetch: Fetch) -> int:
    """How many parameters beside those of the row may be lists."""
    return sum(
        (isinstance(one, Given) and one.is_list)
        or (isinstance(one, Constant) and isinstance(one.written, list | tuple))
        for one in fetch.bindings.values()
    )


def _has_rows(binding: Object) -> bool:
    return any(
        isinstance(one, Row) or (isinstance(one, Object) and _has_rows(one))
        for one in binding.parts.values()
    )


def _depth(type_: Any) -> int:
    """How many lists are around a type."""
    depth = 0
    while isinstance(type_, GraphQLNonNull | GraphQLList):
        depth += isinstance(type_, GraphQLList)
        type_ = type_.of_type
    return depth


def _shared(joins: Sequence[Join]) -> frozenset[int]:
    by_backend: dict[Any, list[int]] = {}
    for join in joins:
        spec = join.step.fetch.endpoint
        by_backend.setdefault((spec.backend.name, spec.label), []).append(join.index)
    return frozenset(index for alike in by_backend.values() if len(alike) > 1 for index in alike)
