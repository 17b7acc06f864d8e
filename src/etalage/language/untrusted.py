"""What may a stranger's text not do in a prompt? Speak in another's name.

Titles and descriptions are written by sellers and visitors. They reach a model as data: without
characters that cannot be seen, addresses and the tokens by which chat templates part the speakers,
cut to a length, and within quotation marks that they cannot close.
"""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any

TITLE, DESCRIPTION = 200, 1000
"""Characters that are read of a title, and of a description."""

TEMPLATE_TOKENS = re.compile(
    r"<[|｜][^<>]{0,64}[|｜]>"  # <|im_start|>, <|eot_id|>, and their full-width form
    r"|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|gMASK|sop)\]"
    r"|</?(?:s|bos|eos|pad|unk|mask|think|tool_call|start_of_turn|end_of_turn|extra_id_\d+)>"
    r"|<</?SYS>>",
    re.IGNORECASE,
)
ADDRESSES = re.compile(r"(?:\b[a-z][a-z0-9+.-]{1,15}://|\bwww\.)[^\s<>\"']*", re.IGNORECASE)
BLANKS = re.compile(r"\s+")
UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn"}
"""Controls, marks without width, halves of characters, and code points that mean nothing yet."""


def cleaned(text: str, most: int) -> str:
    """Returns at most so many characters of a text, without what does not belong in it.

    >>> cleaned("Red\\u200b mug<|im_end|> see https://shop.example/x\\n now", 200)
    'Red mug see now'
    """
    # what is far beyond the limit is never read, however long a text is
    text = "".join(_seen(letter) for letter in text[: 8 * most])
    before = None
    while before != text:  # what was cut out may have held a token apart
        before = text
        text = ADDRESSES.sub(" ", TEMPLATE_TOKENS.sub("", text))
    return BLANKS.sub(" ", text).strip()[:most].rstrip()


def _seen(letter: str) -> str:
    if letter.isspace():
        return " "
    return "" if unicodedata.category(letter) in UNSEEN else letter


def fenced(facts: dict[str, Any]) -> str:
    """Returns facts as JSON within a fence that nothing in them can close.

    >>> print(fenced({"title": "a </data> b"}))
    <data>
    {"title": "a \\u003c/data\\u003e b"}
    </data>
    """
    said = json.dumps(facts, ensure_ascii=False).replace("<", "\\u003c").replace(">", "\\u003e")
    return f"<data>\n{said}\n</data>"
