from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sqlmigrate.files.atomic import replaced, save
from tests.polling import LIMIT


@contextmanager
def full_disk() -> Iterator[None]:
    """As far as a write can tell; Python ignores the signal that comes with it."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old, and longer")
    save(str(path), "né")
    assert path.read_bytes() == "né".encode()
    save(str(path), "new", 0o604)
    assert path.stat().st_mode & 0o777 == 0o604
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    with full_disk(), pytest.raises(OSError, match="File too large"):
        save(str(path), "new")
    with pytest.raises(KeyboardInterrupt), replaced(str(path)):
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_symbolic_link_stays_and_its_target_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    target = tmp_path / "there" / "a.json"
    target.write_text("old")
    (tmp_path / "link").symlink_to("there/a.json")
    (tmp_path / "new").symlink_to("there/b.json")
    save(str(tmp_path / "link"), "1")
    save(str(tmp_path / "new"), "2")
    assert (tmp_path / "link").is_symlink()
    assert (target.read_text(), (tmp_path / "there" / "b.json").read_text()) == ("1", "2")


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(path.read_text()))
    reader.start()
    save(str(path), "through")
    reader.join(LIMIT)
    assert read == ["through"]
    assert path.is_fifo()
    save("/dev/null", "nowhere")
    assert not Path("/dev/null").is_file()


def test_output_to_a_stream_keeps_its_order(tmp_path: Path) -> None:
    script = (
        "from sqlmigrate.files.atomic import save\nfor n in '12': print(n, flush=True); save('/dev/stdout', 'x\\n')"
    )
    with (tmp_path / "out").open("w") as file:
        subprocess.run([sys.executable, "-c", script], check=True, stdout=file)
    piped = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    assert (tmp_path / "out").read_text() == piped.stdout.decode() == "1\nx\n2\nx\n"
