"""What did somebody do in the shop? Events of a log as memories, with what they say of taste.

A rating is a statement, a purchase is one, a click is hardly any: how sure each is of a taste is
written beside it. Of statements and acts about one thing the newest decides.
"""

from __future__ import annotations

from collections.abc import Iterator

from etalage.data.dataset import Dataset
from etalage.data.formats.catalogue import column_texts
from etalage.memory.facts import Fact
from etalage.memory.statement import Statement

STRENGTHS = {"bought": 0.6, "rated": 0.8, "clicked": 0.1, "viewed": 0.05, "returned": 0.7}
"""How sure an event is of a taste for the item."""
LIKED = 4.0
"""Ratings from here on say that the item is liked, lower ones that it is not, of five."""


def observed(
    act: str, title: str, said_at: int, *, item: str = "", rating: float | None = None
) -> Statement:
    """Returns what to remember of an event.

    >>> statement = observed("bought", "Red mug", 1_700_000_000_000, item="m1")
    >>> statement.text, statement.facts[0].predicate, statement.facts[0].strength
    ('bought Red mug', 'bought', 1.0)

    Args:
        act: bought, rated, clicked, viewed or returned; another verb says nothing of taste.
        title: of the item, as a person would call it.
        said_at: milliseconds UTC.
        item: its id, which goes into the notes.
        rating: of five, where the act is a rating.
    """
    facts = [Fact(act, title, valid_from=said_at)]
    if act in STRENGTHS:
        dislikes = act == "returned" or (rating is not None and rating < LIKED)
        facts.append(Fact("likes", title, polarity=-1 if dislikes else 1, strength=STRENGTHS[act]))
    grade = "" if rating is None else f" {rating:g} of 5"
    meta = {"item": item} | ({} if rating is None else {"rating": rating})
    return Statement(
        f"{act} {title}{grade}",
        kind="event",
        source="shop",
        said_at=said_at,
        facts=tuple(facts),
        meta=meta,
        key=f"{act} {item or title} {said_at}",
    )


def of_log(data: Dataset, act: str = "bought") -> Iterator[tuple[str, Statement]]:
    """Yields user and statement of every event of a log, in the order of the log.

    What is written twice is kept once, so a log can be written again when it has grown.

    Args:
        data: events; where they have values, these are ratings of five. Items are called by their
            titles, or by their ids where they have none.
        act: what people did.
    """
    log = data.interactions
    items = data.items.externals(range(data.n_items))
    users = data.users.externals(range(data.n_users))
    titles = column_texts(data.item_table, "title", data.n_items)
    values = [None] * len(log) if log.values is None else log.values.tolist()
    rows = zip(log.users.tolist(), log.items.tolist(), log.times.tolist(), values, strict=True)
    for user, item, time, rating in rows:
        name, verb = str(items[item]), act if rating is None else "rated"
        title = titles[item] or name
        yield str(users[user]), observed(verb, title, time, item=name, rating=rating)
