import pickle
import struct
from pathlib import Path

import pytest
import torch

from rsuper_bench.baselines.checkpoint import (
    load_into,
    load_optimizer,
    optimizer_tensors,
    read_checkpoint,
    read_state,
    write_checkpoint,
    write_state,
)
from rsuper_bench.benchmark.errors import DataError


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was executed",))


def test_round_trip_keeps_tensors_and_text(tmp_path):
    tensors = {"a": torch.randn(3, 4), "b": torch.tensor(7)}
    write_checkpoint(tmp_path / "x.safetensors", tensors, {"step": "3"})
    saved = read_checkpoint(tmp_path / "x.safetensors")
    assert saved.metadata == {"step": "3"}
    assert all(torch.equal(saved.tensors[name], tensor) for name, tensor in tensors.items())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00" * 4,
        pickle.dumps(Bomb()),
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 9 * 10**7) + b"{}",
        struct.pack("<Q", 80) + b'{"__metadata__":{"rsuper_bench":"[[["}}'.ljust(80),
        struct.pack("<Q", 80) + b'{"__metadata__":{"rsuper_bench":"[1]"}}'.ljust(80),
        struct.pack("<Q", 2) + b"{]",
        struct.pack("<Q", 60) + b'{"a":{"dtype":"F32","shape":[999999],"data_offsets":[0,4]}}'.ljust(60) + b"1234",
    ],
)
def test_a_damaged_or_hostile_file_is_refused(tmp_path, content):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"x\.safetensors: not readable"):
        read_checkpoint(path)


def test_a_huge_file_is_not_read_into_memory(tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", 60) + b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'.ljust(60))
    with path.open("rb+") as file:
        file.truncate(2**40)  # sparse
    with pytest.raises(DataError, match="not readable"):
        read_checkpoint(path)


def test_a_torch_pickle_is_refused(tmp_path):
    torch.save({"a": torch.ones(1)}, tmp_path / "x.safetensors")
    with pytest.raises(DataError, match="not readable"):
        read_checkpoint(tmp_path / "x.safetensors")


def test_the_state_before_the_last_one_is_kept_and_used(tmp_path):
    assert read_state(tmp_path) == (None, None)
    for step in ("1", "2"):
        write_state(tmp_path, {"a": torch.ones(2)}, {"step": step})
    saved, warning = read_state(tmp_path)
    assert (saved.metadata["step"], warning) == ("2", None)
    newest = tmp_path / "state.safetensors"
    newest.write_bytes(newest.read_bytes()[:-1])
    saved, warning = read_state(tmp_path)
    assert saved.metadata["step"] == "1"
    assert warning.startswith(f"{newest}: not readable")
    assert warning.endswith("Going on from state.previous.safetensors.")
    (tmp_path / "state.previous.safetensors").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        read_state(tmp_path)
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize("renames", [0, 1])
def test_a_kill_between_the_renames_loses_no_state(tmp_path, monkeypatch, renames):
    for step in ("1", "2"):
        write_state(tmp_path, {"a": torch.ones(2)}, {"step": step})

    class Killed(BaseException):
        pass

    done = []

    def rename(path, target, whole=Path.replace):
        if path.suffix == ".safetensors":  # not the temporary file of an atomic write
            if len(done) == renames:
                raise Killed
            done.append(path)
        return whole(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", rename)
        with pytest.raises(Killed):
            write_state(tmp_path, {"a": torch.ones(2)}, {"step": "3"})
    assert read_state(tmp_path)[0].metadata["step"] == "3"
    write_state(tmp_path, {"a": torch.ones(2)}, {"step": "4"})
    assert read_state(tmp_path)[0].metadata["step"] == "4"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["state.previous.safetensors", "state.safetensors"]


def test_a_full_disk_leaves_both_states(tmp_path, monkeypatch):
    for step in ("1", "2"):
        write_state(tmp_path, {"a": torch.ones(2)}, {"step": step})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(
        DataError, match=r"(?s)state\.safetensors: cannot be written \(No space left.*go on with --resume"
    ):
        write_state(tmp_path, {"a": torch.ones(2)}, {"step": "3"})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "x.safetensors"
    write_checkpoint(path, {"a": torch.ones(2)}, {})
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_checkpoint(path, {"a": torch.zeros(2)}, {})
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["x.safetensors"]


def test_weights_of_another_network_are_refused_name_by_name():
    layer = torch.nn.Linear(2, 3)
    with pytest.raises(DataError) as caught:
        load_into(layer, {"weight": torch.ones(3, 9), "other": torch.ones(1)}, "x")
    found = "\n".join(str(problem) for problem in caught.value.problems)
    assert "x: bias: missing" in found
    assert "x: other: unknown tensor" in found
    assert "x: weight: shape (3, 9); expected shape (3, 2)" in found


def test_an_optimiser_goes_on_where_it_was():
    def trained(steps, layer, optimizer):
        for step in range(steps):
            torch.manual_seed(step)
            optimizer.zero_grad()
            layer(torch.randn(1, 2, 4, 4, 4)).square().sum().backward()
            optimizer.step()

    def fresh():
        torch.manual_seed(9)
        layer = torch.nn.Conv3d(2, 4, 3).to(memory_format=torch.channels_last_3d)
        return layer, torch.optim.AdamW(layer.parameters())

    layer, optimizer = fresh()
    trained(2, layer, optimizer)
    again, other = fresh()
    load_into(again, {name: value.contiguous() for name, value in layer.state_dict().items()}, "x")
    load_optimizer(
        other, {name: value.clone().contiguous() for name, value in optimizer_tensors(optimizer).items()}, "x"
    )
    assert again.weight.is_contiguous(memory_format=torch.channels_last_3d)
    trained(2, layer, optimizer)
    trained(2, again, other)
    assert torch.equal(layer.weight, again.weight)
    assert torch.equal(layer.bias, again.bias)


def test_the_state_of_another_optimiser_is_refused():
    optimizer = torch.optim.AdamW(torch.nn.Linear(2, 3).parameters())
    with pytest.raises(DataError) as caught:
        load_optimizer(optimizer, {"0.exp_avg": torch.ones(9), "7.step": torch.tensor(1.0), "x.y": torch.ones(1)}, "x")
    assert len(caught.value.problems) == 3
    with pytest.raises(DataError, match=r"x: optimizer/0.step: missing"):
        load_optimizer(optimizer, {"0.exp_avg": torch.ones(3, 2), "0.exp_avg_sq": torch.ones(3, 2)}, "x")
    assert not optimizer.state
