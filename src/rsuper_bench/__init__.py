"""rsuper-bench: find tumors on CT by learning from radiology reports."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("rsuper-bench")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"
