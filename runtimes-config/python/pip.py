"""Runs pip, and lets it say when an index answers with an error.

    python3 -I pip.py ARGUMENTS OF PIP

pip passes over an index that answers 401, 403, 429 or 5xx, and mentions it only to those who ask for all of its
debugging output (`_handle_get_simple_fail` in https://github.com/pypa/pip/blob/main/src/pip/_internal/index/collector.py).
What remains is `No matching distribution found`, as if the package did not exist. Here that one message becomes
a warning, but for 404 and 410: they say that an index does not have the package, as one of several may.

Where pip has neither that logger nor that message, this is `python3 -I -m pip`. It is for pip 21 and later.
"""

import logging
import runpy

FAILED = "Could not fetch URL"
ABSENT = (": 404 Client Error", ": 410 Client Error")


def lift(record):
    """Makes a failed answer a warning; as a logger's filter, keeps every record."""
    if record.levelno < logging.WARNING and failed(record):
        record.levelno, record.levelname = logging.WARNING, "WARNING"
    return True


def failed(record):
    if not str(record.msg).startswith(FAILED):
        return False
    try:
        message = record.getMessage()
    except (TypeError, ValueError):  # Unlike all known pips; whoever shows the record complains.
        return False
    return not any(absent in message for absent in ABSENT)


def main():
    try:
        import pip._internal  # noqa: F401  Sets the class of pip's loggers, for the one below too.
    except ImportError:
        pass  # `run_module` says which module is missing.
    else:
        collector = logging.getLogger("pip._internal.index.collector")
        collector.setLevel(logging.DEBUG)  # pip's handlers still drop what stays below their level.
        collector.addFilter(lift)
    runpy.run_module("pip", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
