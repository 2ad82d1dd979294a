"""Commands on many recordings: what they are, who works on them, and where the results go."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple

from speech2face.cli.argument_values import (
    check_together,
    find_inputs,
    parse_part,
    parse_speaker,
)
from speech2face.errors import UsageError

if TYPE_CHECKING:
    from speech2face.inputs import Input
    from speech2face.privacy.audit_task import AuditTask
    from speech2face.recording_tasks import DrawTask, EmbedTask, Listening
    from speech2face.worker_crews import Crew, Task


class Batch(NamedTuple):
    """How many recordings are worked on, and what is made of the results."""

    table: str | None
    workers: int
    ray: str | None
    force: bool
    as_json: bool


def read_call(
    inputs: list[str],
    part: tuple[str | None, str | None],
    track: int | None,
    speaker: str,
    together: bool,
    table: str | None,
) -> tuple[list[Input], Listening]:
    """The recordings, and what to listen to of each."""
    from speech2face.inputs import join_inputs
    from speech2face.recording_tasks import Listening

    recordings = find_inputs(inputs, listed=True)
    start, end = parse_part(*part)
    whom = parse_speaker(speaker)
    if together:
        check_together((start, end), track, whom)
        if table:
            raise UsageError("--together makes one result; a table (--out) is of many.")
        recordings = [join_inputs(recordings)]
    return recordings, Listening(start, end, track, whom)


def run_task(
    recordings: list[Input],
    task: DrawTask | EmbedTask | AuditTask,
    batch: Batch,
    format_row: Callable[[dict[str, Any]], str],
) -> None:
    """Work on all, here or by a crew, and print the results or write them into a table."""
    from speech2face.batch import run_each, tell_each
    from speech2face.batch_tables import make_table
    from speech2face.model_folders import find_model
    from speech2face.worker_crews import share_among

    hire = choose_crew(batch.workers, batch.ray)
    if batch.table:
        settings = {"command": task.command, **task.settings}
        model = find_model(task.model)
        make_table(recordings, task, task.columns, settings, model, batch.table, hire, batch.force)
        print(batch.table)
    elif hire:
        if any(item.name == "-" for item in recordings):
            raise UsageError("standard input (-) goes with one process; leave out --workers.")
        share = share_among(lambda: hire(task))
        tell_each(recordings, lambda _: share(enumerate(recordings)), batch.as_json, format_row)
    else:
        run_each(recordings, task.open(), batch.as_json, format_row)


def choose_crew(
    workers: int, ray: str | None
) -> Callable[[Task], AbstractContextManager[Crew]] | None:
    """--workers and --ray → who hires a crew for a task; None where this process does the work."""
    if ray is not None:
        from speech2face.ray_cluster import hire_on_ray

        return lambda task: hire_on_ray(task, workers, ray)
    if workers > 1:
        from speech2face.worker_crews import ProcessCrew

        return lambda task: ProcessCrew(task, workers)
    return None
