"""`python -m environments` is `calvinverse`."""

from environments.cli import main

main()
