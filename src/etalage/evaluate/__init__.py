"""How good, how sure, how fast? Metrics, protocol, significance, latency."""
