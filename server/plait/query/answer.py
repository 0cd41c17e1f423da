"""What goes back to the client, as states: what was refused, and what was executed. An answer in
several parts would be a third one."""

from typing import TypeAlias

import msgspec


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing was executed: the answer has no entry `data`."""

    body: bytes
    codes: tuple[str, ...]
    """The codes of its errors, each once."""
    status: int = 400
    """The HTTP status that says so, where the media type lets it."""
    always: bool = False
    """Whether the status holds for every media type."""
    replayed = False
    retry_after_s: float | None = None
    """When to ask again, where an error says so."""


class Executed(msgspec.Struct, frozen=True, kw_only=True):
    """It was executed, in whole or in part: the answer has an entry `data`, null or not."""

    body: bytes
    codes: tuple[str, ...] = ()
    """As above."""
    status: int = 200
    """As above. An answer with data has 200, whatever failed beside it."""
    always = False
    replayed: bool = False
    """Whether the ledger told of writes what an earlier request had done."""
    retry_after_s: float | None = None
    """As above."""


Answer: TypeAlias = Refused | Executed
