"""The shop's users: ids 1 to 1001, but never 999."""

from datetime import date, timedelta
from typing import Final

from demo.shop.chance import moment, number, pick
from demo.shop.names import FIRST_NAMES, LAST_NAMES

MISSING_USER_ID: Final = 999
LAST_USER_ID: Final = 1001
USER_IDS: Final = tuple(i for i in range(1, LAST_USER_ID + 1) if i != MISSING_USER_ID)

_TIERS: Final = ("GOLD", "SILVER", "SILVER", "SILVER", *["BRONZE"] * 6)


def is_user(user_id: int) -> bool:
    """Whether the shop has this user."""
    return 1 <= user_id <= LAST_USER_ID and user_id != MISSING_USER_ID


def full_name(user_id: int) -> str:
    """First and last name."""
    return f"{_first_name(user_id)} {_last_name(user_id)}"


def email(user_id: int) -> str:
    """An address no other user has."""
    return f"{_first_name(user_id)}.{_last_name(user_id)}{user_id}@example.com".lower()


def tier(user_id: int) -> str:
    """GOLD, SILVER or BRONZE."""
    return pick(_TIERS, "tier", user_id)


def joined_at(user_id: int) -> str:
    """When the user signed up."""
    return moment(180, "joined", user_id)


def date_of_birth(user_id: int) -> str:
    """A day from 1950 to about 2004."""
    return str(date(1950, 1, 1) + timedelta(days=number(0, 20_000, "born", user_id)))


def _first_name(user_id: int) -> str:
    return pick(FIRST_NAMES, "first name", user_id)


def _last_name(user_id: int) -> str:
    return pick(LAST_NAMES, "last name", user_id)
