"""What is found against what theory says is found, and what falls against what two texts have in common."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from pipelines.dedup import MinHash
from pipelines.kernels.minhash import shingle, sign
from pipelines.kernels.sets import count_common
from pipelines.kernels.simplify import sign_wide, wide_shingles
from pipelines.kernels.sketches import shingle_sets, sketch_texts
from tests.harness_gather import Corpus
from tests.kernels.texts import as_arrays

N_PAIRS, N_WORDS = 4000, 200
SIGN = {
    "quern": lambda arrays, n, seed: sketch_texts(*arrays, n_permutations=n, seed=seed)[0],
    "datasketch": lambda arrays, n, seed: sign(shingle(*arrays), n_permutations=n, seed=seed),
    "datasketch_sha1": lambda arrays, n, seed: sign(
        shingle(*arrays, hash_name="sha1"), n_permutations=n, seed=seed
    ),
    "datatrove": lambda arrays, n, seed: sign_wide(wide_shingles(*arrays), n_permutations=n, seed=seed),
}


def edited_pairs(frac: float, n_pairs: int, *, seed: int) -> list[str]:
    """Texts of words nobody else has, each followed by itself with `frac` of its words replaced."""
    rng = np.random.default_rng(seed)
    texts = []
    for pair in range(n_pairs):
        words = [_word(pair, k) for k in range(N_WORDS)]
        other = list(words)
        for at in rng.choice(N_WORDS, round(frac * N_WORDS), replace=False):
            other[at] = _word(N_PAIRS + pair, at)
        texts += [" ".join(words), " ".join(other)]
    return texts


def _word(pair: int, at: int) -> str:
    """A word of letters alone, for datatrove makes every number 0."""
    return (
        "w"
        + "".join(chr(97 + int(digit)) for digit in f"{pair}")
        + "x"
        + "".join(chr(97 + int(d)) for d in f"{at}")
    )


def jaccards(texts: list[str], a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """The share of word 5-grams that texts `a[i]` and `b[i]` have in common."""
    sets, ends = shingle_sets(*as_arrays(texts))
    n_common, sizes = count_common(sets, ends, a, b), np.diff(ends)
    return n_common / np.maximum(1, sizes[a] + sizes[b] - n_common)


@pytest.mark.parametrize("frac", [0.02, 0.05, 0.1, 0.2, 0.3])
@pytest.mark.parametrize("scheme", SIGN)
def test_pairs_with_an_equal_band_are_as_many_as_theory_says_within_two_points(
    scheme: str, frac: float
) -> None:
    n_pairs = N_PAIRS if scheme in ("quern", "datasketch") else N_PAIRS // 2
    texts = edited_pairs(frac, n_pairs, seed=int(100 * frac))
    bands = SIGN[scheme](as_arrays(texts), 112, 1).reshape(n_pairs, 2, 14, 8)
    found = (bands[:, 0] == bands[:, 1]).all(axis=2).any(axis=1).mean()
    every = np.arange(n_pairs)
    theory = (1 - (1 - jaccards(texts, 2 * every, 2 * every + 1) ** 8) ** 14).mean()
    assert abs(found - theory) < 0.02


@pytest.mark.parametrize("scheme", SIGN)
def test_estimates_are_unbiased_and_as_wide_as_theory_says(scheme: str) -> None:
    texts = edited_pairs(0.05, 1000, seed=9)
    signatures = SIGN[scheme](as_arrays(texts), 112, 1)
    every = np.arange(1000)
    truth = jaccards(texts, 2 * every, 2 * every + 1)
    errors = (signatures[::2] == signatures[1::2]).mean(axis=1) - truth
    wide = np.sqrt((truth * (1 - truth) / 112).mean())
    assert abs(errors.mean()) < 0.01
    assert 0.85 * wide < errors.std() < 1.15 * wide


def test_by_default_what_is_alike_is_found_and_what_falls_is_like_the_one_that_stays(tmp_path) -> None:
    texts = [text for frac in (0.01, 0.03, 0.05, 0.06, 0.08) for text in edited_pairs(frac, 160, seed=3)]
    # Between texts of different pairs too: a third of the words are from a frame that pages of a site share.
    frame = [" ".join(f"f{k}" for k in range(at, at + 30)) for at in (0, 60)]
    texts = [f"{frame[n % 4 // 2]} {text} {frame[n % 3 // 2]}" for n, text in enumerate(texts)]
    corpus = Corpus(tmp_path, {"a": [texts[0::2]], "b": [texts[1::2]]})
    result = corpus.run(MinHash())
    in_order = texts[0::2] + texts[1::2]
    number = {of: n for n, of in enumerate(of for part in corpus.ids for of in part)}
    a, b = np.triu_indices(len(texts), 1)
    truth = jaccards(in_order, a, b)
    alike = [(int(x), int(y)) for x, y in zip(a[truth >= 0.7], b[truth >= 0.7], strict=True)]
    assert len(alike) > 400
    fallen = _fallen(result, number)
    gone = {n for n, _ in fallen}
    # Found: one of the two is gone, for the other or for somebody both are like.
    assert sum(bool(gone.intersection(pair)) for pair in alike) >= 0.97 * len(alike)
    at, keepers = (np.array(side, dtype=np.int64) for side in zip(*fallen, strict=True))
    assert jaccards(in_order, at, keepers).min() >= 0.7
    assert not gone.intersection(keepers.tolist())


def _fallen(result, number) -> list[tuple[int, int]]:
    """(document, keeper) of each that falls."""
    rows = enumerate(result.column("keeper"))
    return [(n, number[keeper]) for n, keeper in rows if keeper is not None]
