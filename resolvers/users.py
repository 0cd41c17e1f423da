"""Users, and what other services know about them."""

from datetime import date, datetime
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import strawberry

from plait import prop, this
from resolvers.backends import (
    get_product,
    get_rewards,
    list_addresses,
    list_orders,
    list_payments_of_user,
    recommend_to_user,
)
from resolvers.payments import Payment

if TYPE_CHECKING:
    from resolvers.orders import Order
    from resolvers.products import Product


@strawberry.enum(description="How much a customer is worth to the shop.")
class Tier(Enum):
    GOLD = "GOLD"
    SILVER = "SILVER"
    BRONZE = "BRONZE"


@strawberry.type(description="Where a user gets parcels.")
class Address:
    id: strawberry.ID
    street: str
    city: str
    postal_code: str
    country: str
    kind: str


@strawberry.type(description="A user's points.")
class Rewards:
    points: int
    level: str = prop("level.name")
    next_level_at: int | None = prop("level.next_at")


@strawberry.type(description="Somebody who buys here.")
class User:
    id: strawberry.ID
    name: str = prop("full_name")
    email: str
    tier: Tier
    created_at: datetime
    date_of_birth: date | None
    orders: list[Annotated["Order", strawberry.lazy("resolvers.orders")]] = list_orders(
        user_id=this.id, fallback=[]
    )
    addresses: list[Address] | None = list_addresses(user_id=this.id)
    payments: list[Payment] | None = list_payments_of_user(user_id=this.id)
    rewards: Rewards | None = get_rewards(user_id=this.id)

    @strawberry.field(description="What this user may like.")
    async def recommendations(
        self, info: strawberry.Info
    ) -> list[Annotated["Product", strawberry.lazy("resolvers.products")]] | None:
        row = await recommend_to_user.load(info, user_id=self.id)
        return await get_product.load_many(info, id=row["productIds"] if row else [])
