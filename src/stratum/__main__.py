"""`python -m stratum`."""

from stratum.cli import main

main()
