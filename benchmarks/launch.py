"""Runs a program without its output; prints its exit code, its seconds and its peak memory in MB.

Linux counts the memory of the process that starts a program as the program's own. This process is small.
"""

import os
import sys
import time

without_output = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
start_time = time.perf_counter()
pid = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=without_output)
_, status, usage = os.wait4(pid, 0)
print(os.waitstatus_to_exitcode(status), time.perf_counter() - start_time, usage.ru_maxrss // 1024)
