"""Which one should I pick? Records, the frontier, the HTML report."""
