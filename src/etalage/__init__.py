"""Etalage decides what goes in the shop window: from raw logs to measured recommendations."""

__version__ = "0.1.0"
