"""Products with their stock and reviews."""

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import strawberry

from plait import prop, this
from resolvers.backends import (
    get_product,
    get_stock,
    get_user,
    list_reviews,
    recommend_beside_product,
)

if TYPE_CHECKING:
    from resolvers.users import User


@strawberry.type(description="How much of a product there is.")
class Inventory:
    on_hand: int
    reserved: int
    warehouse: str = prop("warehouse.city")

    @strawberry.field(description="Whether it can be sent today.")
    def in_stock(self) -> bool:
        return self.on_hand > self.reserved


@strawberry.type(description="What a user thinks of a product.")
class Review:
    id: strawberry.ID
    rating: int
    title: str
    body: str
    created_at: datetime
    author: Annotated["User", strawberry.lazy("resolvers.users")] | None = get_user(
        id=this.author_id
    )


@strawberry.type(description="Something that the shop sells.")
class Product:
    id: strawberry.ID
    sku: str
    name: str
    description: str
    category: str
    price: Decimal = prop("price.amount", description="In the product's currency.")
    currency: str = prop("price.currency")
    tags: list[str]
    dimensions: list[list[float]] = strawberry.field(description="Of the goods, and of the parcel.")
    inventory: Inventory | None = get_stock(sku=this.sku)
    reviews: list[Review] = list_reviews(product_id=this.id)

    @strawberry.field(description="What is often bought with it.")
    async def recommendations(self, info: strawberry.Info) -> list["Product"]:
        row: Any = await recommend_beside_product.load(info, product_id=self.id)
        return await get_product.load_many(info, id=row["productIds"] if row else [])
