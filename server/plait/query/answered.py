"""What compiled code made."""

from typing import Any

import msgspec
from graphql import GraphQLError


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """What compiled code made."""

    body: bytes
    """The whole answer, where there are no errors."""
    data: dict[str, Any] | None
    errors: list[GraphQLError] = []
    fallbacks: list[dict[str, Any]] = []
    """What it tells of fields that show something else than what was asked for just now."""

    @property
    def is_all(self) -> bool:
        """Whether there is nothing to tell beside the data."""
        return not self.errors and not self.fallbacks
