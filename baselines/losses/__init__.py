"""The report losses of METHOD 2-4 as functions that fit anyone's training loop."""
