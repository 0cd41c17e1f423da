"""What the gateway is compared with: a plain Strawberry app, as its documentation has it, with
dataloaders and one httpx client; and, at `/bare`, what uvicorn alone takes.

    UPSTREAM=http://127.0.0.1:9100 uvicorn bench.compare.plain:app
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

import httpx
import strawberry
from fastapi import FastAPI
from strawberry.dataloader import DataLoader
from strawberry.fastapi import GraphQLRouter
from strawberry.permission import BasePermission

UPSTREAM = os.environ.get("UPSTREAM", "http://127.0.0.1:9100")
client = httpx.AsyncClient(
    base_url=UPSTREAM, limits=httpx.Limits(max_connections=100, max_keepalive_connections=100)
)
Rows = list[dict[str, Any]]


async def fetched(path: str, **query: str) -> Any:
    reply = await client.get(path, params=query)
    reply.raise_for_status()
    return reply.json()


def grouped(path: str, key: str) -> Callable[[list[int]], Awaitable[list[Rows]]]:
    """One call for the rows of many keys."""

    async def load(keys: list[int]) -> list[Rows]:
        groups: dict[int, Rows] = {one: [] for one in keys}
        for row in await fetched(path, **{key: ",".join(map(str, keys))}):
            groups[row[key]].append(row)
        return [groups[one] for one in keys]

    return load


async def by_id(path: str, keys: list[int]) -> list[Any]:
    rows = await fetched(path, id=",".join(map(str, keys)))
    found = {row["id"]: row for row in rows}
    return [found.get(key) for key in keys]


async def load_rewards(keys: list[int]) -> list[Any]:
    return list(await asyncio.gather(*(fetched(f"/rewards/{key}") for key in keys)))


LOADERS: dict[str, Callable[[list[int]], Awaitable[list[Any]]]] = {
    "users": lambda keys: by_id("/users", keys),
    "rewards": load_rewards,
    "posts": grouped("/posts", "userId"),
    "comments": grouped("/comments", "postId"),
    "orders": grouped("/orders", "userId"),
    "addresses": grouped("/addresses", "userId"),
    "payments": grouped("/payments", "userId"),
    "stock": lambda keys: by_id("/stock", keys),
}


async def context() -> dict[str, Any]:
    return {name: DataLoader(load_fn=load) for name, load in LOADERS.items()}


@strawberry.type
class Comment:
    id: int
    name: str


@strawberry.type
class Order:
    id: int
    total: float


@strawberry.type
class Address:
    id: int
    city: str


@strawberry.type
class Payment:
    id: int
    brand: str


@strawberry.type
class Rewards:
    points: int


@strawberry.type
class User:
    id: int
    name: str
    email: str

    @strawberry.field
    async def posts(self, info: strawberry.Info) -> list["Post"]:
        return [made_post(row) for row in await info.context["posts"].load(self.id)]

    @strawberry.field
    async def orders(self, info: strawberry.Info) -> list[Order]:
        rows = await info.context["orders"].load(self.id)
        return [Order(id=row["id"], total=row["total"]) for row in rows]

    @strawberry.field
    async def addresses(self, info: strawberry.Info) -> list[Address]:
        rows = await info.context["addresses"].load(self.id)
        return [Address(id=row["id"], city=row["city"]) for row in rows]

    @strawberry.field
    async def payments(self, info: strawberry.Info) -> list[Payment]:
        rows = await info.context["payments"].load(self.id)
        return [Payment(id=row["id"], brand=row["brand"]) for row in rows]

    @strawberry.field
    async def rewards(self, info: strawberry.Info) -> Rewards | None:
        return Rewards(points=(await info.context["rewards"].load(self.id))["points"])


@strawberry.type
class Post:
    id: int
    user_id: int
    title: str

    @strawberry.field
    def headline(self) -> str:
        return self.title.capitalize()

    @strawberry.field
    async def user(self, info: strawberry.Info) -> User | None:
        row = await info.context["users"].load(self.user_id)
        return made_user(row) if row else None

    @strawberry.field
    async def comments(self, info: strawberry.Info) -> list[Comment]:
        rows = await info.context["comments"].load(self.id)
        return [Comment(id=row["id"], name=row["name"]) for row in rows]


def made_user(row: dict[str, Any]) -> User:
    return User(id=row["id"], name=row["name"], email=row["email"])


def made_post(row: dict[str, Any]) -> Post:
    return Post(id=row["id"], user_id=row["userId"], title=row["title"])


@strawberry.type
class Stock:
    left: int


async def stock_of(info: strawberry.Info, id: int) -> Stock:
    try:
        return Stock(left=(await info.context["stock"].load(id))["left"])
    except httpx.HTTPError:
        return Stock(left=0)


@strawberry.type
class Book:
    id: int
    title: str
    price: Decimal
    author: str | None

    @strawberry.field
    async def stock(self, info: strawberry.Info) -> Stock:
        return await stock_of(info, self.id)


@strawberry.type
class Game:
    id: int
    title: str
    price: Decimal
    players: int

    @strawberry.field
    async def stock(self, info: strawberry.Info) -> Stock:
        return await stock_of(info, self.id)


@strawberry.type
class Purchase:
    id: int
    total: Decimal
    placed_at: datetime


def made_product(row: dict[str, Any]) -> Book | Game:
    id, title, price = row["id"], row["title"], Decimal(str(row["price"]))
    if row["kind"] == "book":
        return Book(id=id, title=title, price=price, author=row["author"])
    return Game(id=id, title=title, price=price, players=row["players"])


def made_purchase(row: dict[str, Any]) -> Purchase:
    placed = datetime.fromisoformat(row["placedAt"])
    return Purchase(id=row["id"], total=Decimal(str(row["total"])), placed_at=placed)


class KnownCaller(BasePermission):
    message = "Say who you are."

    def has_permission(self, source: Any, info: strawberry.Info, **kwargs: Any) -> bool:
        return "authorization" in info.context["request"].headers


async def load_catalog() -> list[Annotated[Book | Game, strawberry.union("Product")]]:
    return [made_product(row) for row in (await fetched("/catalog"))["data"]["items"]]


@strawberry.type
class Query:
    catalog = strawberry.field(resolver=load_catalog)
    members_catalog = strawberry.field(resolver=load_catalog, permission_classes=[KnownCaller])

    @strawberry.field
    async def caller(self, info: strawberry.Info) -> str:
        await asyncio.sleep(0)
        return str(info.context["request"].headers.get("authorization"))

    @strawberry.field
    async def mine(self, info: strawberry.Info) -> list[Purchase]:
        # Who keeps what a caller may keep, keeps it by his credentials: here nobody does.
        return [made_purchase(row) for row in await fetched("/mine")]

    greet: str = strawberry.field(resolver=lambda: "Hello World!")

    @strawberry.field
    async def posts(self) -> list[Post]:
        return [made_post(row) for row in await fetched("/posts")]

    @strawberry.field
    async def user(self, info: strawberry.Info, id: int) -> User | None:
        return made_user(await info.context["users"].load(id))


@strawberry.type
class WriteResult:
    id: int
    service: str
    status: str


@strawberry.type
class Placed:
    order: WriteResult
    notification: WriteResult


async def written(path: str, body: dict[str, Any]) -> WriteResult:
    reply = await client.post(path, json=body)
    reply.raise_for_status()
    return WriteResult(**reply.json())


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def place_order(self, user_id: int, item: str, key: str) -> Placed:
        body = {"userId": user_id, "item": item}
        order, notification = await asyncio.gather(
            written("/svc-a/orders", body), written("/svc-b/notifications", body)
        )
        return Placed(order=order, notification=notification)


logging.getLogger("strawberry.execution").disabled = True  # a traceback for each failed call
app = FastAPI()
schema = strawberry.Schema(query=Query, mutation=Mutation)
app.include_router(GraphQLRouter(schema, context_getter=context), prefix="/graphql")


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """An ASGI app that has its answer ready."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    body = b'{"data":{"greet":"Hello World!"}}'
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
