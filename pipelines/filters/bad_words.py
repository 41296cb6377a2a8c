"""C4's list of bad words: a page that has one of them goes.

    "You DICK!"       dick on the list    n_bad_words 1: bad_words
    "Mr. Dickens"                         0: none stands by itself

    our reason   datatrove's, C4BadWordsFilter      our parameter         datatrove's
    bad_words    document_removed_with_badwords     file, sha256          (downloaded, by language)
                                                    by_themselves True    False for ja, th and zh
                                                    max_bad_words 0       keep_fraction 0.0

The list is a file of yours, one word or phrase a line, in lower case: C4's are LDNOOBW's lists
(https://github.com/LDNOOBW/List-of-Dirty-Naughty-Obscene-and-Otherwise-Bad-Words), one a language, at
commit 25e679f for English and 5faf2ba for others; this package ships none. Its digest is in the step's key, and with
`sha256` another file is refused. So is one with words in upper case, which datatrove takes and never finds, unless
they are in `allowed`. For several languages write the step once for each, with its own `for`. datatrove leaves "sm",
"グロ", "女の子" and "性" out of every list; write them into `allowed` to do so.

Its `keep_fraction` draws by the order of documents, so it has no counterpart. Lower case is by single characters
(`kernels/bad_words.py` names the two that differ).

Price on one core: 160 MB/s, whatever the length of the list.

Source: Raffel et al. 2020, T5, section 2.2, https://arxiv.org/abs/1910.10683; datatrove 0.10.1,
pipeline/filters/c4_filters.py.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from manifests.digest import digest_file
from manifests.errors import DigestError, RecipeError
from pipelines.batch import Batch, Values
from pipelines.filters.limits import Limit, described, failing, reasons
from pipelines.kernels.bad_words import Automaton, listed_words, make_automaton
from pipelines.kernels.unicode import lower_deltas
from pipelines.stage import Rule, Verdicts, first_failing

__all__ = ["C4BadWords"]

LIMITS = (Limit("bad_words", "max_bad_words", "n_bad_words"),)


class C4BadWords(Rule):
    """Drops documents with words of a list."""

    name: ClassVar[str] = "c4_bad_words"
    version: ClassVar[int] = 2
    reasons: ClassVar[tuple[str, ...]] = reasons(LIMITS)
    path_fields: ClassVar[tuple[str, ...]] = ("file",)
    measuring: ClassVar[tuple[str, ...]] = ("file", "sha256", "by_themselves", "allowed")

    file: str
    """The list, UTF-8, a word or phrase a line, from the recipe's folder."""
    sha256: str | None = None
    """SHA-256 of the list, which is read only if it matches; any if left out."""
    by_themselves: bool = True
    """Whether a word counts only between characters that are in no word; false for Chinese, Japanese and Thai."""
    allowed: tuple[str, ...] = ()
    """Words of the list that do not count."""
    max_bad_words: int | None = Field(default=0, ge=0)
    """Most places with a listed word."""
    root: Path | None = Field(default=None, exclude=True)
    """The recipe's folder."""

    def side_inputs(self, folder: Path) -> dict[str, str]:
        """The list's digest.

        Raises: RecipeError if there is no such file, it is not UTF-8 or has words in upper case; DigestError if it is
        not the one that was named.
        """
        path = folder / self.file
        if not path.is_file():
            raise RecipeError(f'expected a list of words, found nothing at "{self.file}"; correct the path')
        _refuse_upper_case(_listed(path, self.sha256, self.allowed), self.file)
        return {self.file: digest_file(path)}

    def kernels(self) -> tuple[str, ...]:
        """One kernel, two passes."""
        return ("bad_words.count_listed_words",)

    def measure(self, batch: Batch) -> dict[str, npt.NDArray[np.int64]]:
        """n_bad_words, the places at which one ends: int64[n_docs]."""
        path = (self.root or Path()) / self.file
        automaton = _load(path, path.stat().st_mtime_ns, self.sha256, self.allowed)
        return {"n_bad_words": listed_words(*batch.text(), automaton, alone=self.by_themselves)}

    def decide(self, values: Values) -> Verdicts:
        """Too many of them."""
        return first_failing(len(values["n_bad_words"]), failing(self, LIMITS, values))

    def limits(self) -> dict[str, tuple[str, str]]:
        """The limit, if it is on."""
        return described(self, LIMITS)


def _checked(path: Path, sha256: str | None) -> bytes:
    """The list's bytes.

    Raises: DigestError.
    """
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if sha256 is not None and found != sha256:
        raise DigestError.of(path, sha256, found)
    return content


def _listed(path: Path, sha256: str | None, allowed: tuple[str, ...]) -> set[str]:
    """The words of the list that count.

    Raises: DigestError; RecipeError if the list is not UTF-8.
    """
    try:
        # Editors on Windows begin a file with a byte order mark, which would be part of the first word.
        text = _checked(path, sha256).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RecipeError(
            f'expected UTF-8 in the list of words "{path.name}", got other bytes at byte {error.start}; its words '
            "would never be found: convert it"
        ) from error
    return {line.strip() for line in text.splitlines() if line.strip()} - set(allowed)


def _refuse_upper_case(words: set[str], file: str) -> None:
    deltas = lower_deltas()
    upper = sorted(word for word in words if any(deltas[ord(char)] for char in word))
    if upper:
        named = ", ".join(f'"{word}"' for word in upper[:3]) + (" ..." if len(upper) > 3 else "")
        raise RecipeError(
            f'expected words in lower case in "{file}", got {len(upper)} with upper case ({named}); texts are compared '
            "in lower case, so they would never be found: write them in lower case, or name them in `allowed`"
        )


@cache
def _load(path: Path, changed: int, sha256: str | None, allowed: tuple[str, ...]) -> Automaton:
    """The list, once a process and state of the file."""
    del changed
    return make_automaton(_listed(path, sha256, allowed))
