"""Executes a compiled operation: asks for keys as soon as they are known, and makes the answer's
bytes of what comes.

There is no task and no future for a key, a row or a call: what lands calls the next step. Whatever
is not as usual (an error, a row that is not as declared, a limit) ends it without an answer; what
was asked for until then is handed on, so that who makes the answer instead asks for none of it
again.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Final

from plait.backend.budget import Budget
from plait.backend.call import Origin
from plait.backend.fetch import Fetcher
from plait.backend.keys import Key, Keys
from plait.backend.numbers import encode
from plait.graph.absent import Absence
from plait.query.answered import Answered
from plait.query.arguments import Variables
from plait.query.asked import Asked, LoadBatch, items_in, present, taken
from plait.query.batches import Batches
from plait.query.computed import Computed
from plait.query.deadlines import Deadlines, Due
from plait.query.failed import Told
from plait.query.held import Fetched
from plait.query.joins import Gather, Join
from plait.query.leaves import Unusual
from plait.query.outcomes import Outcomes, wants_fallback
from plait.query.prepared import Prepared
from plait.query.run import EARLY_KEYS_MAX
from plait.query.shown import Shown

ROWS_AT_ONCE_MAX = 20_000
"""More rows than this are shown by the executor, which lets others have their turns meanwhile."""
_NOTHING_TOLD: Final = Told(errors=[], fallbacks=[])
_NOTHING_COMPUTED: Final = Computed(())
_NOTHING: Mapping[str, Any] = {}


def _fetched(shown: Sequence[Mapping[Any, Any]], held: Sequence[int], place: int, key: Any) -> Any:
    """What a field with an endpoint shows that hangs on what a resolver returned."""
    return shown[held[place]][key]


def _are_keys(values: Sequence[Any]) -> bool:
    """Whether each is what a parameter may be that comes from a row, or null. Of other kinds,
    values that are equal to Python may be different to a backend."""
    return all(value is None or type(value) is int or type(value) is str for value in values)


class Direct:
    """One compiled operation under way."""

    def __init__(
        self,
        prepared: Prepared,
        fetcher: Fetcher,
        origin: Origin,
        budget: Budget,
        variables: Variables,
    ) -> None:
        self._prepared = prepared
        self._compiled = prepared.compiled
        self._fetcher = fetcher
        self.origin = origin
        self.batches = Batches(fetcher, origin, budget, self._came, self._quiet)
        self.computed = _NOTHING_COMPUTED
        if prepared.compiled.computes or prepared.compiled.asks_permissions:
            self.computed = Computed(prepared.compiled.resolvers, variables, origin.pace)
        self.budget = budget
        self._variables = variables
        self._asked: list[Asked | None] = [None] * len(prepared.compiled.joins)
        self._made: tuple[Answered | None] | None = None
        self._is_left = False
        self._has_begun = False
        self._outcomes: Outcomes | None = None
        """What was read row by row, where anything was."""
        self._early: dict[int, tuple[Any, Key, LoadBatch]] = {}
        """What joins of one parameter were asked for early: the last value, its key, and where it
        comes from."""
        self._under_way = 0
        """Steps whose rows are still to come."""
        self._undecided = 0
        """What others have still to decide before more can be asked for."""
        self._rows = 0
        self._then: Callable[[], object] | None = None
        self._deadlines: Deadlines | None = None
        self._due: Due | None = None
        self._held: dict[str, Join] = {}
        """What waits for its permissions, by its key in the answer."""
        self._refused: set[int] = set()
        """What these have not let ask."""
        self._waits_for: set[str] = set()
        """The resolvers that have not returned what others hang on, by their keys in the answer."""
        self._returned: dict[int, list[Any]] = {}
        """What hangs on what they have returned before it began: by joins, the values of the
        parameters."""
        self.beside = _NOTHING
        """What others have made of the answer."""
        self.later: Mapping[str, Callable[[Fetched], Any]] = _NOTHING
        """As `beside`, once it is known what fields with endpoints show in it."""
        self.order: Collection[str] = ()
        """The keys of the answer, where others make some of it."""
        self.is_late = False
        """Whether it was given up because it took too long."""
        self.why: BaseException | None = None
        """Why there is no answer, when there is none."""

    # --- from outside

    def hold(self, keys: Collection[str], resolvers: Collection[str]) -> None:
        """Let nothing of these fields leave until they are granted, and nothing that hangs on what
        resolvers return until they have."""
        joins = self._compiled.joins
        self._waits_for = set(resolvers)
        self._held = {
            key: joins[of] for key, of in self._compiled.root if key in keys and type(of) is int
        }

    def begin(self) -> None:
        """Ask for what can be asked for at once. Raises nothing."""
        self._has_begun = True
        held = {one.index for one in self._held.values()}
        self._undecided = len(held) + len(self._waits_for)
        try:
            for index, values in self._returned.items():
                self._ask(self._compiled.joins[index], values)
            for join in self._prepared.roots:
                if join.index not in held and join.index not in self._refused:
                    self._ask(join, [()])
            self._leave(whole=not self._undecided and not self.batches.is_joined)
        except Exception as error:
            self._give_in(error)

    def decide(self, key: str, *, is_granted: bool) -> None:
        """The permissions of a field have let it ask, or have not: then it shows nothing."""
        join = self._held.pop(key, None)
        if join is None:
            return
        if not is_granted:
            self._refused.add(join.index)
        if not self._has_begun:
            return  # it is asked for with the others
        self._undecided -= 1
        if not self._is_left:
            self._guarded(partial(self._go_on_with, join))

    def _go_on_with(self, join: Join) -> None:
        if self.why is None and join.index not in self._refused:
            self._ask(join, [()])
            self._leave(whole=False)

    def returned(self, key: str, asked: Mapping[int, list[Any]]) -> None:
        """What hangs on what a resolver has returned: the values of its parameters, by the places
        in `Compiled.held`."""
        if key not in self._waits_for:
            return
        self._waits_for.remove(key)
        values = {self._compiled.held[place]: found for place, found in asked.items()}
        if not self._has_begun:
            self._returned.update(values)
            return
        self._undecided -= 1
        if not self._is_left:
            self._guarded(partial(self._go_on_below, values))

    def _go_on_below(self, values: Mapping[int, list[Any]]) -> None:
        if self.why is None:
            for index, found in values.items():
                self._ask(self._compiled.joins[index], found)
            self._leave(whole=False)

    def withdraw(self) -> None:
        """Let graphql-core have it, once what is under way has come."""
        self._give_in(Unusual())

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to come."""
        batches = self.batches
        if self._undecided or batches.under_way:
            return False
        return self.why is not None or batches.is_empty

    def then(self, go_on: Callable[[], object], deadlines: Deadlines) -> None:
        """Call `go_on`, once, when nothing more is to come, or after so long."""
        self._then = go_on
        self._deadlines, self._due = deadlines, deadlines.add(self._too_late)

    def answer(self) -> Answered:
        """The whole answer. Raises where graphql-core is to make it; anything may be raised."""
        if self.why is not None:
            raise self.why
        if self._under_way:
            raise Unusual
        shown = Shown(self._prepared, self._asked, self.computed, self.budget)
        data = shown.data()
        if self.beside or self.later:
            of_fetches = partial(_fetched, shown.of, self._compiled.held)
            later = {key: show(of_fetches) for key, show in self.later.items()}
            whole = {**data, **self.beside, **later}
            data = {key: whole[key] for key in self.order}
        told = _NOTHING_TOLD
        outcomes, failed = self._outcomes, self.computed.failed
        if (outcomes is not None and outcomes.are_told) or shown.absent or failed:
            told = self._outcomes_of_rows().told(data, shown, failed)
        body = encode({"data": None if told.is_nothing else data})
        if not self.budget.has_room(len(body), len(body)):  # no item is shorter than a byte
            items = items_in(body, has_lists=self._compiled.has_lists) + shown.items()
            if not self.budget.has_room(items, len(body)):
                raise Unusual
        return Answered(
            body=body,
            data=None if told.is_nothing else data,
            errors=told.errors,
            fallbacks=told.fallbacks,
        )

    def made(self) -> Answered | None:
        """The whole answer, made once for all users; `None` where graphql-core is to make it."""
        if self._made is None:
            try:
                self._made = (self.answer(),)
            except Exception:  # it is told by who makes the answer instead
                self._made = (None,)
        return self._made[0]

    @property
    def may_be_shared(self) -> bool:
        """Whether who asks for the same may have the same answer. Resolvers may tell each something
        else: a number that is used once, say."""
        return not self._compiled.computes

    @property
    def endpoints(self) -> Collection[str]:
        """The endpoints that it may ask, by their identities."""
        return {self._fetcher.identity(one.step.fetch.endpoint) for one in self._compiled.joins}

    def leave(self) -> None:
        """Nothing that is still to come is waited for. Who joined has been told before."""
        self._is_left = True
        self._then = None
        if self._due is not None and self._deadlines is not None:
            self._deadlines.remove(self._due)
            self._due = None  # it knows this, and would keep it
        self.batches.give_up()

    def absences(self) -> list[Absence]:
        """What the graph reads in vain, as far as it was seen now."""
        found: list[Absence] = []
        for watch in self._prepared.watches:
            found += watch.absences
        return found

    # --- asking

    def _ask(self, join: Join, values: list[Any]) -> None:
        """Ask for what a join shows, for the values that its parameters have."""
        made = self._asked[join.index] = Asked(values)
        fetch = join.step.fetch
        distinct = values if len(values) == 1 else list(dict.fromkeys(values))
        fixed = self._fixed(join)
        if fixed is None:
            made.keys = dict.fromkeys(distinct)
        elif not distinct:
            pass  # there is no row that it could belong to
        elif fetch.form == "many":
            for value in distinct:
                made.keys[value] = self._ask_many(join, made, fixed, value)
        elif not join.parameters:
            keys = Keys(fetch.endpoint)
            made.keys[()] = keys.add(fixed)
            self._load(made, join, keys)
        else:
            self._ask_each(join, made, fixed, distinct)
        for batch in made.batches:
            batch.joins.append(join.index)
            made.left += not batch.is_over
        self._under_way += 1
        if not made.left:
            self._landed(join, made)

    def _fixed(self, join: Join) -> dict[str, Any] | None:
        """The parameters that come from no row; `None` where there is nothing to ask for."""
        bound, fetch = self._prepared.bounds[join.index], join.step.fetch
        prepared = self._prepared
        known = prepared.fixed[join.index]
        if known is not None:
            return known
        arguments = prepared.arguments[join.index]
        fixed = fetch.fixed_values(arguments.of(self._variables))
        if fixed is None or fetch.form == "many":
            return fixed
        if fetch.form == "connection":
            return {**fixed, **prepared.window(join, self._variables).values}
        for name in bound.needed:
            if name not in fixed and name not in join.parameters:
                return None  # no key, no row
        if arguments.is_constant:
            prepared.fixed[join.index] = fixed
        return fixed

    def _ask_each(
        self, join: Join, made: Asked, fixed: dict[str, Any], distinct: list[Any]
    ) -> None:
        known, parameters = self._early.get(join.index), join.parameters
        if known is not None and len(made.values) == 1:
            value, key, batch = known
            if type(value) is type(made.values[0]) and value == made.values[0]:
                made.keys[value] = key
                made.batches.append(batch)
                self.batches.confirm(join.step.fetch.endpoint, key)
                return
        keys = Keys(join.step.fetch.endpoint)
        if len(parameters) == 1:
            # Of all values, for some that are equal are not the same: Python's true is its 1.
            if not _are_keys(made.values):
                raise Unusual
            asked = [value for value in distinct if value is not None]
            if len(asked) < len(distinct):
                made.keys[None] = None
            column = keys.add_column(fixed, parameters[0], asked)
            for value, key in zip(asked, column, strict=True):
                made.keys[value] = key
        else:
            for value in distinct:
                if None in value:
                    made.keys[value] = None
                elif all(type(part) is int or type(part) is str for part in value):
                    named = dict(zip(parameters, value, strict=True))
                    made.keys[value] = keys.add({**fixed, **named})
                else:
                    raise Unusual
            for values in zip(*made.values, strict=True):
                if not _are_keys(values):
                    raise Unusual
        self._load(made, join, keys)

    def _ask_many(
        self, join: Join, made: Asked, fixed: dict[str, Any], value: Any
    ) -> list[Key | None] | None:
        """A key for each item of a list: that of a row in `value`, else one that is the same for
        all rows."""
        fetch = join.step.fetch
        if join.parameters:
            if type(value) is not tuple:
                return None
            if not _are_keys(value):
                raise Unusual
            fixed = {**fixed, join.parameters[0]: list(value)}
        lists = [name for name, value in fixed.items() if isinstance(value, list)]
        if any(value is None for value in fixed.values()) or not lists:
            return None
        if len(lists) > 1:
            raise Unusual
        keys = Keys(fetch.endpoint)
        found = [
            None if item is None else keys.add({**fixed, lists[0]: item})
            for item in fixed[lists[0]]
        ]
        self._load(made, join, keys)
        return found

    def _load(self, made: Asked, join: Join, keys: Keys, *, is_early: bool = False) -> None:
        """Have keys asked for, and what hangs on nothing else of their rows."""
        prepared, index = self._prepared, join.index
        new = self.batches.load(
            made,
            keys,
            is_alone=prepared.is_alone[index],
            is_shared=index in self._compiled.shared,
            is_early=is_early,
        )
        if prepared.early[index]:
            for key in list(new):  # asking may add to them
                self._ask_early(join, keys.of(key))

    def _ask_early(self, join: Join, asked_by: Mapping[str, Any]) -> None:
        """Ask for what hangs on nothing else of a join's row than what it was asked for by."""
        for below in self._prepared.early[join.index]:
            assert below.early is not None
            values = [asked_by.get(parameter) for parameter in below.early]
            if not all(type(value) is int or type(value) is str for value in values):
                continue
            fixed = self._fixed(below)
            if fixed is None or len(self.batches.early) >= EARLY_KEYS_MAX:
                continue
            asked = fixed.copy()
            for place, name in enumerate(below.parameters):
                asked[name] = values[place]
            own, made = Keys(below.step.fetch.endpoint), Asked([])
            key = own.add(asked)
            self._load(made, below, own, is_early=True)
            if len(values) == 1:
                self._early[below.index] = values[0], key, made.batches[0]

    def _leave(self, *, whole: bool) -> None:
        if self.why is None:  # else who makes the answer instead asks for it
            self.batches.leave(whole=whole)

    def _quiet(self) -> None:
        self._guarded(partial(self._leave, whole=True))

    # --- landing

    def _came(self, batch: LoadBatch) -> None:
        try:
            self._go_on(batch)
        except Exception as error:
            self._give_in(error)
        self._end_if_over()

    def _go_on(self, batch: LoadBatch) -> None:
        assert batch.fetching is not None
        if batch.fetching.defect is not None:
            raise batch.fetching.defect
        for index in tuple(batch.joins):  # what hangs on these may have something in it too
            asked = self._asked[index]
            assert asked is not None
            asked.left -= 1
            if not asked.left:
                self._landed(self._compiled.joins[index], asked)
        self._leave(whole=False)

    def _guarded(self, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception as error:
            self._give_in(error)
        self._end_if_over()

    def _end_if_over(self) -> None:
        if self._then is not None and self.is_over:
            self._end()

    def _end(self) -> None:
        then, self._then = self._then, None
        if then is not None:
            then()

    def _landed(self, join: Join, asked: Asked) -> None:
        """All rows of a join are there: ask for what hangs on them."""
        self._under_way -= 1
        watch = self._prepared.watches[join.index]
        # What computes fields of rows has the rows that graphql-core would have.
        if (
            watch.is_open
            or join.computes
            or not taken(join, asked, self._prepared.refused)
            or wants_fallback(join, asked)
        ):
            self._outcomes_of_rows().read(join, watch, asked)
        below = self._prepared.below[join.index]
        if below and self.why is None:
            rows = present(asked.rows.values())
            self._rows += len(rows)
            if self._rows > ROWS_AT_ONCE_MAX:
                raise Unusual
            typed = join.typed.gather if join.typed is not None and asked.is_typed else None
            values: list[Any] = []
            last: Gather | None = None
            for one in below:
                gather = one.gather if typed is None else typed.get(one.index)
                if gather is None:
                    values = [()] * bool(rows)
                elif one.guard is not None:
                    values = gather(rows, self.computed.permit(one.guard))
                elif gather is not last:
                    values = gather(rows)
                last = gather
                self._ask(one, values)

    def _outcomes_of_rows(self) -> Outcomes:
        if self._outcomes is None:
            self._outcomes = Outcomes(self._prepared, self._variables)
        return self._outcomes

    def _give_in(self, error: BaseException) -> None:
        """Let graphql-core have it. What is under way goes on: it will be needed. What is not goes
        its way there."""
        if self._has_begun:
            self._undecided = 0
        self._held, self._waits_for = {}, set()
        self.batches.send_back()
        self.why = self.why or error

    def _too_late(self) -> None:
        self.is_late = True
        self._give_in(Unusual())
        self._end()
