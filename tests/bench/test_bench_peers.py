"""Models to compare with: fetched by the benches alone."""

from pathlib import Path

from bench import peers


def test_the_plain_mesh_is_fetched_and_runs(model_cache: Path) -> None:
    mesh = peers.load("face_landmark", model_cache)
    details = mesh.get_output_details()
    assert [mesh.tensor(each["index"])().size for each in details] == [1404, 1]
