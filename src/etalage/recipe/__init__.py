"""What is a run? Typed settings, overrides, and a snapshot beside every artefact."""
