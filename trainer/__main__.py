"""`python -m trainer train.yaml`: what torchrun starts on every rank; `quern train` calls the same function.

torchrun --nproc-per-node=8 -m trainer train.yaml --set machine.dtype=bf16
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from manifests.errors import QuernError
from trainer.run import train


def main() -> int:
    """Train; returns the exit code: 0 done, 1 damage, 2 used wrong, 130 or 143 stopped and ready to go on."""
    parser = argparse.ArgumentParser(
        prog="python -m trainer", description="Train what a train.yaml asks for."
    )
    parser.add_argument("config", type=Path, help="train.yaml")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change a key of the file"
    )
    parser.add_argument("--out", type=Path, help="the run's folder (default: runs/<name>)")
    parser.add_argument("--fork", metavar="NAME", help="a new run from this one's newest checkpoint")
    asked = parser.parse_args()
    try:
        train(asked.config, overrides=asked.set, out=asked.out, fork=asked.fork)
    except QuernError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
