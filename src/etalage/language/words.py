"""Which words of a text tell it from another? Those that are no filler, and pairs of characters.

English is cut into words, Chinese, Japanese and Korean into pairs of neighbouring characters, since
they put no spaces between words.
"""

from __future__ import annotations

import re
from functools import lru_cache

ENGLISH = """
    a about after all also am an and any are as at be because been before being both but by can
    could did do does during each few for from had has have he her hers him his how i if in into
    is it its just me more most my no not of on or other our own same she so some such than that
    the their them then there these they this to too up us very was we were what when where which
    who whom why will with would you your
"""
FILLERS = frozenset(ENGLISH.split())
"""Words that every text has."""
CJK = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
PARTS = re.compile(rf"[{CJK}]+|[^\W{CJK}]+")
ENDINGS = ("ing", "ed", "ies", "es", "s", "ly")
RUN = re.compile(f"[{CJK}]")
DOUBLED = re.compile(r"([b-df-hj-kmnp-rtv-y])\1$")


def words_of(text: str) -> list[str]:
    """Returns the words of a text that are no filler, in its order, repeats included.

    >>> words_of("Where are my running shoes?")
    ['running', 'shoes']
    >>> words_of("我喜欢跑步")
    ['我喜', '喜欢', '欢跑', '跑步']
    """
    found: list[str] = []
    for part in PARTS.findall(text.lower()):
        if is_run(part):
            found += [part[at : at + 2] for at in range(max(len(part) - 1, 1))]
        elif part not in FILLERS:
            found.append(part)
    return found


def is_run(part: str) -> bool:
    """Whether a part is Chinese, Japanese or Korean, which put no spaces between words.

    >>> [is_run(part) for part in ("jazz", "爵士", "豈", "ꮳꮃꭹ")]
    [False, True, True, False]
    """
    return RUN.match(part) is not None


@lru_cache(maxsize=2**16)
def stem(word: str) -> str:
    """Returns a word without its commonest endings; what is left need not be a word.

    >>> [stem(word) for word in ("hobbies", "hobby", "planned", "plans", "is", "loved", "loves")]
    ['hobby', 'hobby', 'plan', 'plan', 'is', 'lov', 'lov']
    """
    for ending in ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)] + ("y" if ending == "ies" else "")
            break
    word = DOUBLED.sub(r"\1", word)
    return word[:-1] if len(word) > 3 and word[-1] == "e" else word
