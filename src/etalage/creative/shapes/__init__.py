"""Can a claim about pictures be tested without asking anybody? On shapes, which are measured.

Pictures are drawn by rule, so what belongs together in them is known, and a judge that never sees
a model reads it off the pixels. A small transformer that learns them stands in for the large ones.
"""
