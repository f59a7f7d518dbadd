"""Publishing: proven with unmodified clients, each a process of its own, against a Hub on the loopback interface."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tiny_sources import LPS, TinySource, WordExtractor

from rsuper_bench.benchmark.nifti import Volume
from rsuper_bench.benchmark.release import Release
from rsuper_bench.benchmark.release_info import ReleaseKind
from rsuper_bench.dataset_builder.build import BuildPlan, build

sys.path.append(str(Path(__file__).parents[1]))
from hubserver import Repo, StoredFile, client_environment, serving

N = 12


def built(out, source=None, **options):
    build(BuildPlan(source or TinySource(n=N), "tiny", {}, WordExtractor(), out, **options))
    return out


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    return built(tmp_path_factory.mktemp("publish") / "release")


@pytest.fixture
def hub():
    with serving() as hub:
        yield hub


def python(hub, home, code, *arguments, account="hf_owner"):
    """Run code in a client process."""
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=client_environment(hub, home, account),
        cwd=home.parent,
        capture_output=True,
        text=True,
        timeout=240,
    )


def bench(hub, home, *arguments, account="hf_owner"):
    code = "import sys; from rsuper_bench.cli import main; sys.argv[0] = 'rsuper-bench'; main()"
    return python(hub, home, code, *arguments, account=account)


def publish(hub, tmp_path, release, *options, account="hf_owner"):
    return bench(hub, tmp_path / "hf", "dataset", "publish", release, "--repo", "org/tiny", *options, account=account)


def put(hub, name, folder, **more):
    """Place a folder on the Hub without a client."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    tree = {name: StoredFile(path.read_bytes(), path.suffix == ".parquet") for name, path in files.items()}
    hub.repos[name] = repo = Repo(name, **more)
    repo.tags["v1.0.0"] = repo.commit(tree, "main")
    return repo


def sent_files(release):
    return {path.relative_to(release).as_posix(): path.read_bytes() for path in release.rglob("*") if path.is_file()}


def test_a_dry_run_says_what_would_leave_and_sends_nothing(hub, tmp_path, release):
    result = publish(hub, tmp_path, release, "--dry-run")
    assert result.returncode == 0, result.stderr
    assert hub.requests == []
    lines = result.stdout.splitlines()
    assert lines[0] == "to org/tiny, tag v1.0.0, gated: no"
    listed = {
        name: int(size.replace(",", ""))
        for size, name in (line.split() for line in lines if line[:1] == " " and "bytes" not in line)
    }
    assert listed == {name: len(data) for name, data in sent_files(release).items()}
    assert [line for line in lines if line.startswith("gate")] == [
        f"gate {name}: passed" for name in ("phi", "licence", "lint", "leakage")
    ]
    assert lines[-1] == "dry run: nothing was sent"


# os._exit: see OPEN in test_release_opens.py.
LOAD = """
import json, os, sys
sys.modules["rsuper_bench"] = None  # any import of it fails
from datasets import load_dataset
found = {}
for config in ("attributes", "tumors", "cases"):
    for streaming in (False, True):
        opened = load_dataset("org/tiny", config, revision="v1.0.0", streaming=streaming)
        found[f"{config} {streaming}"] = {split: [row["case_id"] for row in rows] for split, rows in opened.items()}
row = next(iter(load_dataset("org/tiny", "cases", split="train", revision="v1.0.0", streaming=True)))
ct = row["ct"]
found["ct"] = [list(ct.shape), int(ct.get_fdata().sum()), row["preview"]["bytes"][:4].hex(), row["report"]]
json.dump(found, sys.stdout)
sys.stdout.flush()
os._exit(0)
"""


def test_push_tag_and_load(hub, tmp_path, release):
    result = publish(hub, tmp_path, release)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == f"published {hub.url}/datasets/org/tiny/tree/v1.0.0"
    repo = hub.repos["org/tiny"]
    sent = {name: file.data for name, file in repo.tree("v1.0.0").items()}
    assert sent == sent_files(release)
    assert len(repo.trees) == 2  # the empty repository, and one commit
    first_file = next(index for index, request in enumerate(hub.requests) if "preupload" in request)
    assert any("settings" in request for request in hub.requests[:first_file])

    loaded = python(hub, tmp_path / "reader", LOAD, account=None)
    assert loaded.returncode == 0, loaded.stderr[-2000:]
    found = json.loads(loaded.stdout)
    opened = Release(release)
    splits = {split: [record.case_id for record in opened.records(split)] for split in ("train", "validation", "test")}
    assert (
        found["attributes False"] == found["attributes True"] == found["cases False"] == found["cases True"] == splits
    )
    tumors = {split: [r.case_id for r in opened.records(split) for _ in r.findings] for split in splits}
    assert found["tumors False"] == found["tumors True"] == {split: ids for split, ids in tumors.items() if ids}
    first = opened.volumes(splits["train"][0]).ct
    report = opened.columns(splits["train"][0], ["report"])["report"]
    assert found["ct"] == [list(first.data.shape), int(first.data.sum(dtype=np.int64)), b"\x89PNG".hex(), report]

    again = publish(hub, tmp_path, release)  # nothing to do, and no new commit
    assert again.returncode == 0
    assert len(repo.trees) == 2


ON_DEMAND = """
import pickle
from rsuper_bench.benchmark.release import open_release
release = open_release("org/tiny@v1.0.0")
assert release.has_volumes
records = release.records("test")
print(len(records), (release.folder / "cases").exists(), flush=True)
worker = pickle.loads(pickle.dumps(release))
print(worker.volumes(records[0].case_id).ct.data.shape, (release.folder / "cases").exists())
"""


def test_scans_of_a_hub_release_are_fetched_when_asked_for(hub, tmp_path, release):
    put(hub, "org/tiny", release)
    result = python(hub, tmp_path / "reader", ON_DEMAND, account=None)
    assert result.returncode == 0, result.stderr[-2000:]
    opened = Release(release)
    first = opened.records("test")[0].case_id
    assert result.stdout.splitlines() == [
        f"{len(opened.records('test'))} False", f"{opened.volumes(first).ct.data.shape} True",
    ]  # fmt: skip


NARROW = """
import os
from datasets import load_dataset
columns = ["case_id", "presence_liver"]
rows = list(load_dataset("org/big", "{config}", split="train", revision="v1.0.0", streaming=True, columns=columns))
assert all(list(row) == columns for row in rows)
print(len(rows), flush=True)
os._exit(0)
"""


def test_attributes_cost_one_ranged_request_and_no_image(hub, tmp_path):
    rng = np.random.default_rng(0)
    noise = {
        f"case-{i:03d}": {
            "ct": Volume(rng.integers(-1000, 1000, (128, 128, 128)).astype(np.int16), LPS),
            "organs": None,
            "lesions": None,
            "lesion_types": (),
            "report": "no liver",
        }
        for i in range(9)
    }
    folder = built(
        tmp_path / "release", TinySource(n=9, changes=noise), fractions={"train": 1, "validation": 0, "test": 0}
    )
    put(hub, "org/big", folder)
    result = python(hub, tmp_path / "reader", NARROW.format(config="attributes"), account=None)
    assert (result.returncode, result.stdout) == (0, "9\n"), result.stderr[-2000:]
    ranged = [request for request in hub.requests if request.startswith("GET") and "bytes=" in request]
    assert len(ranged) == 1, ranged
    assert "/attributes/" in ranged[0]

    hub.requests.clear()
    result = python(hub, tmp_path / "reader", NARROW.format(config="cases"), account=None)
    assert result.returncode == 0, result.stderr[-2000:]
    spans = [request.rsplit("bytes=", 1)[1].split("-") for request in hub.requests if "bytes=" in request]
    fetched = sum(int(end) - int(start) + 1 for start, end in spans)
    whole = sum(path.stat().st_size for path in (folder / "cases").iterdir())
    assert fetched < whole / 2  # 5 MB at a time is the least that the client asks for


def test_a_gated_repository_asks_first(hub, tmp_path, release):
    assert publish(hub, tmp_path, release, "--gated", "manual").returncode == 0
    assert hub.repos["org/tiny"].gated == "manual"
    card = hub.repos["org/tiny"].tree()["README.md"].data.decode()
    assert "extra_gated_prompt:" in card
    load = "from datasets import load_dataset; load_dataset('org/tiny', 'attributes', revision='v1.0.0')"
    refused = python(hub, tmp_path / "stranger", load, account="hf_reader")
    assert refused.returncode == 1
    assert "gated dataset" in refused.stderr
    lint = bench(hub, tmp_path / "stranger", "dataset", "lint", "org/tiny@v1.0.0", account="hf_reader")
    assert lint.returncode == 1
    assert "GatedRepoError" in lint.stderr
    assert "Traceback" not in lint.stderr
    assert python(hub, tmp_path / "owner", load).returncode == 0


def test_patients_are_gated_unless_told_otherwise(hub, tmp_path):
    changes = {f"case-{i:03d}": {"synthetic": False} for i in range(N)}
    folder = built(tmp_path / "release", TinySource(n=N, changes=changes))
    assert publish(hub, tmp_path, folder, "--dry-run").stdout.startswith("to org/tiny, tag v1.0.0, gated: manual")


@pytest.mark.slow  # the client tries five times before it gives up
def test_an_interrupted_upload_goes_on(hub, tmp_path, release):
    hub.uploads_left = 3
    stopped = publish(hub, tmp_path, release)
    assert stopped.returncode == 1
    assert "error: --repo org/tiny: the Hub gave" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    repo = hub.repos["org/tiny"]
    assert repo.tags == {}
    assert repo.tree() == {}  # no half of a version is ever to be seen
    assert len(hub.objects) == 3
    hub.uploads_left = None
    hub.requests.clear()
    assert publish(hub, tmp_path, release).returncode == 0
    n_large = sum(name.endswith(".parquet") for name in sent_files(release))
    assert hub.count("^PUT /lfs/") == n_large - 3  # what was there already is not sent again
    assert "v1.0.0" in repo.tags


@pytest.mark.slow
def test_a_killed_upload_goes_on(hub, tmp_path, release):
    hub.uploads_left = 2  # then the client waits and tries again, and is killed meanwhile
    code = "import sys; from rsuper_bench.cli import main; sys.argv[0] = 'rsuper-bench'; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "dataset", "publish", str(release), "--repo", "org/tiny"],
        env=client_environment(hub, tmp_path / "hf", "hf_owner"),
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + 120
    while len(hub.objects) < 2 and process.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    process.kill()
    assert process.wait() == -9
    repo = hub.repos["org/tiny"]
    assert (repo.tags, repo.tree(), len(hub.objects)) == ({}, {}, 2)
    hub.uploads_left = None
    hub.requests.clear()
    assert publish(hub, tmp_path, release).returncode == 0
    n_large = sum(name.endswith(".parquet") for name in sent_files(release))
    assert hub.count("^PUT /lfs/") == n_large - 2
    assert {name: file.data for name, file in repo.tree("v1.0.0").items()} == sent_files(release)


def test_a_new_version_replaces_the_files_and_keeps_the_old_tag(hub, tmp_path, release):
    assert publish(hub, tmp_path, release).returncode == 0
    other = built(tmp_path / "other", TinySource(n=9))
    refused = publish(hub, tmp_path, other)
    assert refused.returncode == 2
    assert "v1.0.0 is there already, with other files" in refused.stderr
    newer = built(tmp_path / "newer", TinySource(n=9), version="1.1.0", kind=ReleaseKind.ATTRIBUTES)
    assert publish(hub, tmp_path, newer).returncode == 0
    repo = hub.repos["org/tiny"]
    assert set(repo.tags) == {"v1.0.0", "v1.1.0"}
    assert set(repo.tree("v1.1.0")) == set(sent_files(newer))  # no old shard is left
    assert "cases/train-00000-of-00001.parquet" in repo.tree("v1.0.0")


def test_a_repository_of_something_else_is_left_alone(hub, tmp_path, release):
    hub.repos["org/tiny"] = repo = Repo("org/tiny")
    repo.commit({"thesis.parquet": StoredFile(b"mine", large=True)}, "main")
    result = publish(hub, tmp_path, release)
    assert result.returncode == 2
    assert "no release.json" in result.stderr
    assert list(repo.tree()) == ["thesis.parquet"]
    assert repo.gated is False


@pytest.mark.parametrize("account", ["hf_reader", "hf_wrong_and_secret", None])
def test_a_token_is_never_shown(hub, tmp_path, release, account):
    result = publish(hub, tmp_path, release, account=account)
    assert result.returncode == 1
    assert "error: --repo org/tiny: the Hub gave" in result.stderr
    assert "Traceback" not in result.stderr
    assert account is None or account not in result.stdout + result.stderr
    assert not hub.objects


def test_a_failed_gate_stops_before_the_first_request(hub, tmp_path):
    changes = {
        "case-001": {"report": "no liver. Discussed with Dr. Quillfeather on 3/14/2019, MRN 1234567."},
        "case-002": {"redistributable": False, "licence": "Merlin DUA"},
        "case-003": {"report": "There is a liver 60 mm mass"},
    }
    folder = built(tmp_path / "release", TinySource(n=N, changes=changes))
    result = publish(hub, tmp_path, folder, "--findings", tmp_path / "findings.csv")
    assert result.returncode == 1
    assert hub.requests == []
    for line in (
        "phi_physician: case case-001: cases/train-00000-of-00001.parquet: report, characters",
        "phi_medical_record_number: case case-001",
        "licence_forbids: case case-002: ct, organs, lesions, report, preview may not be passed on",
        "size_against_mask: case case-003",
        "gate leakage: passed",
    ):
        assert line in result.stdout, line
    assert "error: not published: a gate failed; nothing was sent" in result.stderr
    everything = result.stdout + result.stderr + (tmp_path / "findings.csv").read_text()
    assert "Quillfeather" not in everything
    assert "1234567" not in everything


def test_a_release_and_a_submission_open_from_the_hub(hub, tmp_path, release):
    put(hub, "org/tiny", release)
    submission = tmp_path / "submission"
    submission.mkdir()
    (submission / "submission.yaml").write_text("team: t\nmethod: m\n")
    records = Release(release).records("test")
    rows = [f"{record.case_id},{kind},0.5" for record in records for kind in ("liver", "spleen")]
    (submission / "predictions.csv").write_text("case_id,tumor_type,score\n" + "\n".join(rows) + "\n")
    put(hub, "org/sub", submission)
    home = tmp_path / "hf"
    lint = bench(hub, home, "dataset", "lint", "org/tiny@v1.0.0", account=None)
    assert (lint.returncode, lint.stdout) == (0, "org/tiny@v1.0.0: nothing found\n"), lint.stderr
    checked = bench(
        hub, home, "validate", "org/sub@v1.0.0", "--data", "org/tiny@v1.0.0", "--split", "test", account=None
    )
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout == "org/sub@v1.0.0: valid for release-types-v1, test: 3 cases, no problems\n"
    for submission, data in (("org/none", "org/tiny"), ("org/sub", "org/tiny@v9")):
        missing = bench(hub, home, "validate", submission, "--data", data, "--split", "test", account=None)
        assert missing.returncode == 1
        assert "the Hub gave" in missing.stderr
        assert "Traceback" not in missing.stderr


def test_the_published_croissant_is_valid(hub, tmp_path, release):
    mlcroissant = pytest.importorskip("mlcroissant")
    for kind in ReleaseKind:
        folder = built(tmp_path / kind, kind=kind)
        dataset = mlcroissant.Dataset(jsonld=folder / "croissant.json")
        assert not dataset.metadata.ctx.issues.errors
        named = {record.id for record in dataset.metadata.record_sets}
        assert named == {"attributes", "tumors"} | ({"cases"} if kind is not ReleaseKind.ATTRIBUTES else set())
        patterns = {item.id: item.includes[0] for item in dataset.metadata.file_sets}
        for pattern in patterns.values():
            assert list(folder.glob(pattern)), pattern


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--repo", "no-slash"], "expected org/name"),
        (["--repo", "org/a b"], "expected org/name"),
        (["--repo", "org/name", "--gated", "yes"], "expected no, auto or manual"),
        (["--repo", "org/name", "--known-words", "nowhere.txt"], "no such file"),
    ],
)
def test_wrong_calls(release, monkeypatch, capsys, options, message):
    from rsuper_bench.cli import main

    monkeypatch.setattr(sys, "argv", ["rsuper-bench", "dataset", "publish", str(release), *options])
    with pytest.raises(SystemExit) as caught:
        main()
    captured = capsys.readouterr()
    assert caught.value.code == 2
    assert message in captured.err
    assert captured.out == ""
