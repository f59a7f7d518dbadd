"""Evaluation reports -> a board people look at."""
