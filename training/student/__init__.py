"""Distillation: a small generator that learns to draw what a large one draws, and from photos."""
