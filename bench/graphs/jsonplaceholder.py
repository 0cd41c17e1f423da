"""Posts, users and what hangs on them, over REST in JSONPlaceholder's shapes: the graph on which
gateways are compared. `main` has the reads and takes orders, `second` takes notifications."""

import strawberry

from plait import Backend, Graph, Outcome, Succeeded, arg, by_ids, grouped, this, write_together

main = Backend("main", idempotency_key="Idempotency-Key")
second = Backend("second", idempotency_key="Idempotency-Key")

list_posts = main.get("/posts")
list_users = main.get("/users")
get_user = main.get("/users/{id}", batch=by_ids("/users"))
posts_of = main.get("/users/{userId}/posts", batch=grouped("/posts", key="userId"))
comments_of = main.get("/posts/{postId}/comments", batch=grouped("/comments", key="postId"))
orders_of = main.get("/users/{userId}/orders", batch=grouped("/orders", key="userId"))
addresses_of = main.get("/users/{userId}/addresses", batch=grouped("/addresses", key="userId"))
payments_of = main.get("/users/{userId}/payments", batch=grouped("/payments", key="userId"))
rewards_of = main.get("/rewards/{userId}", batch=by_ids("/rewards"))
create_order = main.post("/svc-a/orders")
create_notification = second.post("/svc-b/notifications")


@strawberry.type
class Comment:
    id: int
    post_id: int
    name: str
    email: str
    body: str


@strawberry.type
class Order:
    id: int
    user_id: int
    total: float
    status: str


@strawberry.type
class Address:
    id: int
    user_id: int
    street: str
    city: str
    zip: str


@strawberry.type
class Payment:
    id: int
    user_id: int
    brand: str
    last4: str


@strawberry.type
class Rewards:
    user_id: int
    points: int
    tier: str


@strawberry.type
class User:
    id: int
    name: str
    username: str
    email: str
    phone: str | None
    website: str | None
    posts: list["Post"] = posts_of(userId=this.id)
    orders: list[Order] = orders_of(userId=this.id)
    addresses: list[Address] = addresses_of(userId=this.id)
    payments: list[Payment] = payments_of(userId=this.id)
    rewards: Rewards | None = rewards_of(userId=this.id)


@strawberry.type
class Post:
    id: int
    user_id: int
    title: str
    body: str
    user: User | None = get_user(id=this.userId)
    comments: list[Comment] = comments_of(postId=this.id)

    @strawberry.field
    def headline(self) -> str:
        return self.title.capitalize()


@strawberry.type
class Query:
    greet: str = strawberry.field(resolver=lambda: "Hello World!")
    posts: list[Post] = list_posts()
    users: list[User] = list_users()
    user: User | None = get_user(id=arg(int))


@strawberry.type
class WriteResult:
    id: int
    service: str
    status: str


@strawberry.type
class Placed:
    order: WriteResult
    notification: WriteResult


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def place_order(self, info: strawberry.Info, user_id: int, item: str, key: str) -> Placed:
        order, notification = await write_together(
            info,
            create_order(body={"userId": user_id, "item": item}),
            create_notification(body={"userId": user_id, "item": item}),
            key=key,
        )
        return Placed(order=told(order), notification=told(notification))


def told(outcome: Outcome[dict[str, str]]) -> WriteResult:
    """What a service answered to a write. Raises why it did not."""
    if isinstance(outcome, Succeeded):
        value = outcome.value
        return WriteResult(id=int(value["id"]), service=value["service"], status=value["status"])
    raise outcome.error


graph = Graph(query=Query, mutation=Mutation)
