"""Rules of validation, asked together.

For every validation graphql-core looks for the methods of each of its rules by name, for each kind
of node, and then asks at every node each rule whether it has one. Which rules have something to say
of a kind is known once they are classes: that is a fifth of the time that a document's first sight
takes.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any, TypeAlias

from graphql import BREAK, SKIP, ASTValidationRule, ValidationContext, Visitor
from graphql.language.visitor import EnterLeaveVisitor

Rules: TypeAlias = tuple[type[ASTValidationRule], ...]
_Methods: TypeAlias = tuple[tuple[int, str], ...]
"""Places of rules, and the names of their methods."""


def together(rules: Rules) -> Callable[[ValidationContext], Visitor]:
    """A rule that is all of `rules`, in their order."""
    return partial(_Together, rules)


class _Together(Visitor):
    """Does what `ParallelVisitor` does with visitors that change nothing."""

    def __init__(self, rules: Rules, context: ValidationContext) -> None:
        super().__init__()
        self._classes = rules
        self._rules = [rule(context) for rule in rules]
        self._skipping: dict[int, Any] = {}
        """Rules that look at nothing more: below a node, or at all."""

    def get_enter_leave_for_kind(self, kind: str) -> EnterLeaveVisitor:
        """See `Visitor`."""
        known = self.enter_leave_map.get(kind)
        if known is None:
            known = self.enter_leave_map[kind] = self._both(kind)
        return known

    def _both(self, kind: str) -> EnterLeaveVisitor:
        entering, leaving = (
            [(place, getattr(self._rules[place], name)) for place, name in methods]
            for methods in _methods(self._classes, kind)
        )
        if not entering and not leaving:
            return EnterLeaveVisitor(None, None)
        skipping = self._skipping

        def enter(*node: Any) -> None:
            for place, ask in entering:
                if place not in skipping and (said := ask(*node)) is not None:
                    if said is SKIP or said is False:
                        skipping[place] = node[0]
                    elif said is BREAK or said is True:
                        skipping[place] = BREAK

        def leave(*node: Any) -> None:
            for place, ask in leaving:
                if place not in skipping and ask(*node) in (BREAK, True):
                    skipping[place] = BREAK
            if skipping:
                for place in [one for one, of in skipping.items() if of is node[0]]:
                    del skipping[place]

        return EnterLeaveVisitor(enter, leave)


@lru_cache(maxsize=1_000)
def _methods(rules: Rules, kind: str) -> tuple[_Methods, _Methods]:
    """Of those that have any for this kind: to be asked on entering a node, and on leaving it."""
    return _named(rules, kind, "enter"), _named(rules, kind, "leave")


def _named(rules: Sequence[type], kind: str, what: str) -> _Methods:
    found = []
    for place, rule in enumerate(rules):
        for name in (f"{what}_{kind}", what):
            if getattr(rule, name, None) is not None:
                found.append((place, name))
                break
    return tuple(found)
