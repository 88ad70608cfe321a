"""`python -m fastunet.cli`."""

from fastunet.cli.commands import main

main()
