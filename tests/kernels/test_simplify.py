"""datatrove's simplified text, hashes and signatures, against datatrove itself; its words are tested elsewhere."""

from __future__ import annotations

import unicodedata
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature
from datatrove.utils.hashing import HashConfig
from datatrove.utils.text import PUNCTUATION, ngrams, simplify_text
from hypothesis import given, settings

from pipelines.kernels import generate_unicode, unicode_bases, unicode_data
from pipelines.kernels.simplify import sign_wide, simplify, wide_permutations, wide_shingles
from pipelines.kernels.word_spans import word_spans
from tests.kernels.texts import as_arrays, documents, synthetic_documents

same_version = pytest.mark.skipif(
    unicodedata.unidata_version != unicode_data.UNICODE_VERSION, reason="another Unicode version"
)
ODD = [
    "Café №7 cost $3.50\n(in 1999)", "1.2.3 12,345.67 ١٢٫٣ 5. 6,", "한국어 각 가나다", "कि क़ ো ோ", "\u0301abc \u0301 d",
    " x\x00\x1cy\x85z\u00a0 ", "ΟΔΟΣ ΟΔΟΣΟΣ Σ ΑΣ.", "İstanbul \u212b \u2126", "𝅘𝅥𝅮 x", "", "ﬁ ½ ² Ⅷ", "《書》「。」",
]  # fmt: skip


def simplified(docs: list[str]) -> list[str]:
    text, ends = simplify(*as_arrays(docs))
    return [text[low:high].tobytes().decode() for low, high in pairwise(ends.tolist())]


@same_version
def test_generating_the_bases_again_gives_the_committed_file_byte_for_byte() -> None:
    assert Path(unicode_bases.__file__).read_text("utf-8") == generate_unicode.render_bases()


@same_version
@settings(max_examples=300, deadline=None)
@given(documents)
def test_texts_are_simplified_as_datatrove_does_it(docs: list[str]) -> None:
    # A sigma's letters are looked for beside it, and spaces around a mark alone are one here.
    docs = [doc.replace("Σ", "s") for doc in docs]
    assert [text.split() for text in simplified(docs)] == [simplify_text(doc).split() for doc in docs]


@same_version
def test_odd_texts_and_every_punctuation_mark_are_simplified_as_datatrove_does_it() -> None:
    docs = ODD + [f"a{mark}b" for mark in PUNCTUATION] + [f"9{mark}9" for mark in ".,،٫⎖⎗⎘-:"]
    assert [text.split() for text in simplified(docs)] == [simplify_text(doc).split() for doc in docs]


@same_version
def test_every_character_alone_is_simplified_as_datatrove_does_it() -> None:
    points = [p for p in range(0x30000) if unicodedata.category(chr(p)) not in ("Cn", "Cs", "Co")]
    docs = [" ".join(f"x{chr(p)}y" for p in points[at : at + 40]) for at in range(0, len(points), 40)]
    assert [text.split() for text in simplified(docs)] == [simplify_text(doc).split() for doc in docs]


class Signer(MinhashDedupSignature):
    """datatrove's signature step with our words in place of spaCy's."""

    def __init__(self, hash_fc: str) -> None:
        self.config = MinhashConfig(
            num_buckets=14, hashes_per_bucket=8, n_grams=5, hash_config=HashConfig(hash_fc=hash_fc)
        )
        self.num_hashes, self._parameters = 112, None

    def sign(self, words: list[str]) -> list[int]:
        from datatrove.utils.hashing import create_hash_func

        hashed = create_hash_func(self.config.hash_config, bytes)  # xxhash 4 takes no str
        hashes = np.array([hashed(" ".join(gram).encode()) for gram in ngrams(words, 5)], np.uint64)
        bands = self.get_signature(hashes.reshape(-1, 1)) if len(hashes) else []
        return [number for band in bands for number in band]


@pytest.mark.parametrize(("hash_name", "hash_fc"), [("xxh64", "xxhash"), ("sha1", "sha1")])
def test_signatures_of_the_same_words_are_datatroves_bit_for_bit(hash_name, hash_fc) -> None:
    docs = synthetic_documents(150, seed=21)
    shingles = wide_shingles(*as_arrays(docs), hash_name=hash_name)
    signatures = sign_wide(shingles)
    text, ends = simplify(*as_arrays(docs))
    starts, stops, offsets = word_spans(text, ends, "spacy")
    signer = Signer(hash_fc)
    for doc, (low, high) in enumerate(pairwise(offsets.tolist())):
        words = [text[s:e].tobytes().decode() for s, e in zip(starts[low:high], stops[low:high], strict=True)]
        expected = signer.sign(words)
        assert shingles.offsets[doc + 1] - shingles.offsets[doc] == max(0, len(words) - 4)
        assert signatures[doc].tolist() == (expected or [2**64 - 1] * 112)


def test_permutations_are_the_ones_datatrove_draws() -> None:
    a, b = wide_permutations(112, 1)
    expected = Signer("xxhash").parameters
    assert np.array_equal(a, expected[0][0])
    assert np.array_equal(b, expected[1][0])
