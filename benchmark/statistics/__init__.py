"""Intervals and tests. Every function is pure; randomness is an argument."""
