"""Orders and what they hold."""

from datetime import datetime
from enum import Enum

import strawberry

from plait import prop, this
from resolvers.backends import get_product, get_user, list_payments_of_order
from resolvers.payments import Payment
from resolvers.products import Product
from resolvers.users import User


@strawberry.enum(description="How far an order is.")
class OrderStatus(Enum):
    PLACED = "PLACED"
    PAID = "PAID"
    SHIPPED = "SHIPPED"
    DELIVERED = "DELIVERED"
    CANCELLED = "CANCELLED"


@strawberry.type(description="One line of an order.")
class OrderItem:
    quantity: int
    unit_price_cents: int
    product: Product | None = get_product(id=this.productId)


@strawberry.type(description="Something that a user bought.")
class Order:
    id: strawberry.ID
    status: OrderStatus
    placed_at: datetime
    total_cents: int
    items: list[OrderItem] = prop("lines")
    customer: User | None = get_user(id=this.userId)
    payments: list[Payment] | None = list_payments_of_order(order_id=this.id)

    @strawberry.field(description="The first payment for this order.")
    async def payment(self, info: strawberry.Info) -> Payment | None:
        rows = await list_payments_of_order.load(info, order_id=self.id)
        return rows[0] if rows else None
