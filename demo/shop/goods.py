"""The shop's products: ids 1 to 500."""

from typing import Final

from demo.shop.chance import number, pick

PRODUCT_IDS: Final = tuple(range(1, 501))
CATEGORIES: Final = ("kitchen", "garden", "office", "travel", "sports", "toys", "music", "home")

_MANNERS: Final = ("Plain", "Folding", "Classic", "Light", "Sturdy", "Compact", "Large", "Quiet")
_MATERIALS: Final = ("oak", "steel", "cotton", "glass", "cork", "linen", "bamboo", "wool")
_THINGS: Final = {
    "kitchen": ("kettle", "pan", "bowl", "knife"),
    "garden": ("rake", "lantern", "planter", "bench"),
    "office": ("desk lamp", "notebook", "organiser", "chair"),
    "travel": ("suitcase", "pouch", "flask", "rucksack"),
    "sports": ("mat", "racket", "bottle", "rope"),
    "toys": ("puzzle", "kite", "train", "doll house"),
    "music": ("drum", "flute", "stand", "ukulele"),
    "home": ("clock", "blanket", "mirror", "shelf"),
}


def is_product(product_id: int) -> bool:
    """Whether the shop sells this product."""
    return 1 <= product_id <= len(PRODUCT_IDS)


def sku(product_id: int) -> str:
    """The stock-keeping unit, the key the inventory knows a product by."""
    return f"SKU-{product_id:04d}"


def category(product_id: int) -> str:
    """One of CATEGORIES."""
    return pick(CATEGORIES, "category", product_id)


def name(product_id: int) -> str:
    """Such as `Folding oak chair`."""
    thing = pick(_THINGS[category(product_id)], "thing", product_id)
    return f"{pick(_MANNERS, 'manner', product_id)} {material(product_id)} {thing}"


def material(product_id: int) -> str:
    """What most of it is made of."""
    return pick(_MATERIALS, "material", product_id)


def price_cents(product_id: int) -> int:
    """From 2.50 to 199.95 euros, in steps of five cents."""
    return number(50, 3999, "price", product_id) * 5
