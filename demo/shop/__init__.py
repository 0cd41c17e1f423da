"""What the shop's services agree on: people, goods and sales, all from formulas."""
