"""Evidence: all smallest sets that are enough, as trying every set finds them."""

from itertools import combinations

from etalage.memory.simulate import SimulatorConfig, answer, read, simulate
from etalage.memory.simulate.evidence import evidence_of
from etalage.memory.simulate.programs import Knowledge, value_of
from etalage.memory.simulate.reading import program_of
from etalage.memory.trajectory import Message, Question, Trajectory

FOREVER = 2**62


def by_trying(question: Question, messages: tuple[Message, ...]) -> set[frozenset[str]]:
    """Smallest sufficient sets, among messages that say anything of what is asked about."""
    assert question.program is not None
    said = str(question.program)
    near = [m for m in messages if any(f"'{fact.attribute}'" in said for fact in m.facts)]
    found: set[frozenset[str]] = set()
    for size in range(1, max(map(len, question.evidence)) + 1):
        for chosen in combinations(near, size):
            ids = frozenset(message.id for message in chosen)
            if any(smaller <= ids for smaller in found):
                continue
            if answer(question.program, read(chosen), question.time) == question.answer:
                found.add(ids)
    return found


def is_small(question: Question) -> bool:
    return bool(question.answer and question.evidence and len(question.evidence[0]) <= 3)


def test_trying_every_set_finds_the_same() -> None:
    n = several = 0
    for domain in ("daily", "shopping"):
        for made in simulate(SimulatorConfig(domain=domain, languages=("en",)), n_users=7, seed=8):
            for question in filter(is_small, made.questions):
                assert by_trying(question, made.messages) == set(question.evidence), question
                n += 1
                several += len(question.evidence) > 1
    assert n > 80
    assert several > 8


def evidence(text: str, *said: str) -> list[list[str]] | None:
    """The evidence of a question, from sentences that are messages "0", "1" and so on."""
    messages = [Message(str(n), n, "user", sentence) for n, sentence in enumerate(said)]
    knowledge, program = read(messages), program_of(text)
    assert program is not None
    used: list = []
    assert value_of(program, knowledge, FOREVER, used) is not None
    found = evidence_of(program, knowledge, FOREVER, used)
    return None if found is None else [sorted(one) for one in found]


def test_what_was_said_twice_can_be_had_from_either() -> None:
    said = ("My aunt lives in Greyholm.", "I like musk.", "My aunt has a home in Greyholm.")
    assert evidence("What is my aunt's home town?", *said) == [["0"], ["2"]]


def test_of_a_change_only_the_last_word_counts() -> None:
    said = ("My aunt lives in Greyholm.", "Update: my aunt lives in Redcliff.")
    assert evidence("What is my aunt's home town?", *said) == [["1"]]


def test_a_comparison_needs_both_and_a_count_needs_all() -> None:
    said = ("My aunt is 51 years old.", "My boss is 45 years old.", "My mentor is 44 years old.")
    assert evidence("Which has the higher age: my aunt or my boss?", *said) == [["0", "1"]]
    count = "For how many of my aunt, my boss and my mentor is the age above 45 years?"
    assert evidence(count, *said) == [["0", "1", "2"]]


def test_one_message_can_be_enough_for_two_facts() -> None:
    said = (
        "My aunt is 51 years old. My aunt lives in Greyholm.",
        "My aunt lives in Greyholm.",
    )
    question = "What is the age of the relative or colleague of mine whose home town is Greyholm?"
    assert evidence(question, *said) == [["0"]]


def test_a_change_that_changes_no_answer_is_not_clear() -> None:
    said = (
        "My aunt's phone number is 13100000123.",
        "Update: my aunt's phone number is 13100000321.",
    )
    assert evidence("What do the last 3 digits of my aunt's phone number add up to?", *said) is None


def test_a_part_of_what_is_known_is_what_its_messages_say() -> None:
    made: Trajectory = next(simulate(n_users=1, seed=3))
    whole: Knowledge = read(made.messages)
    half = made.messages[::2]
    ids = {message.id for message in half}
    for cell in whole.said:
        assert whole.of(ids).value(cell, FOREVER) == read(half).value(cell, FOREVER)
        rest = [message for message in made.messages if message.id not in ids]
        assert whole.without(ids).value(cell, FOREVER) == read(rest).value(cell, FOREVER)
