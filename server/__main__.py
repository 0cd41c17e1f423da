"""`python -m server` is `plait`."""

from server.cli import main

main()
