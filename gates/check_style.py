#!/usr/bin/env python3
"""Check the house rules that a machine can check.

usage: gates/check_style.py [FOLDER]         (the repository; default: the one this file is in)

  all C files   ASCII, at most 100 columns, no tabs; a basename occurs once in the tree;
                the first line begins the comment that says what the file is; at most 1000 lines
                and 120 lines per function (tests, and kernels: 250)
  src/          no printing, exiting, aborting, no malloc beside base/memory.c (for jansson:
                base/json_memory.c), getenv in one place
  everywhere    no marks of unfinished work; no path of one machine, in any text file

C files over 600 lines are reported, which is no error: each should have one subject.
"""
import re
import sys
from collections import defaultdict
from pathlib import Path

MAX_COLUMNS = 100
MAX_FILE_LINES = 1000
LONG_FILE_LINES = 600
MAX_FUNCTION_LINES = 120
MAX_KERNEL_LINES = 250

# What the library may not call, and the files that are the exception.
FORBIDDEN = {
    r"(?:printf|puts|putchar|perror|fprintf\s*\(\s*std(?:out|err)\b.*)": (),
    r"(?:exit|_Exit|abort|quick_exit)": (),
    r"(?:malloc|calloc|realloc|aligned_alloc|posix_memalign|strdup|strndup|free)": (
        "base/memory.c", "base/json_memory.c"),
    r"getenv": ("kernels/table.c", "text/jinja_method.c"),
    r"time": ("text/jinja_method.c",),  # templates tell the date
    r"(?:rand|srand|strtok|gets|sprintf|strcpy|strcat)": (),
}
MARKS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|^\s*#\s*if 0\b")
# Folders where one machine or person keeps things; /tmp, /usr and /proc are everywhere.
MACHINE_PATH = re.compile(r"(?<![\w.$}])/(?:home|root|work|opt|Users)/[\w.]")
TEXT_ENDINGS = {".c", ".h", ".py", ".sh", ".md", ".txt", ".cmake", ""}
COMMENT_OR_STRING = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', re.S)


def without_comments(text):
    """The code alone, with the same line numbers."""
    return COMMENT_OR_STRING.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def functions(code):
    """(first line, lines) of each function: from the line of its opening brace in column 0."""
    start = None
    for number, line in enumerate(code.split("\n"), 1):
        if line.rstrip() == "{":
            start = number
        elif line.startswith("}") and start is not None:
            if line.rstrip() == "}":
                yield start, number - start + 1
            start = None


def errors_of_text(path, text):
    if not text.startswith("/*"):
        yield f"{path}:1: expected a comment that says what the file is"
    lines = text.split("\n")
    if len(lines) > MAX_FILE_LINES:
        yield f"{path}: {len(lines)} lines, at most {MAX_FILE_LINES}"
    for number, line in enumerate(lines, 1):
        if len(line) > MAX_COLUMNS:
            yield f"{path}:{number}: {len(line)} columns, at most {MAX_COLUMNS}"
        if not line.isascii() or "\t" in line or line != line.rstrip():
            yield f"{path}:{number}: not ASCII, a tab, or blanks at the end"
        if MARKS.search(line):
            yield f"{path}:{number}: mark of unfinished work: {line.strip()}"


def errors_of_code(path, relative, code):
    limit = MAX_FUNCTION_LINES
    if relative.parts[0] == "tests" or relative.parts[:2] == ("src", "kernels"):
        limit = MAX_KERNEL_LINES
    for line, length in functions(code):
        if length > limit:
            yield f"{path}:{line}: function of {length} lines, at most {limit}"
    if relative.parts[0] != "src":
        return
    name = "/".join(relative.parts[1:])
    for call, exceptions in FORBIDDEN.items():
        if name in exceptions:
            continue
        for match in re.finditer(rf"(?<![\w.>])({call})\s*\(", code):
            number = code.count("\n", 0, match.start()) + 1
            yield f"{path}:{number}: {match.group(1).strip()} is not called in the library"


def errors_of_paths(root):
    """Lines of error for machine paths in all text files outside build folders."""
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        if parts[0] == ".git" or parts[0].startswith("build") or "__pycache__" in parts:
            continue
        if not path.is_file() or path.suffix not in TEXT_ENDINGS:
            continue
        for number, line in enumerate(path.read_text(errors="replace").split("\n"), 1):
            if MACHINE_PATH.search(line):
                yield f"{path}:{number}: path of one machine: {line.strip()}"


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent).resolve()
    errors, names, count = [], defaultdict(list), 0
    long_files = []
    for folder in ("include", "src", "cli", "tests", "bench"):
        for path in sorted((root / folder).rglob("*.[ch]")):
            count += 1
            text = path.read_text()
            names[path.name].append(str(path))
            errors += errors_of_text(path, text)
            if LONG_FILE_LINES < text.count("\n") <= MAX_FILE_LINES:
                long_files.append(f"{path}: {text.count(chr(10))} lines (no error)")
            errors += errors_of_code(path, path.relative_to(root), without_comments(text))
    for name, paths in names.items():
        if len(paths) > 1:
            errors.append(f"{name}: this name occurs {len(paths)} times: {', '.join(paths)}")
    errors += errors_of_paths(root)
    print("\n".join([*long_files, *errors, f"{count} files, {len(errors)} errors"]))
    return 1 if errors or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
