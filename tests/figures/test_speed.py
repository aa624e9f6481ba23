"""What the speed benchmark times are forms of the same thing."""

import numpy as np

from figures.speed import __main__ as speed


def test_both_forms_of_a_polish_step_are_equal():
    tasks = {task.name: task for task in speed.polish_tasks()}
    assert len(tasks) == len(speed.POLISH_CAPACITIES) + 1
    plain, fast = (
        tasks[f"Levenberg-Marquardt step, {form} form"] for form in speed.FORMS
    )
    changes = [np.asarray(task.fn(*task.args)) for task in (plain, fast)]
    assert np.abs(changes[0]).max() > 0.01
    np.testing.assert_allclose(*changes, rtol=1e-2, atol=1e-3)


def test_a_row_is_measured_and_shown():
    rows = speed.measure(speed.polish_tasks()[:1], seconds=0.01)
    assert speed.find_row(rows, rows[0]["task"])["num_calls"] >= 1
    assert rows[0]["rate"] > 0
    assert rows[0]["task"] in speed.format_table(rows)
