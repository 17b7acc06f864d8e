"""Choosing a creative: limits, propensities, late clicks, cold starts, and a life on disk."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etalage.creative.beliefs import Belief, BetaThompson, one_hot
from etalage.creative.chances import best_chances
from etalage.creative.clicks import Greedy
from etalage.creative.linear import LinearThompson, LinUCB
from etalage.creative.select import Choice, CreativeSelector, limited
from etalage.creative.selector_folder import load, save
from etalage.errors import BundleError, DataError
from etalage.seeds import generator

BELIEFS = [BetaThompson, LinearThompson, LinUCB]


def selector_of(kind: type[Belief], **limits: float) -> CreativeSelector:
    """Three creatives; the linear ones have two attributes and see one number of context."""
    is_linear = kind is not BetaThompson
    belief = kind(2, 1) if is_linear else kind()  # type: ignore[call-arg, arg-type]
    selector = CreativeSelector(belief, **limits)
    for name, p, own in [("a", 0.1, [1, 0]), ("b", 0.2, [0, 1]), ("c", 0.15, [1, 1])]:
        selector.add(name, p, own if is_linear else ())
    return selector


def context_of(kind: type[Belief], t: int) -> list[float] | None:
    return None if kind is BetaThompson else [float(t % 2)]


def live(selector: CreativeSelector, kind: type[Belief], start: int, n: int) -> list[Choice]:
    """Views one a second, of which every third is clicked two seconds later."""
    rng, choices = generator(7, "live", start), []
    for t in range(start, start + n):
        choices.append(selector.choose(rng, t, context_of(kind, t)))
        if t % 3 == 0:
            selector.clicked(choices[-1].view, t + 2)
        if t % 5 == 0:
            selector.settle(t)
    return choices


@settings(deadline=None)
@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=12).filter(lambda c: sum(c) > 0),
    st.floats(0.05, 1),
    st.floats(0.001, 1),
    st.data(),
)
def test_limits_hold_and_keep_the_order(
    given_: list[float], cap: float, share: float, data: st.DataObject
) -> None:
    k = len(given_)
    floor = share * min(cap / max(k - 1, 1), 1 / k) * 0.999
    best = data.draw(st.integers(0, k - 1))
    chances = np.array(given_) / sum(given_)
    found = limited(chances, best, cap, floor)
    assert found.sum() == pytest.approx(1)
    assert found.min() >= floor * (1 - 1e-9)
    others = np.delete(found, best)
    assert others.sum() <= cap
    order = np.argsort(np.delete(chances, best), kind="stable")
    assert (np.diff(others[order]) >= -1e-12).all()


def test_limits_that_bind_nothing_change_nothing_but_floors() -> None:
    assert limited([0.9, 0.07, 0.03], 0, 0.2, 0.01) == pytest.approx([0.9, 0.07, 0.03])
    assert limited([1.0, 0, 0], 0, 0.2, 0.01) == pytest.approx([0.98, 0.01, 0.01])
    assert limited([0, 1.0, 0], 0, 0.2, 0.01) == pytest.approx([0.8, 0.19, 0.01])


def test_thompson_without_limits_shows_with_the_chance_to_be_best() -> None:
    selector = CreativeSelector(BetaThompson(10), cap=1, floor=1e-9)
    selector.add("a", 0.1)
    selector.add("b", 0.3)
    choice = selector.choose(generator(1, "x"), 0)
    expected = best_chances([1, 3], [9, 7])
    assert list(choice.probabilities.values()) == pytest.approx(expected, abs=1e-7)
    assert choice.best == "b"
    assert choice.propensity == choice.probabilities[choice.creative]


@pytest.mark.parametrize("kind", BELIEFS)
def test_shown_shares_are_the_propensities(kind: type[Belief]) -> None:
    """Shares lie within five standard errors of the mean propensity."""
    selector, rng, n = selector_of(kind), generator(3, kind.kind), 3000
    choices = [selector.choose(rng, 0, context_of(kind, 0)) for _ in range(n)]
    for name in "abc":
        told = np.array([c.probabilities[name] for c in choices])
        shown = np.array([c.creative == name for c in choices])
        spread = np.sqrt((told * (1 - told)).sum())
        assert abs(shown.sum() - told.sum()) <= 5 * spread
        assert told.min() >= selector.floor


@pytest.mark.parametrize("kind", BELIEFS)
def test_the_cap_is_kept_at_every_view(kind: type[Belief]) -> None:
    for choice in live(selector_of(kind, cap=0.05, floor=0.01, window_s=3), kind, 0, 100):
        others = [p for name, p in choice.probabilities.items() if name != choice.best]
        assert sum(others) <= 0.05
        assert min(others) >= 0.01 * (1 - 1e-9)


def test_a_view_counts_when_its_window_is_over() -> None:
    selector = CreativeSelector(BetaThompson(10), window_s=60)
    selector.add("a", 0.5)
    rng, belief = generator(1, "x"), selector.belief
    early, late, none = (selector.choose(rng, t).view for t in (0, 1, 30))
    assert selector.clicked(early, 60)  # on the window's end
    assert not selector.clicked(early, 60)  # twice
    assert not selector.clicked(late, 61.5)  # after it
    assert selector.settle(59.9) == 0
    assert belief.means(np.zeros((1, 0))) == pytest.approx([0.5])  # the click waits
    assert selector.settle(61) == 2
    assert belief.means(np.zeros((1, 0))) == pytest.approx([6 / 12])
    assert selector.settle(1000) == 1
    assert belief.means(np.zeros((1, 0))) == pytest.approx([6 / 13])
    assert not selector.clicked(none, 31)  # settled already


def test_a_prior_is_worth_its_pseudo_views() -> None:
    belief = BetaThompson(40)
    belief.add("a", 0.1, ())
    for clicked in [True] * 6 + [False] * 4:
        belief.learn("a", np.zeros(0), clicked)
    assert belief.means(belief.rows(None)) == pytest.approx([(4 + 6) / 50])


def test_a_new_creative_starts_as_what_is_usual_or_what_its_attributes_showed() -> None:
    beta = BetaThompson(20)
    beta.add("a", 0.1, ())
    for _ in range(20):
        beta.learn("a", np.zeros(0), True)
    beta.add("new", None, ())
    assert beta.priors["new"] == pytest.approx(22 / 40)

    linear = LinearThompson(2, pseudo_views=5)
    linear.add("warm", 0.1, [1, 0])
    linear.add("cold", 0.1, [0, 1])
    for _ in range(15):
        linear.learn("warm", np.array([1.0, 0]), True)
    linear.add("warm too", None, [1, 0])
    learnt = 15 * 0.9 / (15 + 5)  # ridge: the sum of surprises over views and pseudo-views
    assert linear.means(linear.rows(None)) == pytest.approx([0.1 + learnt, 0.1, 0.1 + learnt])


def test_upper_bounds_of_one_attribute_each() -> None:
    """A = diag(5 + 4, 5): bounds are mean + width · noise / √A."""
    belief = LinUCB(2, pseudo_views=5, width=2)
    belief.add("a", 0.2, [1, 0])
    belief.add("b", 0.2, [0, 1])
    for _ in range(4):
        belief.learn("a", np.array([1.0, 0]), False)
    mean = np.array([0.2 - 0.8 / 9, 0.2])
    expected = mean + 2 * 0.4 / np.sqrt([9, 5])
    assert belief.bounds(belief.rows(None)) == pytest.approx(expected)
    assert belief.chances(belief.rows(None), generator(1, "x")).tolist() == [0, 1]


def test_linear_draws_agree_with_the_normal_chance() -> None:
    """Two independent normals: P(a best) = Φ(gap / spread); shares lie within five errors."""
    from math import erf, sqrt

    belief = LinearThompson(2, pseudo_views=50, n_draws=20_000)
    belief.add("a", 0.22, [1, 0])
    belief.add("b", 0.18, [0, 1])
    spread = belief.noise() * sqrt(2 / 50)
    expected = (1 + erf(0.04 / spread / sqrt(2))) / 2
    found = belief.chances(belief.rows(None), generator(1, "x"))[0]
    assert abs(found - expected) <= 5 * belief.draws_error


def test_context_changes_what_is_best() -> None:
    belief = LinUCB(1, 1, pseudo_views=1)
    belief.add("plain", 0.5, [0])
    belief.add("night", 0.5, [1])
    for seen, clicked in [([1.0], True), ([-1.0], False)] * 20:
        belief.learn("night", belief.rows(seen)[1], clicked)
    by_night, by_day = belief.means(belief.rows([1.0])), belief.means(belief.rows([-1.0]))
    assert by_night[1] > by_night[0] == 0.5 > by_day[1]


@pytest.mark.parametrize("kind", BELIEFS)
def test_loaded_goes_on_as_saved(kind: type[Belief], tmp_path: Path) -> None:
    selector = selector_of(kind, window_s=4)
    live(selector, kind, 0, 60)
    selector.remove("a")
    save(selector, tmp_path / "kept")
    other = load(tmp_path / "kept")
    assert other.open_views.keys() == selector.open_views.keys() != set()
    assert live(other, kind, 60, 60) == live(selector, kind, 60, 60)


@pytest.mark.parametrize("kind", BELIEFS)
def test_an_empty_selector_is_kept_too(kind: type[Belief], tmp_path: Path) -> None:
    selector = selector_of(kind)
    for name in "abc":
        selector.remove(name)
    save(selector, tmp_path / "kept")
    assert load(tmp_path / "kept").creatives == []


def test_the_same_generator_chooses_the_same() -> None:
    one, two = (live(selector_of(LinearThompson), LinearThompson, 0, 40) for _ in range(2))
    assert one == two


def test_a_removed_creative_is_never_shown_and_its_views_count_for_nothing() -> None:
    selector = selector_of(BetaThompson, cap=1, window_s=10)
    rng = generator(2, "x")
    choices = [selector.choose(rng, 0) for _ in range(50)]
    on_b = next(c.view for c in choices if c.creative == "b")
    selector.remove("b")
    assert not selector.clicked(on_b, 1)
    assert selector.settle(10) == sum(c.creative != "b" for c in choices)
    selector.add("b", 0.2)
    assert selector.belief.means(np.zeros((3, 0)))[-1] == pytest.approx(0.2)
    selector.remove("b")
    assert {selector.choose(rng, 20).creative for _ in range(50)} == {"a", "c"}


def test_broken_folders_are_told(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no creative selector"):
        load(tmp_path)
    kept = tmp_path / "kept"
    save(selector_of(LinUCB), kept)
    marker = json.loads((kept / "selector.json").read_text())
    np.save(kept / "gram.npy", np.eye(4))
    with pytest.raises(BundleError, match=r"gram\.npy has changed"):
        load(kept)
    (kept / "gram.npy").unlink()
    with pytest.raises(BundleError, match="not as it was written"):
        load(kept)
    (kept / "selector.json").write_text(json.dumps(marker | {"creative_selector": 99}))
    with pytest.raises(BundleError, match="version 99"):
        load(kept)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="no creative selector"):
        save(selector_of(LinUCB), tmp_path / "other")
    with pytest.raises(DataError, match="could not be loaded"):
        save(CreativeSelector(Greedy()), tmp_path / "greedy")


@pytest.mark.parametrize(
    "limits",
    [{"cap": 0}, {"cap": 1.1}, {"floor": 0}, {"floor": 1}, {"window_s": -1}, {"cap": float("nan")}],
)
def test_bad_limits(limits: dict[str, float]) -> None:
    with pytest.raises(DataError, match=r"cap is|window_s is"):
        CreativeSelector(BetaThompson(), **limits)


def test_floors_that_pass_the_cap_are_refused_before_anything_changes() -> None:
    selector = CreativeSelector(BetaThompson(), cap=0.2, floor=0.1)
    for name in "abc":  # two beside the best are just what there is room for
        selector.add(name, 0.1)
    shares = sorted(selector.choose(generator(1, "x"), 0).probabilities.values())
    assert shares == pytest.approx([0.1, 0.1, 0.8])
    with pytest.raises(DataError, match="4 creatives with a floor"):
        selector.add("d", 0.1)
    assert selector.creatives == ["a", "b", "c"]


@pytest.mark.parametrize("p", [0, 1, -0.1, float("nan"), 1e-6])
def test_bad_click_probabilities(p: float) -> None:
    with pytest.raises(DataError, match="click"):
        CreativeSelector(BetaThompson()).add("a", p)


@pytest.mark.parametrize("own", [(), [1.0], [1, np.inf], [[1, 2]], ["x", "y"]])
def test_bad_attributes_leave_nothing_behind(own: list[float]) -> None:
    selector = CreativeSelector(LinUCB(2))
    with pytest.raises(DataError, match="attributes"):
        selector.add("a", 0.1, own)
    assert selector.creatives == []


def test_other_bad_input() -> None:
    selector, rng = CreativeSelector(BetaThompson()), generator(1, "x")
    with pytest.raises(DataError, match="no creative to choose"):
        selector.choose(rng, 0)
    with pytest.raises(DataError, match="first creative"):
        selector.add("beach")
    selector.add("beach", 0.1)
    with pytest.raises(DataError, match="there already"):
        selector.add("beach", 0.1)
    with pytest.raises(DataError, match="did you mean 'beach'"):
        selector.remove("beech")
    with pytest.raises(DataError, match="knows no contexts"):
        selector.choose(rng, 0, [1.0])
    with pytest.raises(DataError, match="a time is nan"):
        selector.choose(rng, float("nan"))
    with pytest.raises(DataError, match="no view 0"):
        selector.clicked(0, 1)
    view = selector.choose(rng, 5).view
    with pytest.raises(DataError, match="after its click"):
        selector.clicked(view, 4)
    with pytest.raises(DataError, match="makes no use"):
        selector.add("forest", 0.1, [1.0])
    with pytest.raises(DataError, match="context has shape"):
        selector_of(LinUCB).choose(rng, 0)
    for make in (lambda: BetaThompson(0), lambda: LinUCB(0), lambda: LinUCB(1, width=-1)):
        with pytest.raises(DataError):
            make()
    with pytest.raises(DataError, match="n_draws"):
        LinearThompson(1, n_draws=0)
    with pytest.raises(DataError, match="none of"):
        one_hot(["hot"], [["cold", "warm"]])
    with pytest.raises(DataError, match="one each"):
        one_hot([], [["cold", "warm"]])
