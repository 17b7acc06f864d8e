"""A vector a user, a vector an item: matrix factorisation.

Trained with the softmax of cosines it is on a par with graph networks trained with BPR, which is
worth knowing before one pays for a graph (Wu et al., 2022, arXiv 2201.02327).
"""

from __future__ import annotations

from typing import Literal

from etalage.models.graph.pairwise import PairwiseConfig, PairwiseRecommender


class MFConfig(PairwiseConfig):
    """Settings of matrix factorisation."""

    kind: Literal["mf"] = "mf"


class MF(PairwiseRecommender):
    """score(i) = e_u · e_i, or the cosine of the two."""

    config_type = MFConfig
    config: MFConfig
