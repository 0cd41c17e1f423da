"""The time of new rows, in the format of the seeded ones."""

from datetime import UTC, date, datetime, timedelta


def now() -> str:
    """ISO text with Z, to the second."""
    return datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def day_after(days: int) -> str:
    """The date so many days from today."""
    return str(date.today() + timedelta(days=days))
