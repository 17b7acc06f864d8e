"""What is searched of one user? All of it, exactly: vectors and words of every memory.

BM25 (Robertson and Zaragoza, 2009) with the counts of this user alone, so no score tells or depends
on what others said. Letters: N memories of the user, D width, P pairs of a memory and a word.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from math import log

import numpy as np
from numpy.typing import NDArray

from etalage.language.words import RUN, stem, words_of
from etalage.memory.facts import Fact, outdated

K1, B = 1.2, 0.75
"""BM25's own: how much repeats of a word count, and how much a long text is held against it."""
WORD = np.dtype([("word", "<u4"), ("count", "<u2")])


def hashed_words(words: Sequence[str], salt: bytes) -> NDArray[np.void]:
    """Returns each word once with its count, as WORD (n,), sorted; words are hashed with the salt,
    so that the file holds no list of them."""
    keys = [int.from_bytes(blake2b(w.encode(), digest_size=4, key=salt).digest(), "little")
            for w in words]  # fmt: skip
    found, counts = np.unique(np.array(keys, np.uint32), return_counts=True)
    rows = np.empty(len(found), WORD)
    rows["word"], rows["count"] = found, np.minimum(counts, 2**16 - 1)
    return rows


def searched(text: str, facts: Sequence[Fact] = ()) -> list[str]:
    """Returns the words by which a text is found: its own, and what its facts are called, so that
    "I moved to Nice" answers where somebody lives.

    Of Chinese, Japanese and Korean also single characters: what a question says in two words of a
    character each, an answer says in one of both, and they share no pair.
    """
    words = [stem(word) for word in words_of(text)] + RUN.findall(text)
    named = " ".join(fact.predicate.replace("_", " ") for fact in facts)
    return words + sorted({stem(word) for word in words_of(named)} - set(words))


Row = tuple[int, int, int, int, int, int | None, bytes, bytes, int]
"""number, kind, source, said_at, recorded_at, until, words, vector, encoder."""
NEVER = 2**62
ECHO, LEAST_ECHO = 0.8, 3
"""An assistant's sentence is an echo where one memory has this share of its words, of so many."""


class Index:
    """Everything of a user but the texts themselves."""

    def __init__(self, width: int, encoder: int) -> None:
        self.encoder, self.width = encoder, width
        self.lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Begins again, with nothing."""
        self.version = self.last = 0
        self.facts: list[Fact] = []
        self.columns = np.zeros((6, 0), np.int64)
        self._n = 0
        self._outdated: set[int] | None = None
        self._edge = 0  # the last time at which a fact begins or ends
        self._vectors = np.zeros((0, self.width), np.float32)  # (capacity, D)
        self._words = np.zeros(0, np.uint32)  # (P,) sorted
        self._rows = np.zeros(0, np.int32)  # (P,) memory of each
        self._counts = np.zeros(0, np.float32)  # (P,)
        self._lengths = np.zeros(0, np.float32)  # (N,)

    def __len__(self) -> int:
        return self._n

    @property
    def n_bytes(self) -> int:
        parts = (self._vectors, self._words, self._rows, self._counts, self._lengths, self.columns)
        return sum(part.nbytes for part in parts) + 400 * len(self.facts)

    @property
    def numbers(self) -> NDArray[np.int64]:
        return self.columns[0]

    @property
    def vectors(self) -> NDArray[np.float32]:
        """Unit rows (N, D); zeros where a memory has a vector of another encoder."""
        return self._vectors[: self._n]

    def append(self, rows: Sequence[Row], facts: Iterable[Fact]) -> None:
        """Adds memories, numbers rising."""
        for fact in facts:
            self.facts.append(fact)
            self._edge = max(self._edge, fact.valid_from or 0, fact.valid_to or 0)
            self._outdated = None
        if not rows:
            return
        numbers, kinds, sources, said, recorded, until, words, vectors, encoders = zip(
            *rows, strict=True
        )
        ends = [NEVER if end is None else end for end in until]
        fresh = np.array([numbers, kinds, sources, said, recorded, ends], np.int64)
        self.columns = np.concatenate([self.columns, fresh], 1)
        self._add_vectors(vectors, np.array(encoders) == self.encoder)
        sizes = np.array([len(part) for part in words]) // WORD.itemsize
        found = np.frombuffer(b"".join(words), WORD)
        owners = np.repeat(np.arange(self._n, self._n + len(rows), dtype=np.int32), sizes)
        counts = found["count"].astype(np.float32)
        lengths = np.bincount(owners - self._n, counts, len(rows)).astype(np.float32)
        self._lengths = np.concatenate([self._lengths, lengths])
        self._n += len(rows)
        order = np.argsort(found["word"], kind="stable")
        place = np.searchsorted(self._words, found["word"][order], side="right")
        self._words = np.insert(self._words, place, found["word"][order])
        self._rows = np.insert(self._rows, place, owners[order])
        self._counts = np.insert(self._counts, place, counts[order])

    def _add_vectors(self, parts: Sequence[bytes], is_ours: NDArray[np.bool_]) -> None:
        need = self._n + len(parts)
        if need > len(self._vectors):
            grown = max(need, 2 * len(self._vectors) if self._n else need)
            old = self._vectors
            self._vectors = np.zeros((grown, self.width), np.float32)
            self._vectors[: self._n] = old[: self._n]
        if is_ours.all():
            fresh = np.frombuffer(b"".join(parts), np.float16)
            self._vectors[self._n : need] = fresh.reshape(len(parts), -1)
            return
        for at in np.flatnonzero(is_ours).tolist():
            self._vectors[self._n + at] = np.frombuffer(parts[at], np.float16)

    def outdated(self, at: int) -> set[int]:
        """Memories of which nothing holds any more at a time (ms UTC)."""
        if at < self._edge:
            return outdated(self.facts, at)
        if self._outdated is None:  # after the last change that is known, the answer stays
            self._outdated = outdated(self.facts, at)
        return self._outdated

    def closeness(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """Cosine of every memory to a unit vector: float32 (N,)."""
        # not BLAS: its threads cost more than they save on one user's rows
        return np.einsum("nd,d->n", self.vectors, vector)

    def _spans(self, words: NDArray[np.void]) -> Iterator[tuple[int, int]]:
        """Where each word's memories begin and end."""
        starts = np.searchsorted(self._words, words["word"], side="left")
        stops = np.searchsorted(self._words, words["word"], side="right")
        return zip(starts.tolist(), stops.tolist(), strict=True)

    def echoed(self, words: NDArray[np.void]) -> int:
        """Returns the number of a memory that has nearly all of these words, 0 where none has."""
        if len(words) < LEAST_ECHO:
            return 0
        shared = np.zeros(self._n, np.int64)
        for start, stop in self._spans(words):
            shared[self._rows[start:stop]] += 1
        if not self._n or shared.max() < ECHO * len(words):
            return 0
        return int(self.numbers[shared.argmax()])

    def match(self, words: NDArray[np.void]) -> NDArray[np.float32]:
        """BM25 of every memory: float32 (N,), 0 where none of the words is in it.

        sum over words of idf · f (k1 + 1) / (f + k1 (1 - b + b length / mean length)),
        idf = ln(1 + (N - n + 1/2) / (n + 1/2)), f how often the memory has the word, n memories
        that have it.
        """
        scores = np.zeros(self._n, np.float32)
        if not len(self._words):
            return scores
        mean = float(self._lengths.mean())
        for start, stop in self._spans(words):
            n = stop - start
            if not n:
                continue
            rows, counts = self._rows[start:stop], self._counts[start:stop]
            rarity = log(1 + (self._n - n + 0.5) / (n + 0.5))
            share = counts + K1 * (1 - B + B * self._lengths[rows] / mean)
            scores[rows] += rarity * (K1 + 1) * counts / share
        return scores
