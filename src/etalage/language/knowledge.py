"""What does a language model know of these items and people? One question each, from a log.

The third step of AutoGraph (arXiv 2412.18241): as many questions as there are nodes, never one
about a pair. Letters: N nodes.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from etalage.data.dataset import Dataset
from etalage.data.formats.catalogue import column_texts, joined
from etalage.language.answers import Answers
from etalage.language.prompts import HISTORY, Template, item_facts, user_facts
from etalage.language.request import Request, Sampling

SAID = ("brand", "category", "description")
"""Columns of an item table that are told beside the title."""


class ItemRequests:
    """A question about every item that has a title, most popular first; can be read again.

    Args:
        data: a log with an item table; only how often an item was taken is read of the log.
        template: how to ask.
        sampling: how to answer.
        as_json: ask for JSON that follows the template's schema.
    """

    def __init__(
        self, data: Dataset, template: Template, sampling: Sampling, as_json: bool = False
    ) -> None:
        self._ask = partial(template.request, sampling=sampling, as_json=as_json)
        self.ids = data.items.ids
        """What the shop calls its items."""
        self.log = data.interactions.hash
        """Which log they are of."""
        self._titles = column_texts(data.item_table, "title", data.n_items)
        table = data.item_table
        self._more = {
            name: joined(table[name], ", ")
            for name in SAID
            if table is not None and name in table.columns
        }
        self._order = _descending(data.interactions.popularity())

    def __len__(self) -> int:
        return len(self._titles)

    def __iter__(self) -> Iterator[Request]:
        return (asked for n in self._order if (asked := self.of(int(n))) is not None)

    def of(self, item: int) -> Request | None:
        """Returns the question about an item; None where there is nothing to ask about."""
        facts = self._facts(item)
        return self._ask(facts) if "title" in facts else None

    def raw(self, item: int) -> str:
        """Returns what the shop itself says of an item, cleaned alike."""
        return ". ".join(self._facts(item).values())

    def _facts(self, item: int) -> dict[str, str]:
        return item_facts(
            self._titles[item], **{name: texts[item] for name, texts in self._more.items()}
        )


class UserRequests:
    """A question about everybody with a history, most active first; can be read again.

    Give the part of a log that models may know: a later choice in a question is a leak.
    """

    def __init__(
        self, data: Dataset, template: Template, sampling: Sampling, as_json: bool = False
    ) -> None:
        self._ask = partial(template.request, sampling=sampling, as_json=as_json)
        self.log = data.interactions.hash
        """Which log is told of."""
        self.ids = data.users.ids
        """What the shop calls its people."""
        self._titles = column_texts(data.item_table, "title", data.n_items)
        self._items, self._offsets = data.interactions.items, data.interactions.offsets
        self._order = _descending(np.diff(self._offsets))

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[Request]:
        return (asked for n in self._order if (asked := self.of(int(n))) is not None)

    def of(self, user: int) -> Request | None:
        """Returns the question about somebody; None where there is nothing to ask about."""
        facts = self._facts(user)
        return self._ask(facts) if facts else None

    def raw(self, user: int) -> str:
        """Returns the titles of a history, cleaned alike."""
        return ". ".join(self._facts(user).get("history", []))

    def _facts(self, user: int) -> dict[str, list[str]]:
        start, end = int(self._offsets[user]), int(self._offsets[user + 1])
        newest = self._items[max(end - HISTORY, start) : end]
        return user_facts([self._titles[item] for item in newest.tolist()])


def texts_of(
    requests: ItemRequests | UserRequests, model: str, answers: Answers
) -> tuple[list[str], NDArray[np.bool_]]:
    """Returns a text for every node, and bool (N,): whether it is the answer of a model.

    Where there is no answer, the text is what is known without one.
    """
    texts, is_answer = [], np.zeros(len(requests), bool)
    for node in range(len(requests)):
        asked = requests.of(node)
        kept = None if asked is None else answers.get(asked.key(model))
        texts.append(requests.raw(node) if kept is None else kept.text)
        is_answer[node] = kept is not None
    return texts, is_answer


def _descending(counts: NDArray[np.integer]) -> NDArray[np.intp]:
    return np.argsort(-counts, kind="stable")
