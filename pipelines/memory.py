"""How much memory a process takes for itself, in bytes: what a worker's limit is compared with.

Pages of mapped files do not count: those of a gather's scratch are the system's to drop.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

__all__ = ["resident"]

_PAGE = os.sysconf("SC_PAGE_SIZE")


def resident(pid: int) -> int:
    """Bytes of its own that a process holds in memory; 0 if it is gone or the system does not say."""
    try:
        _, n_pages, n_shared, *_ = Path(f"/proc/{pid}/statm").read_bytes().split()
        return (int(n_pages) - int(n_shared)) * _PAGE
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return _resident_elsewhere(pid) if sys.platform == "darwin" else 0


def _resident_elsewhere(pid: int) -> int:
    out = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, check=False)
    return int(out.stdout or 0) * 1024
