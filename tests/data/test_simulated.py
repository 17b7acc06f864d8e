import numpy as np

from etalage.data.simulated import SimulatedConfig, simulate
from etalage.data.split import global_time

SMALL = SimulatedConfig(users=300, items=120)


def test_the_same_seed_gives_the_same_bytes() -> None:
    one, two, other = simulate(SMALL)[0], simulate(SMALL)[0], simulate(SMALL, seed=1)[0]
    assert one.impressions is not None
    assert one.impressions.equals(two.impressions)
    assert not one.impressions.equals(other.impressions)


def test_clicks_follow_the_known_probabilities() -> None:
    shown = simulate(SMALL)[0].impressions
    assert shown is not None
    clicked, true = shown["clicked"].to_numpy(), shown["true_probability"].to_numpy()
    for part in np.array_split(np.argsort(true), 5):
        spread = np.sqrt((true[part] * (1 - true[part])).sum()) / len(part)
        assert abs(clicked[part].mean() - true[part].mean()) < 4 * spread


def test_nobody_is_shown_an_item_twice_in_a_visit_or_after_a_click() -> None:
    dataset, _ = simulate(SMALL)
    shown = dataset.impressions
    assert shown is not None
    assert shown.select("user", "time", "item").is_unique().all()
    assert dataset.interactions.frame.select("user", "item").is_unique().all()


def test_who_has_clicked_everything_is_shown_nothing_more() -> None:
    shop = SimulatedConfig(users=20, items=12, visits=40, base=5)
    dataset, _ = simulate(shop)
    assert dataset.impressions is not None
    assert dataset.impressions["true_probability"].is_finite().all()
    assert dataset.interactions.frame.select("user", "item").is_unique().all()
    assert int(np.diff(dataset.interactions.offsets).max()) == shop.items


def test_expected_clicks_add_up_to_the_clicks_that_happened() -> None:
    dataset, truth = simulate(SimulatedConfig(users=2000, items=120))
    test = global_time(dataset.interactions, test=0.4).test
    expected = truth.expected_clicks(test)
    assert expected.shape == (len(test), 120)
    seen = test.seen()
    assert (expected[seen.row_of_entry, seen.items] == 0).all()
    # targets are what was clicked: the truth must put far more than 1/N of its mass on them
    targets = test.targets()
    share = expected / expected.sum(1, keepdims=True)
    assert share[targets.row_of_entry, targets.items].mean() > 3 / 120
