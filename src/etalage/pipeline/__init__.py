"""How does the whole job run? Stages from raw logs to a shop window."""
