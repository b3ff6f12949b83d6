#!/usr/bin/env python3
"""Check the include arrows between the folders of src/: they may only point to a lower number.

usage: tools/check_includes.py [FOLDER]      (the repository; default: the one this file is in)

Folders with the same number do not see each other.  A file of src/ includes project headers as
"folder/file.h"; cli/ includes the public header and its own files only.
"""
import re
import sys
from pathlib import Path

ORDER = {
    "base": 0, "cpu": 1, "kernels": 2, "tensor": 3, "layers": 4, "optim": 4, "io": 4, "text": 4,
    "data": 5, "models": 5, "train": 6, "api": 7,
}  # fmt: skip
PUBLIC = "mantissa/mantissa.h"
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def errors_of_source(root, path):
    """Lines of error of one file of src/."""
    folder = path.relative_to(root / "src").parts[0]
    for kind, name in INCLUDE.findall(path.read_text()):
        if name == PUBLIC or kind == "<":
            if name.startswith("mantissa/") and name != PUBLIC:
                yield f"{path}: includes {name}, which is not a header of this project"
            continue
        target = name.split("/")[0]
        if target not in ORDER:
            yield f'{path}: include "{name}": expected "folder/file.h"'
        elif not (root / "src" / name).is_file():
            yield f'{path}: include "{name}": no such file in src/'
        elif target != folder and ORDER[target] >= ORDER[folder]:
            yield (
                f'{path}: {folder} ({ORDER[folder]}) must not include "{name}" ({ORDER[target]})'
            )


def errors_of_command(path):
    """Lines of error of one file of cli/."""
    for kind, name in INCLUDE.findall(path.read_text()):
        if kind == '"' and not (path.parent / name).is_file():
            yield f'{path}: include "{name}": the command sees {PUBLIC} only'


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent).resolve()
    errors = []
    sources = sorted((root / "src").rglob("*.[ch]"))
    for path in sources:
        if path.relative_to(root / "src").parts[0] not in ORDER:
            errors.append(f"{path}: this folder has no number in {Path(__file__).name}")
        else:
            errors += errors_of_source(root, path)
    commands = sorted((root / "cli").glob("*.[ch]"))
    for path in commands:
        errors += errors_of_command(path)
    print("\n".join(errors) or f"{len(sources) + len(commands)} files: every arrow points down")
    return 1 if errors or not sources else 0


if __name__ == "__main__":
    sys.exit(main())
