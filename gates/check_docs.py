#!/usr/bin/env python3
"""Check that the documents speak of things that exist.

usage: gates/check_docs.py [FOLDER]          (the repository; default: the one this file is in)

  code      every "FORMATS.md (n)" is a section; every [Key2019] is in REFERENCES.md
  docs      every file and every name_with_underscores in `backticks` or in an indented block of
            TOUR.md, KERNELS.md, TESTING.md, FORMATS.md, PITFALLS.md and CONTRIBUTING.md occurs in
            the tree; links lead somewhere; at most 120 columns, but in tables
"""
import re
import sys
from pathlib import Path

FOLDERS = ("include", "src", "cli", "tests", "gates", "studies", "tools", "bench")
ENDINGS = {".c", ".h", ".py", ".sh", ".txt", ".cmake"}
KEY = re.compile(r"\[([A-Z][a-z]+(?:[A-Z][a-z]+)?[0-9]{4})\b")
SECTION = re.compile(r"FORMATS\.md \(([0-9]+)\)")
NAMED_DOCS = ("TOUR.md", "KERNELS.md", "TESTING.md", "FORMATS.md", "PITFALLS.md",
              "CONTRIBUTING.md")
MAX_COLUMNS = 120
PATH = re.compile(r"[A-Za-z0-9_.]+(?:/[A-Za-z0-9_.]+)+\.(?:c|h|py|sh|md|txt)\b")
NAME = re.compile(r"(?<![\w/.-])[a-z][a-z0-9]+(?:_[a-z0-9]+)+(?![\w/.*<{])")
FOREIGN = {"run_glue"}  # names of other programs
# Where a path in a document may begin.
BASES = ("", "src", "src/kernels", "include", "tests")


def quoted(text):
    """What stands in backticks or in an indented block."""
    text = re.sub(r"```.*?```", "", text, flags=re.S)
    yield from re.findall(r"`([^`\n]+)`", text)
    yield from (line for line in text.split("\n") if line.startswith("    "))


def errors_of_keys(path, text, keys, sections):
    for number, line in enumerate(text.split("\n"), 1):
        for key in KEY.findall(line):
            if key not in keys:
                yield f"{path}:{number}: [{key}] is not in docs/REFERENCES.md"
        for section in SECTION.findall(line):
            if section not in sections:
                yield f"{path}:{number}: FORMATS.md has no section ({section})"


def errors_of_names(root, path, text, sources, names):
    for piece in quoted(text):
        for found in PATH.findall(piece):
            exists = any((root / base / found).exists() for base in BASES)
            if not exists and not found.startswith("build/"):
                yield f"{path}: `{found}`: no such file"
        for found in NAME.findall(PATH.sub("", piece)):
            if found not in sources and found not in names and found not in FOREIGN:
                yield f"{path}: `{found}` does not occur in the tree"


def errors_of_links(path, text):
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        if not target.startswith("http") and not (path.parent / target).exists():
            yield f"{path}: link to {target}: no such file"


def errors_of_width(path, text):
    """A row of a table cannot be broken, a line can."""
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > MAX_COLUMNS and not line.startswith("|") and not line.startswith("!["):
            yield f"{path}:{number}: {len(line)} columns, at most {MAX_COLUMNS}"


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent).resolve()
    docs = sorted([*root.glob("*.md"), *(root / "docs").glob("*.md")])
    keys = set(KEY.findall((root / "docs" / "REFERENCES.md").read_text()))
    sections = set(re.findall(r"^## \(([0-9]+)\)", (root / "docs" / "FORMATS.md").read_text(), re.M))
    files = [root / "CMakeLists.txt"]
    files += [p for f in FOLDERS for p in sorted((root / f).rglob("*")) if p.suffix in ENDINGS]
    texts = {path: path.read_text(errors="replace") for path in [*files, *docs]}
    sources = "\n".join(texts[path] for path in files)
    names = {path.stem for path in files}
    names |= {name.replace("target_", "test_fuzz_") for name in names}  # made by the build
    errors = []
    for path, text in texts.items():
        if path.name not in ("REFERENCES.md", Path(__file__).name):
            errors += errors_of_keys(path, text, keys, sections)
        if path in docs:
            errors += errors_of_links(path, text)
            errors += errors_of_width(path, text)
        if path.name in NAMED_DOCS:
            errors += errors_of_names(root, path, text, sources, names)
    print("\n".join([*dict.fromkeys(errors), f"{len(texts)} files, {len(errors)} errors"]))
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
