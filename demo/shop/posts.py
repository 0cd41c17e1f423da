"""The articles of the shop's magazine: ids 1 to 50, but never 13."""

from typing import Final

ARTICLE_IDS: Final = tuple(i for i in range(1, 51) if i != 13)
