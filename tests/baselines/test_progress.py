"""What a user sees of a training, in a terminal and in a log file."""

import io

import pytest
from rich.console import Console
from toy_world import recipe_of

from rsuper_bench.baselines.loss_log import StepLog
from rsuper_bench.baselines.progress import TrainingProgress

TERMS = {"segmentation": 0.5, "organs": 0.25}


def shown(steps, *, terminal, width=120, seconds=2.0):
    """The last picture of a terminal, or all lines of a log file."""
    now = [0.0]
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=width, color_system=None)
    progress = TrainingProgress(recipe_of(), console, clock=lambda: now[0])
    with progress if not terminal else io.StringIO():
        for line in steps:
            now[0] += seconds
            progress.step(line)
    if terminal:
        console.print(progress._shown())
    return file.getvalue()


def line(step, stage=0, loss=1.0, terms=TERMS):
    return StepLog(step, stage, 0.001, loss, 0.3, terms)


def test_a_terminal_shows_steps_speed_time_left_stage_and_every_term():
    text = shown([line(1), line(2), line(3, loss=4.0)], terminal=True)
    # 8 steps in all; 2 s a step, so 5 steps take 10 s; the loss is the mean of 1, 1 and 4
    for part in ("toy", "3/8", "0.5 steps/s", "0:00:10 left", "stage 1 of 2", "learning rate 1.00e-03"):
        assert part in text
    assert "gradient norm 0.300" in text
    assert "loss\u00a02.0000   segmentation\u00a00.5000   organs\u00a00.2500" in text


def test_another_stage_starts_a_mean_of_its_own():
    text = shown([line(3, loss=9.0), line(4, stage=1, loss=1.0, terms={"ball": 0.75})], terminal=True)
    assert "stage 2 of 2" in text
    assert "loss\u00a01.0000   ball\u00a00.7500" in text
    assert "segmentation" not in text


@pytest.mark.parametrize("width", [20, 40, 80])
def test_a_narrow_terminal_loses_no_term(width):
    text = shown([line(1)], terminal=True, width=width)
    assert all(f"{name}\u00a0" in text for name in ("loss", *TERMS))


def test_before_the_first_step_there_is_something_to_see():
    assert "drawing the first batch" in shown([], terminal=True)


def test_a_log_file_gets_a_line_every_half_minute_and_the_last_one():
    text = shown([line(step) for step in range(1, 9)], terminal=False, seconds=20.0)
    lines = text.splitlines()
    assert [part.split(",")[0] for part in lines] == [f"step {n} of 8" for n in (1, 3, 5, 7, 8)]
    assert lines[1] == (
        "step 3 of 8, stage 1 of 2, 0.05 steps/s, 0:01:40 left, loss 1.0000 segmentation 0.5000 organs 0.2500"
    )
