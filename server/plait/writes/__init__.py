"""Mutations that write to several APIs at once: keys, outcomes, and the ledger that keeps them."""
