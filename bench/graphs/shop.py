"""A shop over REST whose replies are less plain: rows in an envelope, of two types, with decimals;
a service that may be down; and what each caller alone may keep."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated

import strawberry

from plait import Backend, Graph, by_ids, discriminator, this

main = Backend("main")
second = Backend("second", forward=("authorization",))

catalog = main.get("/catalog", unwrap="data.items")
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


@strawberry.type
class Query:
    catalog: list[Annotated[Book | Game, strawberry.union("Product")]] = catalog()
    mine: list[Order] = list_mine()


graph = Graph(query=Query)
