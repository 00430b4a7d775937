"""``python -m mnistseq_cli``."""

from mnistseq_cli.cli import main

main()
