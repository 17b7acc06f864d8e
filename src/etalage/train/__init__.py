"""How does it learn? The one loop, objectives, checkpoints, torchrun."""
