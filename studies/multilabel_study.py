#!/usr/bin/env python3
"""The table of sets of labels: categories of English words, in several precisions and seeds.

    studies/multilabel_study.py --mantissa build/mantissa --model MODEL_DIR --wordnet FOLDER
                                --work FOLDER --out RESULTS.jsonl [--precisions fp32,int8]
                                [--seeds 1,2,3] [--words 8000] [--dev 2000] [--epochs 4]
                                [--rare 0.05] [--lr 2e-4] [--batch 16] [--threads 2] [--table]

A text is a word with its definitions, its labels are the categories (WordNet's lexicographer files)
of its senses, e.g. noun.act and noun.state; those of less than --rare of the words are left out.
FOLDER has WordNet 3.0's data.noun and data.verb.
Every run is one line of RESULTS.jsonl; runs that are there are not repeated, and one that was
stopped goes on from its last checkpoint.  Micro and macro F1 are computed again by scikit-learn from
the file of predictions; a difference in any digit stops the study.  Needs scikit-learn.
"""
import argparse
import json
import pathlib
import random
import statistics
import subprocess
import sys

NAMES = ("adj.all adj.pert adv.all noun.Tops noun.act noun.animal noun.artifact noun.attribute "
         "noun.body noun.cognition noun.communication noun.event noun.feeling noun.food noun.group "
         "noun.location noun.motive noun.object noun.person noun.phenomenon noun.plant "
         "noun.possession noun.process noun.quantity noun.relation noun.shape noun.state "
         "noun.substance noun.time verb.body verb.change verb.cognition verb.communication "
         "verb.competition verb.consumption verb.contact verb.creation verb.emotion verb.motion "
         "verb.perception verb.possession verb.social verb.stative verb.weather").split()


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name in ("mantissa", "model", "wordnet", "work"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--out", required=True)
    for name, default in (("precisions", "fp32,int8"), ("seeds", "1,2,3"), ("lr", "2e-4"),
                          ("rare", "0.05")):
        parser.add_argument(f"--{name}", default=default)
    for name, default in (("words", 8000), ("dev", 2000), ("epochs", 4), ("batch", 16),
                          ("threads", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--table", action="store_true")
    return parser.parse_args()


def read_words(folder):
    """Word -> [(category, definition)] of the nouns and verbs with more than one sense."""
    words = {}
    for part in ("noun", "verb"):
        for line in (pathlib.Path(folder) / f"data.{part}").open(encoding="utf-8"):
            if line.startswith("  "):  # the licence
                continue
            head, gloss = line.split(" | ", 1)
            fields = head.split(" ")
            definition = gloss.strip().split('; "')[0]
            for i in range(int(fields[3], 16)):
                word = fields[4 + 2 * i]
                if word.isalpha() and word.islower():
                    words.setdefault(word, []).append((NAMES[int(fields[1])], definition))
    return {word: senses for word, senses in words.items() if len(senses) > 1}


def make_files(o):
    """Training and development file, of different words drawn by a fixed seed."""
    words = read_words(o.wordnet)
    chosen = random.Random(1).sample(sorted(words), o.words + o.dev)
    count = {}
    for word in chosen[:o.words]:
        for label in {label for label, _ in words[word]}:
            count[label] = count.get(label, 0) + 1
    kept = {label for label, n in count.items() if n >= float(o.rare) * o.words}
    paths = []
    for name, part in (("train", chosen[:o.words]), ("dev", chosen[o.words:])):
        path = pathlib.Path(o.work) / f"{name}_{o.words}_{o.rare}.jsonl"
        rows = ({"text": f"{word}: " + "; ".join(text for _, text in words[word]),
                 "labels": sorted({label for label, _ in words[word]} & kept)} for word in part)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        paths.append(str(path))
    return paths


def judge(folder, dev):
    """Micro and macro F1 of predict_results.txt by scikit-learn."""
    from sklearn.metrics import f1_score
    from sklearn.preprocessing import MultiLabelBinarizer
    labels = json.loads((folder / "config.json").read_text())["id2label"]
    names = [labels[str(i)] for i in range(len(labels))]  # the order decides the last digit
    lines = (folder / "predict_results.txt").read_text().splitlines()[1:]
    binarizer = MultiLabelBinarizer(classes=names).fit([names])
    wanted = binarizer.transform([json.loads(line)["labels"] for line in pathlib.Path(dev).open()])
    found = binarizer.transform([json.loads(line.split("\t")[1]) for line in lines])
    return {f"eval_f1_{average}": float(f1_score(wanted, found, average=average, zero_division=0))
            for average in ("micro", "macro")}


def run_mantissa(o, run, files):
    folder = pathlib.Path(o.work) / "_".join(str(run[key]) for key in sorted(run))
    command = [o.mantissa, "train", "--model_name_or_path", o.model, "--train_file", files[0],
               "--validation_file", files[1], "--test_file", files[1], "--do_predict",
               "--output_dir", str(folder), "--precision", run["precision"], "--seed",
               str(run["seed"]), "--num_train_epochs", str(run["epochs"]), "--learning_rate",
               run["lr"], "--warmup_ratio", "0.1", "--per_device_train_batch_size",
               str(run["batch"]), "--max_seq_length", "64", "--save_steps", "200",
               "--save_total_limit", "1", "--num_threads", str(o.threads)]
    if any(folder.glob("checkpoint-*")):
        command += ["--resume_from_checkpoint", "last"]
    elif folder.exists():
        command += ["--overwrite_output_dir"]
    subprocess.run(command, check=True)
    results = json.loads((folder / "eval_results.json").read_text())
    values = {key: results[key] for key in ("eval_loss", "eval_accuracy", "eval_f1_micro",
                                            "eval_f1_macro")}
    for key, value in judge(folder, files[1]).items():
        if value != values[key]:
            sys.exit(f"{folder}: {key} {values[key]!r}, by scikit-learn {value!r}")
    return values


def read_results(path):
    return [json.loads(line) for line in path.open()] if path.exists() else []


def table(results):
    print("| precision | seeds | loss | exact sets | micro F1 | macro F1 |\n|---|---|---|---|---|---|")
    for precision in dict.fromkeys(line["precision"] for line in results):
        lines = [line for line in results if line["precision"] == precision]
        cells = []
        for key in ("eval_loss", "eval_accuracy", "eval_f1_micro", "eval_f1_macro"):
            values = [line[key] for line in lines]
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            cells.append(f"{statistics.mean(values):.4f} ± {spread:.4f}")
        print(f"| {precision} | {len(lines)} | {' | '.join(cells)} |")


def main():
    o = parse()
    out = pathlib.Path(o.out)
    if o.table:
        table(read_results(out))
        return
    pathlib.Path(o.work).mkdir(parents=True, exist_ok=True)
    files = make_files(o)
    for seed in o.seeds.split(","):
        for precision in o.precisions.split(","):
            run = {"precision": precision, "seed": int(seed), "words": o.words, "dev": o.dev,
                   "epochs": o.epochs, "lr": o.lr, "rare": o.rare, "batch": o.batch}
            if any(all(line[key] == run[key] for key in run) for line in read_results(out)):
                continue
            line = json.dumps(run | run_mantissa(o, run, files))
            with out.open("a") as file:
                file.write(line + "\n")
            print(line, flush=True)


if __name__ == "__main__":
    main()
