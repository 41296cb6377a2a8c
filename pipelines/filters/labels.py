"""The 176 languages that lid.176 tells apart, split by whether they put spaces between words.

Rules that compare words of white-space-separated text mean nothing for the second set: there a line is
one word, and the most frequent pair of words is half the document.
"""

from __future__ import annotations

__all__ = ["SPACED", "UNSPACED", "WRITTEN_IN_HAN", "short_label"]

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
WRITTEN_IN_HAN = ("ja", "wuu", "yue", "zh")

# Codes of ISO 639-3, as GlotLID writes them before the script, and the label that lid.176 has for the language.
_SHORT = dict(
    pair.split(":")
    for pair in """
    afr:af amh:am arg:an arb:ar asm:as ava:av azj:az bak:ba bel:be bul:bg ben:bn bod:bo bre:br bos:bs cat:ca che:ce
    cos:co ces:cs chv:cv cym:cy dan:da deu:de div:dv ell:el eng:en epo:eo spa:es ekk:et eus:eu pes:fa fin:fi fra:fr
    fry:fy gle:ga gla:gd glg:gl gug:gn guj:gu glv:gv heb:he hin:hi hrv:hr hat:ht hun:hu hye:hy ina:ia ind:id ido:io
    isl:is ita:it jpn:ja jav:jv kat:ka kaz:kk khm:km kan:kn kor:ko kmr:ku kom:kv cor:kw kir:ky lat:la ltz:lb lim:li
    lao:lo lit:lt lvs:lv plt:mg mkd:mk mal:ml khk:mn mar:mr zsm:ms mlt:mt mya:my npi:ne nld:nl nno:nn nob:no oci:oc
    ory:or oss:os pan:pa pol:pl pbt:ps por:pt quy:qu roh:rm ron:ro rus:ru san:sa srd:sc snd:sd sin:si slk:sk slv:sl
    som:so als:sq srp:sr sun:su swe:sv swh:sw tam:ta tel:te tgk:tg tha:th tuk:tk fil:tl tgl:tl tur:tr tat:tt uig:ug
    ukr:uk urd:ur uzn:uz vie:vi vol:vo wln:wa ydd:yi yor:yo cmn:zh
    """.split()  # noqa: SIM905 -- a page of quoted codes reads worse
)


def short_label(label: str) -> str:
    """The lid.176 label of the language that another model calls `label`; the label itself where there is none.

    >>> short_label("deu_Latn"), short_label("yue_Hani"), short_label("de")
    ('de', 'yue', 'de')
    """
    code, script, _ = label.partition("_")
    return _SHORT.get(code, code) if script else label
