"""The 176 languages that lid.176 tells apart, split by whether they put spaces between words.

Rules that compare words of white-space-separated text mean nothing for the second set: there a line is
one word, and the most frequent pair of words is half the document.
"""

from __future__ import annotations

__all__ = ["SPACED", "UNSPACED"]

SPACED = tuple(
    """
    af als am an ar arz as ast av az azb ba bar bcl be bg bh bn bpy br bs bxr ca cbk ce ceb ckb co cs cv cy da
    de diq dsb dty dv el eml en eo es et eu fa fi fr frr fy ga gd gl gn gom gu gv he hi hif hr hsb ht hu hy ia
    id ie ilo io is it jbo jv ka kk kn ko krc ku kv kw ky la lb lez li lmo lrc lt lv mai mg mhr min mk ml mn mr
    mrj ms mt mwl myv mzn nah nap nds ne new nl nn no oc or os pa pam pfl pl pms pnb ps pt qu rm ro ru rue sa
    sah sc scn sco sd sh si sk sl so sq sr su sv sw ta te tg tk tl tr tt tyv ug uk ur uz vec vep vi vls vo wa
    war xal xmf yi yo
    """.split()  # noqa: SIM905 -- a page of quoted codes reads worse
)
UNSPACED = ("bo", "ja", "km", "lo", "my", "th", "wuu", "yue", "zh")
