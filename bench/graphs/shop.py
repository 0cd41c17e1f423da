"""A shop over REST whose replies are less plain: rows in an envelope, of two types, with decimals;
a service that may be down; and what each caller alone may keep."""

import asyncio
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

import strawberry
from strawberry.permission import BasePermission

from plait import Backend, Graph, by_ids, discriminator, this

main = Backend("main")
second = Backend("second", forward=("authorization",))

list_catalog = main.get("/catalog", unwrap="data.items")
get_stock = main.get("/stock/{id}", batch=by_ids("/stock"))
list_mine = second.get("/mine")


@strawberry.type
class Stock:
    left: int


@strawberry.type
@discriminator("kind", "book")
class Book:
    id: int
    title: str
    price: Decimal
    author: str | None
    stock: Stock = get_stock(id=this.id, fallback={"left": 0})


@strawberry.type
@discriminator("kind", "game")
class Game:
    id: int
    title: str
    price: Decimal
    players: int
    stock: Stock = get_stock(id=this.id, fallback={"left": 0})


@strawberry.type
class Order:
    id: int
    total: Decimal
    placed_at: datetime


class KnownCaller(BasePermission):
    """Lets in whoever says who they are."""

    message = "Say who you are."

    def has_permission(self, source: Any, info: strawberry.Info, **kwargs: Any) -> bool:
        return "authorization" in info.context.headers


Product = Annotated[Book | Game, strawberry.union("Product")]


@strawberry.type
class Query:
    catalog: list[Product] = list_catalog()
    members_catalog: list[Product] = list_catalog(permission_classes=[KnownCaller])
    mine: list[Order] = list_mine()

    @strawberry.field
    async def caller(self, info: strawberry.Info) -> str:
        """Who asks, as far as they say so."""
        await asyncio.sleep(0)
        return str(info.context.headers.get("authorization"))


graph = Graph(query=Query)
