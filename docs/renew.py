"""Renews all that is generated: ``python docs/renew.py``.

Those are the command reference and the man page, the pictures, and the screenshots, which need
Chromium.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parent
STEPS = [
    [sys.executable, str(DOCS / "reference.py")],
    [sys.executable, str(DOCS / "pictures.py")],
    [sys.executable, str(DOCS / "screenshots.py")],
]


def main() -> None:
    """Run all steps, with the program of this environment."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for step in STEPS:
        print(*step)
        subprocess.run(step, check=True, env=os.environ | {"PATH": path})


if __name__ == "__main__":
    main()
