"""Slow, obvious twins of the kernels behind the URL rule: Python strings, no shared code."""

from __future__ import annotations

import re
from collections.abc import Collection

import xxhash


def url_words(
    url: str, *, banned: Collection[str], soft: Collection[str], subwords: Collection[str]
) -> list[int]:
    words = set(re.findall("[0-9A-Za-z]+", url))
    joined = re.sub("[^0-9a-z]", "", url.translate({c: c + 32 for c in range(65, 91)}))
    ends = {at + len(word) for word in subwords for at in range(len(joined)) if joined.startswith(word, at)}
    return [len(words & set(banned)), len(words & set(soft)), len(ends)]


def line_hashes(data: bytes) -> list[int]:
    lines = [line.strip() for line in data.split(b"\n")]
    return [xxhash.xxh64_intdigest(line) for line in lines if line and not line.startswith(b"#")]
