"""Is 0.1 really 10 %? Logits in, probabilities out; numpy only."""
