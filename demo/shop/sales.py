"""The shop's orders: ids 1 to 5000, each of a user for some products."""

from dataclasses import dataclass
from typing import Any, Final

from demo.shop.chance import moment, number, pick
from demo.shop.goods import PRODUCT_IDS, price_cents
from demo.shop.people import USER_IDS

ORDER_IDS: Final = tuple(range(1, 5001))
STATUSES: Final = ("PLACED", "PAID", "SHIPPED", "DELIVERED", "CANCELLED")

_USUAL_STATUSES: Final = (*STATUSES, "PAID", "SHIPPED", "DELIVERED", "DELIVERED", "DELIVERED")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale:
    """One order as it was placed."""

    id: int
    user_id: int
    status: str
    placed_at: str
    lines: list[dict[str, Any]]

    @property
    def total_cents(self) -> int:
        """What the customer has to pay."""
        return total_cents(self.lines)


def sale(order_id: int) -> Sale:
    """The order with this id."""
    count = number(1, 4, "lines", order_id)
    first = number(0, len(PRODUCT_IDS) - 1, "goods", order_id)
    # A step no product count divides keeps an order's products different from each other.
    products = [PRODUCT_IDS[(first + 37 * i) % len(PRODUCT_IDS)] for i in range(count)]
    return Sale(
        id=order_id,
        user_id=buyer(order_id),
        status=status(order_id),
        placed_at=moment(700, "placed", order_id),
        lines=[line(product, number(1, 3, "quantity", order_id, product)) for product in products],
    )


def buyer(order_id: int) -> int:
    """The id of the user who placed the order."""
    return pick(USER_IDS, "buyer", order_id)


def status(order_id: int) -> str:
    """One of STATUSES."""
    return pick(_USUAL_STATUSES, "status", order_id)


def line(product_id: int, quantity: int) -> dict[str, Any]:
    """A line of an order, as the orders service shows it."""
    return {
        "productId": product_id,
        "quantity": quantity,
        "unitPriceCents": price_cents(product_id),
    }


def total_cents(lines: list[dict[str, Any]]) -> int:
    """The sum of an order's lines."""
    return sum(line["quantity"] * line["unitPriceCents"] for line in lines)
