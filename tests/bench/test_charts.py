"""Pictures: what is drawn lies within them."""

import re

import pytest

from etalage.bench.charts import against
from etalage.bench.record import Measure


@pytest.mark.parametrize("name", ["LR", "6 × QNN-alpha with DCN-V2, decay 0.2"])
def test_names_and_values_lie_within_the_picture(name: str) -> None:
    rows = [(name, Measure(value=v, low=v - 0.01, high=v + 0.01), 0.9, "model") for v in (0.8, 0.9)]
    svg = against(rows, "AUC")
    width = int(re.search(r'viewBox="0 0 (\d+) ', svg)[1])
    ends = [float(x) for x in re.findall(r'<text x="([\d.]+)" y="\d+" class="label end"', svg)]
    assert len(ends) == 2
    assert all(end - 7 * len(name) >= 0 for end in ends)
    assert all(0 <= float(x) <= width for x in re.findall(r'\b(?:c?x[12]?)="([\d.]+)"', svg))
