"""The four parts know each other only through files: wrong arrows between them fail here."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PARTS = ("benchmark", "baselines", "leaderboard", "dataset_builder")
TORCH_FREE = ("benchmark", "leaderboard", "dataset_builder")


def imported(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def files_of(part: str) -> list[Path]:
    found = sorted((ROOT / part).rglob("*.py"))
    assert found, f"{part} holds no Python"
    return found


@pytest.mark.parametrize("part", PARTS)
def test_parts_import_only_the_vocabulary(part):
    others = {f"rsuper_bench.{other}" for other in PARTS if other not in (part, "benchmark")}
    for path in files_of(part):
        for name in imported(path):
            wrong = [other for other in others if name == other or name.startswith(f"{other}.")]
            assert not wrong, f"{path} imports {name}"
            assert not name.startswith("rsuper_bench.commands"), f"{path} imports the command line"
            assert name.split(".")[0] not in PARTS, f"{path} imports {name} without rsuper_bench"


@pytest.mark.parametrize("part", TORCH_FREE)
def test_only_the_baselines_need_torch(part):
    for path in files_of(part):
        assert not {name.split(".")[0] for name in imported(path)} & {"torch", "monai"}, path


def test_evaluator_and_board_run_without_torch():
    code = (
        "import sys; sys.modules['torch'] = None; sys.modules['monai'] = None\n"
        "import pkgutil, importlib, rsuper_bench.benchmark as b, rsuper_bench.leaderboard as l\n"
        "for package in (b, l):\n"
        "    for module in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "        importlib.import_module(module.name)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
