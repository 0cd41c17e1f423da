"""Ids such as `acc_000123`: a service's prefix and the number of the row."""


def public_id(prefix: str, number: int) -> str:
    """The id that callers see."""
    return f"{prefix}_{number:06d}"


def row_number(prefix: str, public: str) -> int:
    """The row an id stands for; -1, which no row has, when it is not such an id."""
    head, _, digits = public.partition("_")
    return int(digits) if head == prefix and digits.isdecimal() else -1
