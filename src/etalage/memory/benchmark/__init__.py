"""How well does a memory remember? Published conversations, baselines, measures and one run."""
