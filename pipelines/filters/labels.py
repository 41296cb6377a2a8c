"""The 176 languages that lid.176 tells apart, split by whether they put spaces between words.

Rules that compare words of white-space-separated text mean nothing for the second set: there a line is
one word, and the most frequent pair of words is half the document.
"""

from __future__ import annotations

import difflib

__all__ = ["LID_176_SHA256", "SPACED", "UNSPACED", "WRITTEN_IN_HAN", "nearest_label", "short_label"]

LID_176_SHA256 = "8f3472cfe8738a7b6099e8e999c3cbfae0dcd15696aac7d7738a8039db603e83"

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


# What people write instead of a label: languages by their English names, and countries by their codes.
_NAMED = dict(
    pair.split(":")
    for pair in """
    afrikaans:af albanian:sq amharic:am arabic:ar armenian:hy azerbaijani:az basque:eu belarusian:be bengali:bn
    bosnian:bs breton:br bulgarian:bg burmese:my cantonese:yue catalan:ca chinese:zh croatian:hr czech:cs danish:da
    dutch:nl english:en esperanto:eo estonian:et farsi:fa finnish:fi french:fr galician:gl georgian:ka german:de
    greek:el gujarati:gu hebrew:he hindi:hi hungarian:hu icelandic:is indonesian:id irish:ga italian:it japanese:ja
    javanese:jv kannada:kn kazakh:kk khmer:km korean:ko kurdish:ku kyrgyz:ky lao:lo latin:la latvian:lv lithuanian:lt
    luxembourgish:lb macedonian:mk malagasy:mg malay:ms malayalam:ml maltese:mt mandarin:zh marathi:mr mongolian:mn
    nepali:ne norwegian:no occitan:oc pashto:ps persian:fa polish:pl portuguese:pt punjabi:pa romanian:ro russian:ru
    sanskrit:sa serbian:sr sindhi:sd sinhala:si slovak:sk slovenian:sl somali:so spanish:es sundanese:su swahili:sw
    swedish:sv tagalog:tl tajik:tg tamil:ta tatar:tt telugu:te thai:th tibetan:bo turkish:tr turkmen:tk ukrainian:uk
    urdu:ur uyghur:ug uzbek:uz vietnamese:vi welsh:cy yiddish:yi yoruba:yo
    cn:zh cz:cs dk:da ger:de gr:el jp:ja kr:ko nb:no ua:uk
    """.split()  # noqa: SIM905 -- as above
)


def nearest_label(name: str) -> str:
    """`; did you mean "en"?` with the lid.176 label that `name` may stand for, or nothing if none is near.

    >>> nearest_label("english"), nearest_label("deu"), nearest_label("pt-BR"), nearest_label("klingon")
    ('; did you mean "en"?', '; did you mean "de"?', '; did you mean "pt"?', '')
    """
    folded = name.strip().lower()
    labels = (*SPACED, *UNSPACED)
    code = folded.replace("-", "_").partition("_")[0]
    for label in (_NAMED.get(folded), code, _NAMED.get(code), _SHORT.get(code)):
        if label in labels:
            return f'; did you mean "{label}"?'
    spellings = {**_NAMED, **{label: label for label in labels}}
    near = difflib.get_close_matches(folded, spellings, n=1, cutoff=0.6)
    return f'; did you mean "{spellings[near[0]]}"?' if near else ""
