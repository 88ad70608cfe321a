"""What TensorBoard, Weights & Biases and MLflow have of a run, read by their own means."""

import json
import time
from pathlib import Path

_BLOCK = 32768


def tensorboard_run(folder):
    """The events of a folder: `.Scalars(name)` with steps and values, `.Images(name)`."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0})
    return events.Reload()


def scalars(events, name) -> dict[int, float]:
    return {event.step: event.value for event in events.Scalars(name)}


def wandb_records(folder: Path) -> list:
    """The records of an offline run, up to its end, which its own process writes in a moment."""
    for _ in range(100):
        records = _read_records(next(folder.glob("run-*.wandb")).read_bytes())
        if any(one.HasField("exit") for one in records):
            return records
        time.sleep(0.1)
    raise AssertionError(f"The run in {folder} has no end.")


def _read_records(data: bytes) -> list:
    """The file is a log in LevelDB's format, in blocks."""
    from wandb.proto.wandb_internal_pb2 import Record

    place, parts, records = 7, b"", []
    while place + 7 <= len(data):
        if _BLOCK - place % _BLOCK < 7:  # what is left of a block holds no record
            place += _BLOCK - place % _BLOCK
        length = int.from_bytes(data[place + 4 : place + 6], "little")
        kind = data[place + 6]  # 1: a whole record; 2, 3, 4: its first, a middle, its last part
        parts += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):
            records.append(Record.FromString(parts))
            parts = b""
    return records


def wandb_history(records) -> list[dict]:
    """What was logged, step by step."""
    return [
        {
            "/".join(item.nested_key) or item.key: json.loads(item.value_json)
            for item in record.history.item
        }
        for record in records
        if record.WhichOneof("record_type") == "history"
    ]


def mlflow_run():
    """The only run of the working directory, and a client to ask about it."""
    from mlflow import MlflowClient

    client = MlflowClient()
    experiment = client.get_experiment_by_name("fastunet")
    [run] = client.search_runs([experiment.experiment_id])
    return run, client
