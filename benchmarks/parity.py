"""Whether our rules decide as datatrove's do: keep or drop, and the reason, of the same texts.

    python benchmarks/parity.py [--texts 400]       the peers' environment: QUERN_PEERS, as for build_web

Each real text (books in pieces of 6,000 characters, WET) goes in as it is and edited in four ways, so that every
rule has something to drop: lines cut short, a fifth repeated, marks taken off line ends, a "{" put in. For each
rule one line: how many decisions are equal, how many texts either side drops and how many both, for one reason;
below it the differences by the pair of reasons, with the first text of each. Our rules run with `words: spacy`.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from fastwarc.warc import ArchiveIterator
from support.machine import ROOT, peers_python, run_side
from support.texts import default_folder, load_texts

from pipelines.batch import Batch, BatchBuilder, Record
from pipelines.filters.c4 import C4Lines, C4Quality
from pipelines.filters.fineweb import FineWebQuality
from pipelines.filters.gopher import GopherQuality, GopherRepetition
from pipelines.spans import apply_spans
from pipelines.stage import Edit, Rule

WET = ROOT.parent / "shared" / "data" / "warc" / "cc-wet-fragments" / "filter_test_1.wet.gz"
RULES: dict[str, tuple[Edit | None, Rule]] = {
    "gopher_repetition": (None, GopherRepetition(words="spacy")),
    "gopher_quality": (None, GopherQuality(words="spacy")),
    "c4": (C4Lines(), C4Quality(words="spacy")),
    "c4_fineweb": (C4Lines(end_marks=False), C4Quality(words="spacy")),
    "fineweb_quality": (None, FineWebQuality(words="spacy")),
}
OURS_FOR_DATATROVES = {
    "gopher_short_doc": "too_few_words",
    "gopher_long_doc": "too_many_words",
    "gopher_below_avg_threshold": "words_too_short",
    "gopher_above_avg_threshold": "words_too_long",
    "gopher_too_many_hashes": "too_many_hashes",
    "gopher_too_many_ellipsis": "too_many_ellipses",
    "gopher_too_many_bullets": "too_many_bullet_lines",
    "gopher_too_many_end_ellipsis": "too_many_ellipsis_lines",
    "gopher_below_alpha_threshold": "too_few_alphabetic_words",
    "gopher_enough_stop_words": "too_few_stop_words",
    "dup_para_frac": "duplicate_paragraphs",
    "dup_para_char_frac": "duplicate_paragraph_chars",
    "dup_line_frac": "duplicate_lines",
    "dup_line_char_frac": "duplicate_line_chars",
    **{f"top_{n}_gram": f"frequent_{n}_gram" for n in (2, 3, 4)},
    **{f"duplicated_{n}_n_grams": f"repeated_{n}_grams" for n in range(5, 11)},
    "lorem_ipsum": "lorem_ipsum",
    "curly_bracket": "curly_bracket",
    "too_few_sentences": "too_few_sentences",
    "empty": "too_few_lines",
    "line_punct_ratio": "too_few_ended_lines",
    "short_line_ratio": "too_many_short_lines",
    "char_dup_ratio": "repeated_line_chars",
    "list_ratio": "too_many_newlines",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--texts", type=int, default=400, help="real texts, each judged in five forms")
    args = parser.parse_args()
    texts = [form for text in real_texts()[: args.texts] for form in forms(text)]
    with tempfile.TemporaryDirectory() as folder:
        peer = run_side(peers_python(), "datatrove_rules.py", {"texts": texts}, folder=Path(folder) / "peer")
    print(f"{len(texts)} texts, datatrove {peer['versions']['datatrove']}, spaCy {peer['versions']['spacy']}")
    for name, (edit, rule) in RULES.items():
        compare(name, ours(edit, rule, texts), [OURS_FOR_DATATROVES.get(r, r) for r in peer[name]], texts)


def real_texts() -> list[str]:
    """Pages of a WET file first, then pieces of books."""
    wet = []
    if WET.exists():
        with WET.open("rb") as file:
            wet = [record.reader.read().decode("utf-8", "replace") for record in ArchiveIterator(file)][1:]
    books = load_texts(default_folder(), max_bytes=60_000_000, piece_chars=6000)
    return [text for text in (*wet, *books[:: max(1, len(books) // 5000)]) if text.strip()]


def forms(text: str) -> Iterator[str]:
    """A text and four edits of it, each of which some rule drops."""
    lines = text.split("\n")
    yield text
    yield "\n".join(line[:25] for line in lines)
    yield text + "\n" + text[: len(text) // 5]
    yield "\n".join(line.rstrip(".?!\"'") for line in lines)
    yield text[:300] + " {" + text[300:]


def batch_of(texts: Sequence[str]) -> Batch:
    builder = BatchBuilder("parity", max_bytes=1 << 40)
    for at, text in enumerate(texts):
        assert not list(builder.add(Record("texts", at, at, 1, text=text)))
    [batch] = builder.flush()
    return batch


def ours(edit: Edit | None, rule: Rule, texts: Sequence[str]) -> list[str | None]:
    """Our reason for each text, None to keep."""
    batch = batch_of(texts)
    if edit is not None:
        batch, _ = apply_spans("edit", edit, batch)
    verdicts = rule.decide(dict(rule.measure(batch)))
    return [rule.reasons[code - 1] if code else None for code in verdicts]


def compare(
    name: str, mine: Sequence[str | None], theirs: Sequence[str | None], texts: Sequence[str]
) -> None:
    """Prints the agreement and every class of difference."""
    pairs = list(zip(mine, theirs, strict=True))
    equal = sum(a == b for a, b in pairs)
    either = sum(a is not None or b is not None for a, b in pairs)
    both = sum(a is not None and b is not None for a, b in pairs)
    print(
        f"name={name} equal={equal}/{len(pairs)} share={equal / len(pairs):.4f} dropped_by_either={either} "
        f"by_both={both} share_of_drops={both / max(1, either):.4f}"
    )
    print("    " + " ".join(f"{reason}={n}" for reason, n in sorted(Counter(filter(None, theirs)).items())))
    different = Counter(pair for pair in pairs if pair[0] != pair[1])
    for (a, b), n in different.most_common():
        print(f"    ours {a}, datatrove {b}: {n}, first: {texts[pairs.index((a, b))][:60]!r}")


if __name__ == "__main__":
    main()
