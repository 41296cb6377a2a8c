"""What encoding a label names: the labels of the web's standard and few more, but not whatever Python can undo.

    iso-8859-1, latin1, ascii  ->  cp1252       as browsers read them
    shift_jis, sjis            ->  cp932        the encoding that contains the named one, as browsers read it
    rot13, zip, unicode_escape, utf-7, utf-16   ->  None

Python's own registry would also undo zip and base64, which raise on text, and rewrite backslashes. UTF-16 is none,
because a label that could be read was not written in it.

Source: WHATWG, Encoding standard, section 4.2, https://encoding.spec.whatwg.org/#names-and-labels (the table is
resiliparse's).
"""

from __future__ import annotations

import codecs
from functools import lru_cache

from resiliparse.parse.encoding import map_encoding_to_html5

__all__ = ["codec_of", "decode_mostly"]

# What detection says, and pages that Windows made, beside the standard's labels.
_MORE = {
    "cp932": "cp932",
    "cp936": "gb18030",
    "cp949": "cp949",
    "cp950": "big5hkscs",
    "mac-cyrillic": "mac-cyrillic",
    "x-mac-cyrillic": "mac-cyrillic",
}
# Where browsers read more than Python's codec of that name does.
_WIDER = {
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "gbk": "gb18030",
    "big5": "big5hkscs",
    "iso8859-11": "cp874",
}
_MAX_LOST_FRAC = 0.01


@lru_cache(1024)
def codec_of(label: str) -> str | None:
    """Python's codec for a label; None for an unknown one.

    >>> [codec_of(label) for label in ("ISO-8859-1", "x-sjis", "rot13", "utf-16")]
    ['cp1252', 'cp932', None, None]
    """
    label = label.strip().lower()
    mapped = map_encoding_to_html5(label, fallback_utf8=False)
    if mapped is None:
        return _MORE.get(label)
    name = codecs.lookup(mapped).name
    return None if name.startswith(("utf-16", "utf-32")) else _WIDER.get(name, name)


def decode_mostly(data: bytes, codec: str) -> str | None:
    """The text where 99% of it decodes; what does not is U+FFFD: one broken byte is no other encoding."""
    text = data.decode(codec, "replace")
    return text if text.count("\ufffd") <= _MAX_LOST_FRAC * len(text) else None
