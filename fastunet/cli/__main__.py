"""`python -m fastunet.cli`."""

from fastunet.cli import main

main()
