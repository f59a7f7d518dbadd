"""The verbs of the command line, one file a group. Heavy imports stay inside the verbs."""
