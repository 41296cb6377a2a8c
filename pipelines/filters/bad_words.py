"""C4's list of bad words: a page that has one of them goes.

    "You DICK!"       dick on the list    n_bad_words 1: bad_words
    "Mr. Dickens"                         0: none stands by itself

    our reason   datatrove's, C4BadWordsFilter      our parameter         datatrove's
    bad_words    document_removed_with_badwords     file, sha256          (downloaded, by language)
                                                    by_themselves True    False for ja, th and zh
                                                    max_bad_words 0
                                                    keep_frac 0.0, seed   keep_fraction 0.0, seed

With `keep_frac` a share of the pages that are over the limit stays, for a model that should know the words. Each
document draws a lot, a hash of its id and `seed`, and stays if the lot is low:

    doc_id 6f1e..., seed 0   ->   lot 0x1d3a77c0 of 2^32, 0.114   ->   kept where keep_frac is more

datatrove draws from one generator a worker, in the order in which bad pages come, so that there who stays depends on
how files are spread over workers and on every page before; here only on the document, in any order, on any number of
workers, and who stays at 0.1 stays at 0.2. Only the shares can be compared.

The list is a file of yours, one word or phrase a line, in lower case: C4's are LDNOOBW's lists
(https://github.com/LDNOOBW/List-of-Dirty-Naughty-Obscene-and-Otherwise-Bad-Words), one a language, at
commit 25e679f for English and 5faf2ba for others; this package ships none. Its digest is in the step's key, and with
`sha256` another file is refused. So is one with words in upper case, which datatrove takes and never finds, unless
they are in `allowed`. datatrove leaves "sm", "グロ", "女の子" and "性" out of every list; write them into `allowed`
to do so. Lower case is by single characters (`kernels/bad_words.py` names the two that differ).

For several languages write the step once for each, with its own `for` behind a `language` step, and in datatrove's
words: a step without `for` has the list of `default_language`, for documents that nothing has labelled; a language for
which no step is written passes, as with `fail_on_missing_language: False`, and is counted as routed past each; to have
none, let `language` keep only those with a list.

Price on one core: 160 MB/s, whatever the length of the list; a lot is a hash of 16 bytes.

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

from manifests.digest import digest_file, hash64
from manifests.errors import DigestError, RecipeError
from pipelines.batch import Batch, Values
from pipelines.filters.limits import Frac, Limit, Number, described, failing, reasons
from pipelines.kernels.bad_words import Automaton, listed_words, make_automaton
from pipelines.kernels.hashing import xxh64_spans
from pipelines.kernels.unicode import lower_deltas
from pipelines.stage import Rule, Verdicts, first_failing

__all__ = ["C4BadWords"]

N_LOTS = 1 << 32
LIMITS = (Limit("bad_words", "max_bad_words", "n_bad_words"),)


class C4BadWords(Rule):
    """Drops documents with words of a list, or all but a share of them."""

    name: ClassVar[str] = "c4_bad_words"
    version: ClassVar[int] = 3
    reasons: ClassVar[tuple[str, ...]] = reasons(LIMITS)
    path_fields: ClassVar[tuple[str, ...]] = ("file",)
    measuring: ClassVar[tuple[str, ...]] = ("file", "sha256", "by_themselves", "allowed", "seed")

    file: str
    """The list, UTF-8, a word or phrase a line, from the recipe's folder."""
    sha256: str | None = None
    """SHA-256 of the list, which is read only if it matches; any if left out."""
    by_themselves: bool = True
    """Whether a word counts only between characters that are in no word; false for Chinese, Japanese and Thai."""
    allowed: tuple[str, ...] = ()
    """Words of the list that do not count."""
    max_bad_words: Number | None = 0
    """Most places with a listed word."""
    keep_frac: Frac = 0.0
    """Share of the documents with more that stays nevertheless."""
    seed: int = 0
    """Which share that is; steps with one seed draw alike of one document."""
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
        """One kernel, two passes; one over the ids."""
        return ("bad_words.count_listed_words", "hashing.xxh64_spans")

    def numbers(self) -> tuple[str, ...]:
        """What is counted, and what is drawn."""
        return ("n_bad_words", "lot")

    def measure(self, batch: Batch) -> dict[str, npt.NDArray[np.int64]]:
        """n_bad_words, the places at which one ends, and lot, uniform in [0, 2^32): int64[n_docs] each."""
        path = (self.root or Path()) / self.file
        automaton = _load(path, path.stat().st_mtime_ns, self.sha256, self.allowed)
        n_bad_words = listed_words(*batch.text(), automaton, alone=self.by_themselves)
        return {"n_bad_words": n_bad_words, "lot": _lots(batch.doc_ids(), self.seed)}

    def decide(self, values: Values) -> Verdicts:
        """Too many of them, and a lot that is not low."""
        drawn = np.asarray(values["lot"]) < self.keep_frac * N_LOTS
        [over] = failing(self, LIMITS, values)
        return first_failing(len(over), [over & ~drawn])

    def limits(self) -> dict[str, tuple[str, str]]:
        """The limit, if it is on."""
        kept = f", or lot < {self.keep_frac * N_LOTS:.0f}" if self.keep_frac else ""
        return {
            reason: (quantity, bound + kept) for reason, (quantity, bound) in described(self, LIMITS).items()
        }


def _lots(doc_ids: npt.NDArray[np.uint8], seed: int) -> npt.NDArray[np.int64]:
    """A number in [0, N_LOTS) for each id, int64[n_docs]. doc_ids: uint8[n_docs, 16]."""
    offsets = 16 * np.arange(len(doc_ids) + 1, dtype=np.int64)
    # Under a name of its own, so that it says nothing about any other draw by the same ids.
    hashes = xxh64_spans(doc_ids.reshape(-1), offsets, np.uint64(hash64("quern.c4_bad_words", seed)))
    return (hashes >> np.uint64(32)).astype(np.int64)


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
