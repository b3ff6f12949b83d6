"""Compare the table reader of Mantissa with Python's str.split, csv and json.

    check_tables.py TEST_TABLE_READER [GLUE_FOLDER]
    check_tables.py --golden GLUE_FOLDER

The first runs `TEST_TABLE_READER --dump` (the built tests/unit/test_table_reader) on random CSV
and JSON lines files, and on every .tsv file of a folder in the layout of the GLUE download, cell
by cell.  The second prints the table of tests/unit/test_glue_files.c: rows and FNV-1a hashes of
texts and labels.
"""
import csv
import hashlib
import io
import json
import pathlib
import random
import subprocess
import sys
import tempfile

COLA = ["source", "label", "author_label", "sentence"]
PIECES = ['"', ",", "\n", "\r\n", "\t", " ", "a", "bc", "\u00e9", "\u4e2d", "\U0001f600", "'",
          "\\", ""]


def table_of(program, path, names=()):
    run = subprocess.run([program, "--dump", str(path), *names], capture_output=True, check=True)
    return json.loads(run.stdout)


def random_text(rng):
    return "".join(rng.choice(PIECES) for _ in range(rng.randrange(6)))


def check_random_csv(program, folder, rng):
    columns = rng.randrange(1, 6)
    rows = [[f"c{i}" for i in range(columns)]]
    rows += [[random_text(rng) for _ in range(columns)] for _ in range(rng.randrange(1, 30))]
    text = io.StringIO()
    csv.writer(text, quoting=rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
               lineterminator=rng.choice(["\n", "\r\n"])).writerows(rows)
    path = folder / "random.csv"
    path.write_bytes(rng.choice([b"", b"\xef\xbb\xbf"]) + text.getvalue().encode())
    return table_of(program, path) == rows


def check_random_jsonl(program, folder, rng):
    columns = [f"c{i}" for i in range(rng.randrange(1, 6))]
    values = [lambda: random_text(rng), lambda: rng.randrange(-10**12, 10**12),
              lambda: rng.random() * 10.0 ** rng.randrange(-20, 20), lambda: rng.random() < 0.5,
              lambda: None, lambda: [1], lambda: {"x": 1}]
    rows = [{c: rng.choice(values)() for c in columns} for _ in range(rng.randrange(1, 30))]
    path = folder / "random.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=rng.random() < 0.5) + "\n"
                            for row in rows), encoding="utf-8", newline="")
    found = table_of(program, path)
    if found[0] != columns or len(found) != len(rows) + 1:
        return False
    for cells, row in zip(found[1:], rows):
        for cell, value in zip(cells, row.values()):
            if isinstance(value, bool):
                same = cell == ("true" if value else "false")
            elif isinstance(value, float):
                same = float(cell) == value and not cell.lstrip("-").isdigit()
            elif isinstance(value, int):
                same = cell == str(value)
            else:
                same = cell == (value if isinstance(value, str) else None)
            if not same:
                return False
    return True


def check_glue(program, path):
    names = COLA if path.parent.name == "CoLA" else []
    lines = path.read_bytes().decode().split("\n")
    assert lines.pop() == ""
    rows = [line.split("\t") for line in lines]
    rows = [names] + rows if names else rows
    digest = hashlib.sha256(json.dumps(rows).encode()).hexdigest()
    same = hashlib.sha256(json.dumps(table_of(program, path, names)).encode()).hexdigest() == digest
    print(f"{path.parent.name}/{path.name}: {len(rows) - 1} rows, {len(rows[0])} columns, "
          f"{digest[:16]}: {'same' if same else 'DIFFERENT'}")
    return same


# Folder: columns of the texts and the label, and the label names in Hugging Face's order.
TASKS = {
    "CoLA": (["sentence"], "label", ["0", "1"]),
    "SST-2": (["sentence"], "label", ["0", "1"]),
    "MRPC": (["#1 String", "#2 String"], "Quality", ["0", "1"]),
    "STS-B": (["sentence1", "sentence2"], "score", None),
    "QQP": (["question1", "question2"], "is_duplicate", ["0", "1"]),
    "MNLI": (["sentence1", "sentence2"], "label", ["entailment", "neutral", "contradiction"]),
    "QNLI": (["question", "sentence"], "label", ["entailment", "not_entailment"]),
    "RTE": (["sentence1", "sentence2"], "label", ["entailment", "not_entailment"]),
    "WNLI": (["sentence1", "sentence2"], "label", ["0", "1"]),
}


def fnv1a(data, state=0xcbf29ce484222325):
    for byte in data:
        state = ((state ^ byte) * 0x100000001b3) % 2**64
    return state


def golden(glue):
    for folder, (texts, label, names) in TASKS.items():
        for path in sorted(pathlib.Path(glue, folder).glob("*.tsv"), reverse=True):
            lines = path.read_bytes().decode().split("\n")[:-1]
            header = COLA if folder == "CoLA" else lines.pop(0).split("\t")
            state = fnv1a(b"")
            for line in lines:
                row = dict(zip(header, line.split("\t"), strict=True))
                value = float(row[label]) if names is None else names.index(row[label])
                cells = [row[text] for text in texts] + [f"{value:.3f}\n"]
                state = fnv1a("\t".join(cells).encode(), state)
            print(f'{{"{folder}", "{path.name}", {len(lines)}, UINT64_C({state:#018x})}},')


def main(program, glue=None):
    rng = random.Random(7)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        results = [check(program, folder, rng)
                   for check in (check_random_csv, check_random_jsonl) for _ in range(200)]
    print(f"{len(results)} random files, {results.count(False)} wrong")
    if glue is not None:
        paths = sorted(pathlib.Path(glue).glob("*/*.tsv"))
        results += [check_glue(program, path) for path in paths]
    return 0 if all(results) else 1


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    sys.exit(golden(sys.argv[2]) if sys.argv[1] == "--golden" else main(*sys.argv[1:]))
