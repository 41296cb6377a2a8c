"""Numba kernels over `data: uint8[n_bytes]` and `offsets: int64[n_docs + 1]`; see `jit`.

    jit.py            the lazy compiler and its cache folder
    unicode.py        what a character is (space, letter, punctuation) and its lower case
    words.py          characters and words of a span
    gopher.py         counts for Gopher's quality rules
    repetition.py     counts for Gopher's repetition rules
    hashing.py        xxh32, xxh64 and SHA-1 of byte spans
    minhash.py        shingles and signatures

No class, no Arrow and no str gets in here. Each module's public functions check nothing but shapes.
"""
