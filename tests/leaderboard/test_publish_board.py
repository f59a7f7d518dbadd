"""The board on a Hub: a static Space, a dataset repository, and figures for the models, over the loopback server."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hubserver import Repo, StoredFile, client_environment, serving
from huggingface_hub import HfApi, parse_eval_result_entries
from synthetic_reports import make_report

from rsuper_bench.benchmark.errors import ConfigError, DataError
from rsuper_bench.leaderboard.add import entry_of, write_entry
from rsuper_bench.leaderboard.build import build_site
from rsuper_bench.leaderboard.publish import plan_publication, send


@pytest.fixture
def site(tmp_path):
    for method, model in (("a", "lab/model-a"), ("b", None)):
        report = make_report(0.7, cases=40, draws=100)
        found = entry_of(report, team="T", method=method, url=None, report_digest="2" * 64, model_repo=model)
        write_entry(found, tmp_path / "entries" / found.path)
    build_site(tmp_path / "entries", tmp_path / "site")
    return tmp_path / "site"


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as running:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", running.url)  # what the library reads once
        yield running


@pytest.fixture
def publish(hub, site):
    def run(*, account="hf_owner", **options):
        plan = plan_publication(site, "org/board", **options)
        return list(send(plan, HfApi(endpoint=hub.url, token=account)))

    return run


def test_on_the_command_line(hub, site, tmp_path):
    environment = client_environment(hub, tmp_path / "home")
    command = [Path(sys.executable).parent / "rsuper-bench", "leaderboard", "publish", site, "--repo", "org/board"]
    arguments = {"env": environment, "capture_output": True, "text": True, "timeout": 120, "check": False}
    dry = subprocess.run([*command, "--dry-run", "--benchmark", "org/benchmark"], **arguments)
    assert dry.returncode == 0
    assert "evaluation results for lab/model-a" in dry.stdout
    assert hub.requests == []
    result = subprocess.run(command, **arguments)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == f"published {hub.url}/spaces/org/board"


def test_a_static_space_holds_the_site_and_nothing_else(hub, site, publish):
    (site / "notes.txt").write_text("not part of the site")
    assert publish() == [f"{hub.url}/spaces/org/board"]
    tree = hub.repos["spaces/org/board"].tree()
    built = {path.relative_to(site).as_posix(): path.read_bytes() for path in site.rglob("*") if path.is_file()}
    del built["notes.txt"]
    assert {name: file.data for name, file in tree.items() if name != "README.md"} == built
    card = next(yaml.safe_load_all(tree["README.md"].data.decode().split("---\n")[1]))
    assert card["sdk"] == "static"
    assert card["app_file"] == "index.html"
    assert hub.count("models") == 0


def test_publishing_again_removes_pages_that_are_gone(hub, site, publish):
    publish()
    before = len(hub.repos["spaces/org/board"].tree())
    next(site.glob("entries/t__b__*.html")).unlink()
    publish()
    assert len(hub.repos["spaces/org/board"].tree()) == before - 1


def test_a_dataset_repository_opens_the_table(hub, publish):
    publish(kind="dataset")
    card = hub.repos["org/board"].tree()["README.md"].data.decode()
    assert yaml.safe_load(card.split("---\n")[1])["configs"] == [{"config_name": "board", "data_files": "board.csv"}]


def test_models_get_their_figures_in_one_pull_request(hub, site, publish):
    hub.repos["models/lab/model-a"] = Repo("lab/model-a")
    assert publish(benchmark="org/benchmark")[1] == f"{hub.url}/lab/model-a/discussions/1"
    model = hub.repos["models/lab/model-a"]
    assert model.tree() == {}  # nothing is written past its owner
    (file,) = model.tree("refs/pr/1").items()
    assert file[0] == ".eval_results/rsuper-bench-demo-phantom-v1.yaml"
    found = parse_eval_result_entries(yaml.safe_load(file[1].data))
    assert [item.task_id for item in found] == [
        "demo-phantom-v1",
        *(f"demo-phantom-v1.{kind}" for kind in ("kidney", "liver", "pancreas")),
    ]
    assert found[0].value == pytest.approx(0.7)
    assert {item.dataset_id for item in found} == {"org/benchmark"}
    assert all("synthetic images, not patients" in item.notes for item in found)
    assert found[0].source_url == "https://huggingface.co/spaces/org/board"
    publish(benchmark="org/benchmark")
    assert len(model.suggestions) == 1


def test_what_the_hub_refuses_is_one_message_without_the_token(hub, publish):
    hub.repos["spaces/org/board"] = Repo("org/board")
    for account in ("hf_reader", "hf_nobody"):
        with pytest.raises(DataError, match=r"^error: --repo org/board: the Hub gave \w+, status 40[13]") as caught:
            publish(account=account)
        assert "hf_reader" not in str(caught.value)


def test_a_repository_of_something_else_is_left_alone(hub, publish):
    other = Repo("org/board")
    other.commit({"app.py": StoredFile(b"", large=False)}, "main")
    hub.repos["spaces/org/board"] = other
    with pytest.raises(ConfigError, match=r"holds 1 files and no board\.json"):
        publish()
    assert list(other.tree()) == ["app.py"]


def test_bad_names_and_folders_are_refused(tmp_path, site):
    with pytest.raises(ConfigError, match=r"(?s)--repo: .*--benchmark: "):
        plan_publication(site, "../x", benchmark="no-slash")
    with pytest.raises(DataError, match=r"index\.html: no such file"):
        plan_publication(tmp_path / "entries", "org/name")
    (site / "board.json").write_text('{"schema_version": 1, "groups": [{"entries": [{"model_repo": "../../etc"}]}]}')
    with pytest.raises(DataError, match=r"groups\.0\.entries\.0\.model_repo"):
        plan_publication(site, "org/name")
    (site / "board.json").write_text("{")
    with pytest.raises(DataError, match="not valid JSON"):
        plan_publication(site, "org/name")
