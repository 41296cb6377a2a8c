"""Every error Quern raises on purpose, as one tree.

    QuernError
    ├── UsageError            the command or a file a person wrote is wrong       exit 2
    │   ├── RecipeError       a recipe, with file:line:column
    │   ├── MixError          a mix that cannot be fed or must not be trained on
    │   └── ConfigError       a training configuration
    ├── DamageError           bytes are not what a manifest says they are          exit 1
    │   ├── DigestError       the digest differs
    │   ├── FormatError       not the format, not the version, not canonical
    │   └── MissingFileError  a named file is not there
    ├── InputError            an input cannot be read, or is not the planned one    exit 1
    ├── AccountError          read != kept + dropped: a bug of ours, never data     exit 1
    ├── TaskError             a unit of work failed all its tries                   exit 1
    └── Stopped               asked to stop; ready to go on                       exit 130 or 143

A message has three parts: what is wrong (expected, got, where), what it would have caused, what to do.
A bad record in the data is none of these: it is a drop with a reason.
"""

from __future__ import annotations

__all__ = [
    "AccountError",
    "ConfigError",
    "DamageError",
    "DigestError",
    "FormatError",
    "InputError",
    "MissingFileError",
    "MixError",
    "QuernError",
    "RecipeError",
    "Stopped",
    "TaskError",
    "UsageError",
    "system_error_text",
]


class QuernError(Exception):
    """Whatever Quern refuses; catch this one to catch them all.

    try:
        manifest = open_corpus("corpora/web")
    except QuernError as error:
        print(error)
    """

    exit_code = 1


class UsageError(QuernError):
    """A person wrote something that cannot be done; nothing was touched."""

    exit_code = 2


class RecipeError(UsageError):
    """A recipe that does not say what can be built."""


class MixError(UsageError):
    """A mix that its corpora cannot feed, or that must not be trained on."""


class ConfigError(UsageError):
    """A training configuration that is wrong, or differs from the run it would go on with."""


class DamageError(QuernError):
    """Bytes on disk are not the bytes that were written."""


class DigestError(DamageError):
    """A digest differs from the recorded one."""

    @classmethod
    def of(cls, where: object, expected: str, found: str) -> DigestError:
        """The error for `where`, naming both digests."""
        return cls(
            f"{where}: expected digest {expected}, found {found}. "
            "Its bytes changed after they were written, so nothing made from them could be trusted. "
            "Restore the file from a copy, or delete it and build again: what depends on it is remade."
        )


class FormatError(DamageError):
    """A file is not in the format, the version or the canonical form it must have."""


class MissingFileError(DamageError):
    """A manifest names a file that is not there."""


class InputError(QuernError):
    """An input file is no longer the one that was planned, or one of a server or a store cannot be read."""


class AccountError(QuernError):
    """Documents read do not equal documents kept plus documents dropped."""


class TaskError(QuernError):
    """A unit of work failed every time it was tried."""


class Stopped(QuernError):
    """The user or the system asked to stop; the same command goes on from here."""

    def __init__(self, message: str, signal_number: int = 2) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number


def system_error_text(error: OSError) -> str:
    """What the system refused, and at which path.

    >>> system_error_text(OSError(28, "No space left on device", "/mnt/web/parts/1.parquet"))
    '/mnt/web/parts/1.parquet: No space left on device'
    """
    if error.strerror is None:
        return f"{type(error).__name__}: {error}"
    return f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror
