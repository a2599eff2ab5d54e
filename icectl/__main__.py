"""``python -m icectl``: the command line, for torchrun and for machines without the console script."""

from icectl.cli import main

main()
