"""CPU seconds inside `trafilatura.extract`, in this process or one forked from it, as either side of build_web needs.

    time_extract(log);  ...;  seconds_inside(log)

Each call appends its seconds to a file, for datatrove extracts in a process that its parent kills. 3 us a call.
"""

import os
import time


def time_extract(log):
    """Has every later call of `trafilatura.extract` leave its seconds in `log`."""
    import trafilatura

    extract = trafilatura.extract
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def timed(*args, **kwargs):
        start = time.process_time()
        try:
            return extract(*args, **kwargs)
        finally:
            os.write(file, b"%.7f\n" % (time.process_time() - start))

    trafilatura.extract = timed


def seconds_inside(log):
    """Seconds of all calls so far."""
    return sum(float(line) for line in log.read_text().split())
