"""The one door to an input file: on this machine or on a server, a seekable binary file.

A file of this machine is opened as ever; a remote one is fetched in windows as it is read (`remote/stream.py`) and
must still be the one that was planned. Its errors are no OSError, so that no reader takes a server's trouble for
damage in the file and drops what it holds.
"""

from __future__ import annotations

from typing import BinaryIO

from pipelines.places import Found
from pipelines.stage import SourceFile

__all__ = ["open_input"]


def open_input(file: SourceFile) -> BinaryIO:
    """The bytes of a file, at its start; use in a `with` block.

    Raises: OSError for a local file; reading a remote one raises InputError.
    """
    if not file.is_remote:
        return file.full.open("rb")
    from pipelines.remote.stream import open_remote

    return open_remote(file.where, Found(file.size, file.digest))
