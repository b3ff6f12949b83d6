#!/usr/bin/env python3
"""Check the include arrows between the folders of src/: they may only point to a lower number.

usage: gates/check_includes.py [FOLDER]      (the repository; default: the one this file is in)

  src/        project headers as "folder/file.h"; folders with the same number do not see each other
  cli/        the public header, and files of cli/
  everywhere  headers of instruction sets (intrinsics) only in src/kernels/x86_*, <cpuid.h> only in
              src/cpu, compiler built-ins of a processor nowhere
"""
import re
import sys
from pathlib import Path

ORDER = {
    "base": 0, "cpu": 1, "kernels": 2, "tensor": 3,
    "layers": 4, "optim": 4, "io": 4, "text": 4, "options": 4,
    "data": 5, "models": 5, "heads": 6, "tasks": 6, "network": 7, "train": 8, "api": 9,
}  # fmt: skip
PUBLIC = "mantissa/mantissa.h"
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)
INTRINSICS = re.compile(r"^(\w*intrin|arm_\w+)\.h$")
BUILTIN = re.compile(r"\b__builtin_(ia32|aarch64|arm|neon)_\w+")


def errors_of_machine(path, relative, text):
    """Lines of error for code of one processor in a file that is for all of them."""
    name = relative.as_posix()
    for _, header in INCLUDE.findall(text):
        if INTRINSICS.match(header) and not name.startswith("src/kernels/x86_"):
            yield f"{path}: includes {header}: intrinsics belong to src/kernels/x86_*"
        if header == "cpuid.h" and not name.startswith("src/cpu/"):
            yield f"{path}: includes {header}: features of the processor are asked in src/cpu"
    for match in BUILTIN.finditer(text):
        yield f"{path}: {match.group()}: expected an intrinsic, in src/kernels/x86_*"


def errors_of_source(root, path, text):
    """Lines of error of one file of src/."""
    folder = path.relative_to(root / "src").parts[0]
    for kind, name in INCLUDE.findall(text):
        if name == PUBLIC:
            continue
        if kind == "<":
            if name.startswith("mantissa/"):
                yield f"{path}: includes {name}, which is not a header of this project"
            elif (root / "src" / name).is_file():
                yield f'{path}: include <{name}>: expected "{name}"'
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


def errors_of_command(root, path, text):
    """Lines of error of one file of cli/."""
    for kind, name in INCLUDE.findall(text):
        if kind == '"' and not ("/" not in name and (path.parent / name).is_file()):
            yield f'{path}: include "{name}": the command sees {PUBLIC} and its own files only'
        if kind == "<" and (root / "src" / name).is_file():
            yield f"{path}: include <{name}>: the command sees {PUBLIC} only"


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent).resolve()
    errors, count = [], 0
    for top in ("include", "src", "cli", "tests", "bench"):
        for path in sorted((root / top).rglob("*.[ch]")):
            count += 1
            text = path.read_text()
            errors += errors_of_machine(path, path.relative_to(root), text)
            if top == "cli":
                errors += errors_of_command(root, path, text)
            elif top == "src" and path.relative_to(root / "src").parts[0] not in ORDER:
                errors.append(f"{path}: this folder has no number in {Path(__file__).name}")
            elif top == "src":
                errors += errors_of_source(root, path, text)
    print("\n".join(errors) or f"{count} files: every arrow points down")
    return 1 if errors or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
