"""Writes byte-code beside every Python file below the given folders, equal from run to run.

    python3 -I -S compile.py JOBS DIR=PREFIX [DIR=PREFIX ...]

The code says that its file is `PREFIX/…`, wherever DIR is now, and is never compared with its source
(an unchecked hash, https://peps.python.org/pep-0552/). Files that do not compile, such as Python 2 left in
a package, are skipped. Exit status 1, with one line on stderr, if something cannot be read or written.
"""

import importlib.util
import marshal
import mmap
import os
import signal
import struct
import sys
import types
import warnings

FEW = 64  # Files that are compiled sooner by one process than by several.
HEADER = importlib.util.MAGIC_NUMBER + struct.pack("<I", 0b01)  # Hash-based, and not to be checked.
NAMES = ["co_name", "co_qualname", "co_filename"]
TUPLES = ["co_names", "co_consts", "co_varnames", "co_freevars", "co_cellvars"]
CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL)  # Of a parser, by hostile nesting.


def main(jobs, *folders):
    if sys.version_info < (3, 11) and sys.flags.hash_randomization:
        # Before 3.11 a constant set is written in the order of its hashes, and isolated mode ignores the seed.
        again = [sys.executable, "-s", "-S", *sys.argv]
        os.execve(sys.executable, again, {**os.environ, "PYTHONHASHSEED": "0"})
    files = []
    try:
        for folder in folders:
            root, _, prefix = folder.rpartition("=")
            files += python_files(root, prefix)
    except OSError as error:
        sys.exit(f"compile.py: {error.strerror}: {error.filename}")
    jobs = 1 if len(files) < FEW else int(jobs)
    sys.exit(max(parallel([files[job::jobs] for job in range(jobs)]), default=0))


def python_files(root, prefix):
    """Path and name of each file; a link is not followed, nor is byte-code written through one."""

    def stop(error):
        raise error

    for folder, folders, names in os.walk(root, onerror=stop):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        if os.path.islink(os.path.join(folder, "__pycache__")):
            continue
        for name in sorted(names):
            path = os.path.join(folder, name)
            if name.endswith(".py") and os.path.isfile(path) and not os.path.islink(path):
                yield path, os.path.join(prefix, os.path.relpath(path, root))


def parallel(shares):
    """Each share's exit status. A share whose file killed its process goes on behind that file."""
    at = mmap.mmap(-1, 8 * len(shares) + 1)  # Shared: how far each process came, and whether one has failed.
    running = {spawn(share, at, job): (share, job) for job, share in enumerate(shares) if share}
    while running:
        child, status = os.wait()
        share, job = running.pop(child)
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) in CRASHES:
            rest = share[struct.unpack_from("<Q", at, 8 * job)[0] + 1 :]
            if rest:
                running[spawn(rest, at, job)] = rest, job
        else:
            if os.WIFSIGNALED(status):
                print(f"compile.py: ended by signal {os.WTERMSIG(status)}", file=sys.stderr)
            yield min(status, 1)


def spawn(share, at, job):
    struct.pack_into("<Q", at, 8 * job, 0)
    child = os.fork()
    if child:
        return child
    problem = None
    try:
        for index, (path, name) in enumerate(share):
            struct.pack_into("<Q", at, 8 * job, index)
            if at[-1]:
                break
            write(path, name)
    except OSError as error:
        problem = f"{error.strerror}: {error.filename or path}"
    except BaseException as error:
        problem = f"{type(error).__name__}: {error}"
    if problem and not at[-1]:
        at[-1] = 1
        print(f"compile.py: {problem}", file=sys.stderr, flush=True)
    os._exit(1 if problem else 0)


def write(path, name):
    with open(path, "rb") as file:
        source = file.read()
    code = byte_code(source, name)
    if code is None:
        return
    target = importlib.util.cache_from_source(path)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    temporary = f"{target}.{os.getpid()}"
    try:
        with open(temporary, "wb") as file:
            file.write(code)
        os.replace(temporary, target)
    except OSError:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise


def byte_code(source, name):
    try:
        code = compile(source, name, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError):
        return None
    held = parts(code)
    data = HEADER + importlib.util.source_hash(source) + marshal.dumps(code)
    del held
    return data


def parts(code):
    """All that a code object is made of. What is written depends on whether an object is referred to once or
    more often, and so on what else this process has loaded: https://github.com/python/cpython/issues/78274.
    While the parts are held, it is always more often."""
    found = [code]
    for part in found:  # Which grows meanwhile.
        if isinstance(part, types.CodeType):
            found += [getattr(part, name, None) for name in NAMES + TUPLES]
        elif isinstance(part, (tuple, frozenset)):
            found += part
    return found


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    for number in range(256):  # Strings of one such character are shared, and are written with whether some code
        sys.intern(chr(number))  # has made them a name: `ä = 1` in one file would show in the next.
    main(*sys.argv[1:])
