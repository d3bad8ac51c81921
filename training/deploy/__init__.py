"""Generators as programs that run without Atelier: export, conversion for a CPU, and a bench."""
