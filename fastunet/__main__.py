"""`python -m fastunet`, which launchers start: `torchrun -m fastunet`, `accelerate launch -m`."""

from fastunet.cli import main

main()
