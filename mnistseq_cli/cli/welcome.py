"""What the program says when it is called without a command."""

from __future__ import annotations

WELCOME = """\
mnistseq writes numbers in real
handwriting, with labels and boxes.

Try:

  mnistseq sequence 350 --show
      one number, as 350.png and here
  mnistseq phone -n 1000
      a thousand phone numbers
  mnistseq download --list
      the handwriting there is

All commands and options:

  mnistseq --help
  mnistseq sequence --help"""
