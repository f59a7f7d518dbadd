"""A grid of trainings and what can be read off it: ``rsuper-bench study``."""
