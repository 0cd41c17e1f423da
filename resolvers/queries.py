"""What can be asked."""

import strawberry

from plait import Connection, arg, this
from resolvers.articles import ArticleWithComments
from resolvers.backends import get_order, get_product, get_user, list_orders, list_products
from resolvers.orders import Order
from resolvers.products import Product
from resolvers.users import User


@strawberry.type(description="A user and their orders, fetched at the same time.")
class UserWithOrders:
    id: strawberry.ID
    user: User = get_user(id=this.id)
    orders: list[Order] = list_orders(user_id=this.id)


@strawberry.type
class Query:
    user: User | None = get_user(id=arg(strawberry.ID), description="One user.")
    users: list[User | None] = get_user.many(
        id=arg(list[strawberry.ID], name="ids"),
        description="Several users, in the order of their ids.",
    )
    product: Product | None = get_product(id=arg(strawberry.ID), description="One product.")
    products: Connection[Product] = list_products.connection(
        category=arg(str | None), description="All products, page by page."
    )
    order: Order | None = get_order(id=arg(strawberry.ID), description="One order.")

    @strawberry.field(description="A user and their orders: neither waits for the other.")
    def user_with_orders(self, id: strawberry.ID) -> UserWithOrders | None:
        return UserWithOrders(id=id)

    @strawberry.field(description="An article and its comments: neither waits for the other.")
    def article_with_comments(self, id: strawberry.ID) -> ArticleWithComments | None:
        return ArticleWithComments(id=id)
