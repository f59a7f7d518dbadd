"""``python -m rsuper_bench``."""

from rsuper_bench.cli import main

main()
