"""What does a sentence say, read by rules alone? Likes, homes, sizes, and what is true no more.

The rules find what people say outright ("I am allergic to nuts", "my sister lives in Lyon",
"我不喜欢咖啡") and nothing that must be inferred: a fact that is found wrongly is worse than one
that is not found, since the sentence itself is remembered in any case.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from etalage.memory.facts import Fact
from etalage.memory.statement import Statement

SENTENCE = re.compile(r"(?:(?!\s{10})[^.!?;\n。！？；])+")
"""Up to its mark, or to ten spaces: the rules would read a long run of them once from each of its
places, so that one text could keep the writer for minutes."""
OBJECT = r"(?P<object>[^,.!?;\n，。！？；]{1,80}?)"
"""Up to the next mark: a list of things is one object."""
END = (
    r"(?=\s*(?:$|[,.!?;\n，。！？；]"
    r"|\s(?:and|but|because|since|so|now|anymore|any more|any longer|these days|at all|though|too"
    r"|again|already|yet|last|next|this|yesterday|today|recently|lately|ago|ever|either|please"
    r"|a lot|(?:very |that |so )?much|in general|whatsoever|to be honest|to (?:me|us))\b))"
)
WHO = r"(?P<who>my [a-z][a-z -]{1,30}?(?:'s)?|i)"
NOT = (
    r"(?P<not>(?:really |just |simply )?(?:do not|don't|dont|did not|no longer|never|have stopped"
    r"|stopped|can't|cannot)\s+)?"
)


@dataclass(frozen=True)
class Rule:
    """A form of words and the predicate that it says."""

    form: re.Pattern[str]
    predicate: str
    polarity: int = 1
    is_single: bool = False


def _english(form: str, predicate: str, polarity: int = 1, *, is_single: bool = False) -> Rule:
    pattern = rf"\b{form}\s+{OBJECT}{END}"
    return Rule(re.compile(pattern, re.IGNORECASE), predicate, polarity, is_single)


def _chinese(form: str, predicate: str, polarity: int = 1, *, is_single: bool = False) -> Rule:
    return Rule(re.compile(rf"{form}{OBJECT}(?=了?(?:$|[,，。！？；\s]))"), predicate, polarity,
                is_single)  # fmt: skip


VERY = r"(?:really |absolutely |also |still )*"
LIKE = rf"{VERY}(?:likes?|liking|loves?|enjoys?|prefers?|adores?)"
HATE = rf"{VERY}(?:dislikes?|hates?|detests?|can't stand|cannot stand)"
RULES = (
    _english(rf"{WHO}\s+{NOT}{LIKE}", "likes"),
    _english(rf"{WHO}\s+(?P<not>used to )(?:like|love|enjoy)", "likes"),
    _english(rf"{WHO}\s+{HATE}", "likes", -1),
    _english(rf"{WHO}(?:\s+am|'m|\s+is)\s+not (?:into|a fan of|interested in)", "likes", -1),
    _english(
        r"(?P<who>i)\s+(?:never|don't|dont|do not|can't|cannot)(?: ever)?"
        r" (?:eat|drink|wear|watch|read|want(?: to see| to watch| to read)?)(?: any)?(?: more)?",
        "likes",
        -1,
    ),
    _english(r"(?P<who>i)\s+(?:always |try to )?avoid", "likes", -1),
    _english(
        r"(?P<who>)(?:never|don't|dont|do not)(?: ever)? (?:show|recommend|suggest|offer|send)"
        r"(?: me| us)?(?: any| anything with| anything from)?",
        "likes",
        -1,
    ),
    Rule(
        re.compile(
            rf"^\W*(?:please,?\s+)?(?P<who>)(?:never|no)\s+(?:any|more)\s+{OBJECT}{END}",
            re.IGNORECASE,
        ),
        "likes",
        -1,
    ),
    Rule(
        re.compile(
            r"^\W*(?:please,?\s+)?(?P<who>)never (?P<object>[a-z-]+(?:(?: or)? [a-z-]+)??)"
            rf"{END}",
            re.IGNORECASE,
        ),
        "likes",
        -1,
    ),
    _english(
        rf"{WHO}(?:\s+am|'m|\s+is)\s+(?P<not>not |no longer )?(?:very |severely |also )?"
        "allergic to",
        "allergic_to",
    ),
    Rule(
        re.compile(
            r"\b(?P<who>i)\s+have\s+(?:a|an)\s+(?:bad |severe )?"
            r"(?P<object>[a-z][a-z -]{1,30}?)\s+allergy\b",
            re.IGNORECASE,
        ),
        "allergic_to",
    ),
    _english(rf"{WHO}\s+{NOT}(?:live|lives|living) in", "lives_in", is_single=True),
    _english(rf"{WHO}\s+(?:have |has |had |just |already )*moved to", "lives_in", is_single=True),
    _english(rf"{WHO}\s+(?:work|works) (?:as|as an?)", "works_as", is_single=True),
    _english(rf"{WHO}\s+(?:work|works) (?:at|for)", "works_at", is_single=True),
    _english(rf"{WHO}\s+{NOT}(?:own|owns)", "owns"),
    _english(rf"{WHO}\s+(?:have |just )*bought", "bought"),
    _english(r"(?P<who>i)\s+returned", "bought", -1),
    _english(r"(?P<who>i)(?:\s+am|'m)(?=\s+\d+ years)", "age", is_single=True),
    _english(r"\b(?P<who>my)(?P<said> name) is", "name", is_single=True),
)
ATTRIBUTE = re.compile(
    rf"\bmy (?P<what>[a-z][a-z' -]{{1,40}}?) (?:is|are)\s+(?P<not>not |no longer )?{OBJECT}{END}",
    re.IGNORECASE,
)
"""My shoe size is 42: the attribute itself is the predicate."""
CHINESE = (
    _chinese(
        r"(?P<who>我)(?P<not>不再|不|没那么)?(?:很|最|特别|非常|一直)?(?:喜欢|爱)(?:吃|喝|看|听)?",
        "likes",
    ),
    _chinese(r"(?P<who>我)(?:很|最|特别|非常)?(?:讨厌|受不了)", "likes", -1),
    _chinese(r"(?P<who>我)(?:从不|从来不|不)(?:吃|喝|看|穿|听)", "likes", -1),
    _chinese(r"(?P<who>)(?:永远)?(?:不要|别)再?(?:给我|向我)?(?:推荐|展示)", "likes", -1),
    _chinese(r"(?P<who>我)(?:现在)?(?P<not>不再)?住在", "lives_in", is_single=True),
    _chinese(r"(?P<who>我)(?:已经|刚)?搬到了?", "lives_in", is_single=True),
    Rule(
        re.compile(r"(?P<who>我)(?P<not>不)?对(?P<object>[^,，。！？；\s]{1,20})过敏"),
        "allergic_to",
    ),
    _chinese(r"(?P<who>我)(?:刚|新)?买了", "bought"),
)


def facts_in(statement: Statement) -> tuple[Fact, ...]:
    """Returns the facts of what a user says of themselves or of theirs; of others' words, none.

    >>> facts_in(Statement("I don't like jazz, but my sister loves it. I moved to Lyon!"))[2].object
    'Lyon'
    """
    if statement.source != "user" or statement.kind == "event":
        return ()
    found: dict[tuple[str, str, str, int], Fact] = {}
    for fact in _found(statement.text[:10_000]):
        found.setdefault((fact.subject, fact.predicate, fact.key, fact.polarity), fact)
    return tuple(list(found.values())[:MOST])


MOST = 32
"""Facts of one text; more are a list that somebody pasted."""


def _found(text: str) -> Iterator[Fact]:
    for sentence in SENTENCE.finditer(text.replace("’", "'")):
        start = sentence.start()
        taken: list[tuple[int, int]] = []
        for rule in (*RULES, *CHINESE):
            for match in rule.form.finditer(sentence[0]):
                if _asks(sentence[0], match.start()):
                    continue
                taken.append(match.span())
                if match["who"] == "" and _names_nothing(match["object"]):
                    continue
                polarity = -rule.polarity if match.groupdict().get("not") else rule.polarity
                fact = _fact(rule.predicate, match, start, polarity, rule.is_single,
                             _subject(match["who"]))  # fmt: skip
                yield fact
                if (rule.predicate, polarity) in REFUSALS:
                    for more in _listed(sentence[0][match.end() :]):
                        yield replace(fact, object=more)
        for match in ATTRIBUTE.finditer(sentence[0]):
            overlaps = any(a < match.end() and match.start() < b for a, b in taken)
            if overlaps or _asks(sentence[0], match.start()):
                continue
            owner, _, what = match["what"].rpartition("'s ")
            subject = f"user.{owner.strip().casefold()}" if owner else "user"
            predicate = "_".join(what.casefold().split())
            yield _fact(predicate, match, start, -1 if match["not"] else 1, True, subject)


REFUSALS = {("likes", -1), ("allergic_to", 1)}
"""Of these a list is read to its end: one that is missed would be shown again."""
LIST = re.compile(
    r"(?P<more>(?:\s*,\s*[^\W\d_][\w'-]*(?: [\w'-]+)?){0,8})\s*,?\s+(?:and|or)\s+"
    r"(?P<last>[^\W\d_][\w'-]*(?: [\w'-]+)?)(?=\s*(?:$|[,.!?;\n]))"
)
NO_NOUN = {
    "am", "are", "but", "can", "did", "do", "does", "don't", "had", "has", "hate", "hates", "have",
    "he", "her", "his", "i", "i'm", "is", "it", "like", "likes", "love", "loves", "my", "not",
    "prefer", "she", "so", "that", "they", "we", "will", "would", "you",
}  # fmt: skip
"""What follows is another sentence where one of these is in it."""
NO_THING = {
    "again", "ask", "be", "been", "buy", "do", "ever", "forget", "gets", "give", "go", "got",
    "had", "have", "heard", "knew", "know", "let", "me", "mind", "really", "say", "seen", "tell",
    "that", "think", "this", "thought", "to", "too", "used", "was", "works", "would",
}  # fmt: skip
"""After "never" these name nothing: never mind, never again."""


def _names_nothing(said: str) -> bool:
    """Whether the words after "never" are no thing; "the garden" is one, "the same" is none."""
    first, *more = said.casefold().split()
    return (more[:1] in ([], ["same"], ["way"])) if first == "the" else first in NO_THING


def _listed(rest: str) -> list[str]:
    """The other things of a list that has begun: ", eggs and milk"."""
    found = LIST.match(rest)
    if found is None:
        return []
    things = [*re.split(r"\s*,\s*", found["more"].strip())[1:], found["last"]]
    return [] if any(NO_NOUN & set(thing.casefold().split()) for thing in things) else things


DOUBTS = {"if", "whether", "do", "does", "wish", "would", "maybe", "perhaps"}


def _asks(sentence: str, at: int) -> bool:
    """Whether what precedes makes it no statement: a condition, a wish, or a question."""
    before = sentence[:at].casefold().split()
    return bool(DOUBTS & set(before[-3:]))


def _subject(who: str) -> str:
    who = who.casefold().removesuffix("'s")
    return "user" if who in ("", "i", "my", "我") else f"user.{who.removeprefix('my ').strip()}"


def _fact(
    predicate: str, match: re.Match[str], start: int, polarity: int, is_single: bool, subject: str
) -> Fact:
    said = match["object"].strip()
    for article in ("a ", "an ", "the "):
        said = said[len(article) :] if said.casefold().startswith(article) else said
    return Fact(
        predicate,
        said or match["object"],
        subject,
        polarity,
        is_single=is_single,
        span=(start + match.start(), start + match.end()),
        origin="grammar",
    )
