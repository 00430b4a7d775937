"""What ``mnistseq`` and ``python -m mnistseq_cli`` start."""

from __future__ import annotations

import gc
import os
import signal


def main() -> None:
    """Load the command line and run it; until it is loaded, Ctrl-C ends without a traceback."""
    is_ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_ours:
        signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    gc.disable()  # what is loaded stays: to look through it for garbage takes time at each start
    from mnistseq_cli import cli  # noqa: PLC0415 - takes a moment

    gc.freeze()
    gc.enable()
    if is_ours:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    cli.main()


if __name__ == "__main__":
    main()
