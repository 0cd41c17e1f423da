"""The shop's REST APIs and their endpoints. Addresses come from settings:
PLAIT_BACKENDS__USERS__URL and so on."""

from plait import Backend, by_ids, cursor_pages, grouped

users = Backend("users", timeout_s=3, health_path="/health")
get_user = users.get("/users/{id}", batch=by_ids("/users"), stale_if_error_s=300)

orders = Backend("orders", timeout_s=3, health_path="/health", idempotency_key="Idempotency-Key")
get_order = orders.get(
    "/orders/{id}", unwrap="data", batch=by_ids("/orders", ids="ids", joined=True)
)
list_orders = orders.get(
    "/users/{user_id}/orders",
    unwrap="items",
    batch=grouped("/orders", ids="userId", key="userId"),
)
create_order = orders.post("/orders", unwrap="data")

addresses = Backend("addresses", health_path="/health")
list_addresses = addresses.get(
    "/addresses", query=("user_id",), batch=grouped("/addresses", key="user_id")
)

payments = Backend("payments", health_path="/health", idempotency_key="Idempotency-Key")
list_payments_of_user = payments.get(
    "/payments",
    query={"user_id": "userIds"},
    unwrap="payments",
    batch=grouped("/payments", ids="userIds", joined=True, key="userId"),
)
list_payments_of_order = payments.get(
    "/payments",
    query={"order_id": "orderIds"},
    unwrap="payments",
    batch=grouped("/payments", ids="orderIds", joined=True, key="orderId"),
)
create_payment = payments.post("/payments", unwrap="payment")

rewards = Backend("rewards", health_path="/health")
get_rewards = rewards.get("/rewards/{user_id}")  # this service has no batch form

recommendations = Backend("recommendations", health_path="/health")
recommend_to_user = recommendations.lookup(
    by_ids("/recommendations/users", body="userIds", key="userId", unwrap="results", id_type=int),
    params=("user_id",),
)
recommend_beside_product = recommendations.lookup(
    by_ids(
        "/recommendations/products",
        body="productIds",
        key="productId",
        unwrap="results",
        id_type=int,
    ),
    params=("product_id",),
)

catalog = Backend("catalog", health_path="/health")
get_product = catalog.get(
    "/products/{id}",
    unwrap="data",
    batch=by_ids("/products/batch", ids="ids", joined=True, size=50),
)
list_products = catalog.get(
    "/products",
    query=("category",),
    pages=cursor_pages(items="data", next="next_cursor", total="total"),
)

inventory = Backend("inventory", health_path="/health")
get_stock = inventory.get(
    "/inventory/{sku}", batch=by_ids("/inventory/lookup", body="skus", key="sku", unwrap="levels")
)

reviews = Backend("reviews", health_path="/health")
list_reviews = reviews.get(
    "/reviews", query=("product_id",), batch=grouped("/reviews", key="product_id")
)

articles = Backend("articles", health_path="/health")
get_article = articles.get("/articles/{id}", unwrap="article")

comments = Backend("comments", health_path="/health")
list_comments = comments.get(
    "/articles/{article_id}/comments",
    batch=grouped("/comments", ids="article_id", key="article_id"),
)

accounts = Backend("accounts", health_path="/health", idempotency_key="Idempotency-Key")
create_account = accounts.post("/accounts", unwrap="account")

crm = Backend("crm", health_path="/health", idempotency_key="Idempotency-Key")
create_contact = crm.post("/v1/contacts")
put_contact_email = crm.put("/v1/contacts/{user_id}/email")

marketing = Backend("marketing", health_path="/health", idempotency_key="Idempotency-Key")
create_subscriber = marketing.post("/subscribers", unwrap="subscriber")
put_subscriber = marketing.put("/subscribers/{user_id}")

billing = Backend("billing", health_path="/health", idempotency_key="Idempotency-Key")
create_customer = billing.post("/customers", unwrap="customer")

support = Backend("support", health_path="/health", idempotency_key="Idempotency-Key")
put_requester = support.put("/requesters/{user_id}")

audit = Backend("audit", health_path="/health", idempotency_key="Idempotency-Key")
create_entry = audit.post("/entries")

analytics = Backend("analytics", health_path="/health", idempotency_key="Idempotency-Key")
create_track = analytics.post("/track")

monitoring = Backend("monitoring", health_path="/health", idempotency_key="Idempotency-Key")
create_signal = monitoring.post("/signals")
