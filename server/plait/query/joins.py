"""An operation as compiled code executes it: its steps, how they hang together, and the functions
that were written for them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from graphql import FieldNode

from plait.query.plan import Step
from plait.query.resolved import Resolver
from plait.query.selection import Nodes
from plait.query.typed import Decode

ShownRows: TypeAlias = Mapping[Any, Any]
"""What a step shows, by the values that its parameters have in the row; by `()` where they come
from no row."""
Build: TypeAlias = Callable[..., list[Any]]
Gather: TypeAlias = Callable[..., list[Any]]


class NotCompiled(Exception):
    """Why an operation is not compiled."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeldFetch:
    """A field with an endpoint that hangs on what a resolver of the root returns."""

    path: tuple[str, ...]
    """Keys of the answer, outermost first."""
    types: tuple[Any, ...]
    """The types that the schema has for those above the last."""
    type_name: str
    """The type that it is a field of."""
    nodes: Nodes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Join:
    """A step as it is executed."""

    index: int
    step: Step
    nodes: tuple[FieldNode, ...]
    """The places of the document that ask for it."""
    types: tuple[Any, ...]
    """The types that the schema has for the keys of the step's path."""
    above: int | None
    """The join whose rows its parameters come from, or whose rows it belongs to."""
    below: tuple[int, ...]
    """The joins that `build` looks things up in, in the order of its parameters."""
    parameters: tuple[str, ...]
    """Those that come from the row."""
    gather: Gather | None
    """`None` where a row of the join above is all that it takes."""
    early: tuple[str, ...] | None
    """For each of `parameters` the parameter of the join above that has the same value, where the
    step can be asked before its row is there."""
    row_key: str | None
    """The property of its rows that has the value of its one parameter, where rows of a batch are
    told apart by nothing else."""
    names: int
    """How many bytes the names of one of its objects take, at most."""
    repeats: int
    """How often a value of one of its rows may be shown in it: under several keys, or at several
    places."""
    build: Build | None
    """`None` where the step shows values, and no objects."""
    typed: "Typed | None" = None
    """How rows are read and shown as structs, where they can be."""
    computes: bool = False
    """Whether fields of its rows are computed: `build` gets what does that as its last
    parameter."""
    is_held: bool = False
    """Whether its parameters come from what a resolver of the root returns."""
    guard: Resolver | None = None
    """Its permissions, which are asked for each row of the join above: `gather` gets what says
    whether they let it as its last parameter."""

    @property
    def path(self) -> tuple[str, ...]:
        """Its keys in the answer, outermost first."""
        return self.step.path

    @property
    def may_be_absent(self) -> bool:
        """Whether no row is no error: null is shown, or an empty list."""
        fetch = self.step.fetch
        if fetch.form == "many":
            return fetch.items_nullable
        return fetch.nullable or fetch.is_list


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Typed:
    """A step whose rows are structs."""

    decode: Decode
    """Reads the reply of a single call."""
    decode_batch: Decode | None
    decode_kept: Decode
    """Reads a list of what the cache has for each load."""
    row_keys: Gather | None
    """The values by which a batch's rows are found."""
    gather: Mapping[int, Gather]
    """By the joins below."""
    build: Build
    is_flat: bool
    """Whether no row shows objects of its own."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Compiled:
    """One operation, for one choice of what its conditions leave in."""

    joins: tuple[Join, ...]
    """Those above before those below."""
    root: tuple[tuple[str, int | str | Resolver], ...]
    """The keys of the answer: each with its join, with the text that stands there, or with what
    computes it."""
    source: str
    """The code, for who wants to read it."""
    has_lists: bool = False
    """Whether it shows lists of values."""
    resolvers: tuple[Resolver, ...] = ()
    """What computes values of the root."""
    computes: bool = False
    """Whether anything is computed, at the root or for a row."""
    asks_permissions: bool = False
    """Whether permissions are asked for rows."""
    held: tuple[int, ...] = ()
    """The joins of the fields below what resolvers of the root return, in their order."""
    shared: frozenset[int] = field(default_factory=frozenset)
    """The joins whose endpoint others ask too, so that it is worth waiting for each other."""
