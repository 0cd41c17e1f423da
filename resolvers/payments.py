"""Payments, by card or by bank transfer."""

from typing import Annotated

import strawberry

from plait import discriminator


@strawberry.type(description="A card.")
@discriminator("type", "card")
class Card:
    brand: str
    last4: str


@strawberry.type(description="A bank account.")
@discriminator("type", "iban")
class BankAccount:
    bank: str
    ending: str


PaymentMethod = Annotated[
    Card | BankAccount, strawberry.union("PaymentMethod", description="What was paid with.")
]


@strawberry.type(description="Money that a user paid.")
class Payment:
    id: strawberry.ID
    amount_cents: int
    currency: str
    state: str
    method: PaymentMethod | None
