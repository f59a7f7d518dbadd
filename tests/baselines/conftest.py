"""Fixtures of the toy world."""

import pytest
from toy_world import recipe_of, toy_release

from rsuper_bench.baselines.prepare import prepare
from rsuper_bench.baselines.store import Store


@pytest.fixture(scope="session")
def toy_store(tmp_path_factory) -> Store:
    return prepare(toy_release(), recipe_of(), tmp_path_factory.mktemp("store"))
