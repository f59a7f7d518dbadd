"""Tests marked ``gpu`` run where there is one, and say so where there is none."""

import pytest
import torch


def pytest_collection_modifyitems(items):
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="no CUDA GPU here; `make gpu-check` runs it on one"))


@pytest.fixture
def cuda():
    return torch.device("cuda")
