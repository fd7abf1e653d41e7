"""What benches share: options of the trainer after --, and what mpirun needs where it is started by root."""

import argparse
import sys

AS_ROOT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}  # as in tests/tap


def parser(description):
    return argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def parse(own):
    """What the bench's parser makes of the command line up to --, and the words after that."""
    words, rest = sys.argv[1:], []
    if "--" in words:
        words, rest = words[: words.index("--")], words[words.index("--") + 1 :]
    return own.parse_args(words), rest
