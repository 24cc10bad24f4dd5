"""Says, as JSON, which files do not compile and whether the handler's file defines the function.

    python3 -I -S -W ignore check.py SOURCE_DIR HANDLER_FILE FUNCTION

Nothing of the author's runs. Exit status: 0 all is well, 1 it is not, 2 this helper failed. Output:

    {"errors": [{"file", "line", "column", "message", "source"}],
     "handler": {"state": "defined" | "missing" | "unknown" | "unchecked", "names": [{"name", "line"}]}}

`line` and `column` count from 1, in characters, and are null where Python does not know them.
"""

import _ast as ast  # Not `ast`, which takes longer to import than most functions to check.
import json
import os
import signal
import sys

ONLY_AST = 0x400  # `ast.PyCF_ONLY_AST`
SOURCE = 400  # Characters that are kept of a faulty line.
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
# The fields of a node that hold another scope: what they bind, the module does not have.
INNER = {**dict.fromkeys((*FUNCTIONS, ast.Lambda), "body"), ast.comprehension: "target"}
CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL)  # Not SIGKILL, which is memory's.


def main(root, handler, function):
    files = python_files(root)
    if handler not in files:
        files.append(handler)
    errors, verdict = [], {"state": "unchecked", "names": []}
    start = 0
    while start <= len(files):
        start, fatal = check_from(start, root, files, handler, function, errors, verdict)
        if fatal and start < len(files):
            errors.append(report(files[start], f"the interpreter's parser crashed on this file ({fatal})"))
        elif fatal:
            verdict["state"] = "unknown"
        start += 1
    if any(error["file"] == handler for error in errors):
        verdict = {"state": "unchecked", "names": []}
    text = json.dumps({"errors": errors, "handler": verdict}, ensure_ascii=False)
    sys.stdout.buffer.write(text.encode("utf-8", "replace") + b"\n")
    return 1 if errors or verdict["state"] == "missing" else 0


def python_files(root):
    """Paths below `root`, sorted, with `/` between their parts."""
    files = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name != "__pycache__"]
        paths = (os.path.join(folder, name) for name in names if name.endswith(".py"))
        files += [os.path.relpath(path, root) for path in paths if os.path.isfile(path)]
    return sorted(files)


def check_from(start, root, files, handler, function, errors, verdict):
    """Checks in a child, as hostile nesting can kill the interpreter: how far it came, and what killed it."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 2
        try:
            with os.fdopen(writing, "w") as out:
                work(start, root, files, handler, function, lambda *message: print(json.dumps(message), file=out, flush=True))
            status = 0
        except Exception as problem:
            print(f"check.py: {type(problem).__name__}: {problem}", file=sys.stderr)
        finally:
            os._exit(status)
    os.close(writing)
    at = start
    with os.fdopen(reading) as results:
        for line in results:
            kind, value = json.loads(line)
            if kind == "at":
                at = value
            elif kind == "error":
                errors.append(value)
            else:
                verdict.update(value)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) in CRASHES:
        return at, signal.Signals(os.WTERMSIG(status)).name
    if status:
        raise RuntimeError(f"the child that compiles ended with status {status}")
    return len(files), None


def work(start, root, files, handler, function, send):
    for index in range(start, len(files)):
        send("at", index)
        error = compile_error(root, files[index])
        if error:
            send("error", error)
    send("at", len(files))
    send("verdict", look_for(function, os.path.join(root, handler)))


def compile_error(root, file):
    """What keeps the file from being compiled; `None` if nothing does."""
    path = os.path.join(root, file)
    try:
        with open(path, "rb") as opened:
            data = opened.read()
        compile(data, path, "exec", dont_inherit=True)
    except OSError as problem:
        return report(file, problem.strerror)
    except SyntaxError as problem:
        return locate(file, data, problem)
    except (ValueError, OverflowError, RecursionError, MemoryError) as problem:
        if b"\0" in data:
            return report(file, str(problem), null_line(data))
        return report(file, f"{type(problem).__name__}: {str(problem) or 'too complex for the parser'}")
    return None


def locate(file, data, problem):
    """The error with line and column: given bytes, Python miscounts columns, and omits the lines of bad ones."""
    import io
    import tokenize

    try:
        encoding = tokenize.detect_encoding(io.BytesIO(data).readline)[0]
    except SyntaxError:
        encoding = "utf-8"
    if data.startswith(b"\xef\xbb\xbf"):
        data, encoding = data[3:], "utf-8"
    text = data.decode(encoding, "replace")
    try:
        data.decode(encoding)
        problem, columns = again(text, problem)
        line, column = problem.lineno, problem.offset
    except UnicodeDecodeError as bad:
        before, columns = lines_of(data[: bad.start].decode(encoding, "replace")), "characters"
        line, column = len(before), len(before[-1]) + 1
        if problem.lineno and "codec can't decode" not in problem.msg:  # Bad bytes in a comment are not the error.
            line, column = problem.lineno, None
    if not line and "\0" in text:
        line = null_line(data)
    lines = lines_of(text)
    if not line and "encoding" in problem.msg:  # An unknown one; its declaration is in one of the first two lines.
        line, column = (1 if "coding" in lines[0] else 2), None
    source = lines[line - 1] if line and line <= len(lines) else ""
    if columns == "bytes" and column:
        column = len(source.encode("utf-8", "replace")[: column - 1].decode("utf-8", "replace")) + 1
    if problem.text and lines_of(problem.text)[0] != source:  # It is a part of an f-string that is counted in.
        column = None
    return report(file, problem.msg, line, column, source)


def again(text, problem):
    """The error once more, of the decoded text, and what its columns count."""
    columns = "characters"
    try:
        compile(text, "", "exec", ONLY_AST, dont_inherit=True)
        columns = "bytes"  # Of UTF-8: so count the stages after the parser.
        compile(text, "", "exec", dont_inherit=True)
    except SyntaxError as same:
        return same, columns
    except (ValueError, RecursionError, MemoryError):
        pass
    return problem, columns


def lines_of(text):
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def null_line(data):
    return data.count(b"\n", 0, data.index(b"\0")) + 1 if b"\0" in data else None


def report(file, message, line=None, column=None, source=""):
    column = column if column and column > 0 else None
    return {"file": file, "line": line or None, "column": column, "message": message, "source": source[:SOURCE]}


def look_for(function, path):
    """Whether the module defines the function, as far as that can be known without running it."""
    with open(path, "rb") as opened:
        data = opened.read()
    try:
        tree = compile(data, path, "exec", ONLY_AST, dont_inherit=True)
    except SyntaxError:
        return {"state": "unchecked"}
    except (ValueError, RecursionError, MemoryError):
        return {"state": "unknown"}
    bound, callables = set(), {}
    for node in nodes(tree, inner):
        for name, can_be_called in bindings(node):
            bound.add(name)
            if can_be_called and not name.startswith("_"):
                callables.setdefault(name, node.lineno)
    dynamic = "__getattr__" in bound or any(is_dynamic(node, function) for node in nodes(tree))
    state = "unknown" if dynamic else "missing"
    if function in bound and not any(deletes(node, function) for node in nodes(tree, inner)):
        state = "defined"
    elif function in bound:
        state = "unknown"
    return {"state": state, "names": [{"name": name, "line": line} for name, line in callables.items()]}


def inner(node):
    """The node's field that binds nothing in the module."""
    if isinstance(node, ast.AnnAssign) and node.value is None:
        return "target"
    return INNER.get(type(node))


def nodes(tree, omitted=lambda node: None):
    """The nodes in the order of the text, without the field that `omitted` names."""
    stack = [tree]
    while stack:  # Not by recursion, which nesting could exhaust.
        node = stack.pop()
        yield node
        children, skipped = [], omitted(node)
        for field in node._fields:
            if field != skipped:
                value = getattr(node, field, None)
                children += value if isinstance(value, list) else [value]
        stack += [child for child in reversed(children) if isinstance(child, ast.AST)]


def bindings(node):
    """The names that a node of the module's own scope binds, and whether each is something to call."""
    kind = type(node).__name__
    if isinstance(node, FUNCTIONS):
        yield node.name, True
    elif kind == "Import":
        for alias in node.names:
            yield alias.asname or alias.name.partition(".")[0], False
    elif kind == "ImportFrom":
        for alias in node.names:
            yield alias.asname or alias.name, node.module != "__future__" and alias.name != "*"
    elif kind == "Assign" and isinstance(node.value, ast.Lambda):
        for target in node.targets:
            if isinstance(target, ast.Name):
                yield target.id, True
    elif kind == "Name" and isinstance(node.ctx, ast.Store):
        yield node.id, False
    elif kind in ("MatchAs", "MatchStar", "MatchMapping"):
        name = node.rest if kind == "MatchMapping" else node.name
        if name:
            yield name, False


def is_dynamic(node, function):
    """Whether the node may bind names that cannot be read off."""
    kind = type(node).__name__
    return (
        (kind == "ImportFrom" and node.names[0].name == "*")
        or (kind == "Name" and node.id in ("globals", "exec"))
        or (kind == "Attribute" and node.attr == "modules" and getattr(node.value, "id", None) == "sys")
        or (kind == "Global" and function in node.names)
    )


def deletes(node, function):
    return type(node).__name__ == "Name" and isinstance(node.ctx, ast.Del) and node.id == function


if __name__ == "__main__":
    try:
        status = main(*sys.argv[1:])
    except Exception as failure:  # Not 1, which Python would say: that is an answer.
        sys.exit(print(f"check.py: {type(failure).__name__}: {failure}", file=sys.stderr) or 2)
    sys.exit(status)
