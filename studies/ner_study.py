#!/usr/bin/env python3
"""The table of named entities: fine-tune one model on WNUT-17 in several precisions and seeds.

    studies/ner_study.py --mantissa build/mantissa --model MODEL_DIR --data WNUT_DIR --work FOLDER
                         --out RESULTS.jsonl [--precisions int8,fp32,torch] [--seeds 1,2,3]
                         [--lr 2e-4] [--batch 16] [--epochs 3] [--sentences N] [--threads 2] [--table]

Trains on train.conll, judges the predictions of dev.conll and test.conll; --sentences: the first N
of train.conll.  Every run is one line of RESULTS.jsonl; runs that are there are not repeated, and one
that was stopped goes on from its last checkpoint in FOLDER.  "torch" is ner_reference.py: PyTorch in
fp32 with the same rows, batch size, schedule, decay groups and epochs.

The judge is seqeval, on the files of predictions (a word without tokens counts as O).  Where
Mantissa has metrics of its own, on dev.conll, they must be seqeval's of the words that it counts, or
the study stops.  Needs seqeval; "torch" also torch and transformers.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import warnings

from seqeval.metrics import accuracy_score, f1_score, precision_score, recall_score

HERE = os.path.dirname(os.path.abspath(__file__))
SPLITS = ("dev", "test")


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name in ("mantissa", "model", "data", "work"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--out", required=True)
    for name, default in (("precisions", "int8,fp32,torch"), ("seeds", "1,2,3"), ("lr", "2e-4"),
                          ("epochs", "3")):
        parser.add_argument(f"--{name}", default=default)
    for name, default in (("batch", 16), ("threads", 2), ("sentences", -1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--table", action="store_true")
    return parser.parse_args()


def read_tags(path):
    """The tags of each sentence of a file of columns."""
    sentences = [[]]
    with open(path, encoding="utf-8", newline="\n") as file:
        for line in file:
            line = line.rstrip("\r\n")
            if not line.strip():
                sentences.append([])
            else:
                sentences[-1].append(line.split("\t")[-1])
    return [tags for tags in sentences if tags]


def train_file(o):
    """train.conll, or its first sentences."""
    whole = os.path.join(o.data, "train.conll")
    if o.sentences < 0:
        return whole
    part = os.path.join(o.work, f"train_{o.sentences}.conll")
    left = o.sentences
    with open(whole, encoding="utf-8", newline="\n") as source, \
            open(part + ".tmp", "w", encoding="utf-8", newline="\n") as out:
        before = ""
        for line in source:
            left -= not line.strip() and bool(before.strip())
            if left <= 0:
                break
            out.write(line)
            before = line
    os.replace(part + ".tmp", part)
    return part


def run_mantissa(o, run, folder):
    """Train; then predict both sets with the model."""
    model = os.path.join(folder, "model")
    os.makedirs(model, exist_ok=True)
    command = [o.mantissa, "train", "--model_name_or_path", o.model, "--train_file", train_file(o),
               "--validation_file", os.path.join(o.data, "dev.conll"), "--output_dir", model,
               "--precision", run["precision"], "--seed", str(run["seed"]), "--num_train_epochs",
               run["epochs"], "--learning_rate", run["lr"], "--per_device_train_batch_size",
               str(run["batch"]), "--per_device_eval_batch_size", "32", "--warmup_ratio", "0.1",
               "--weight_decay", "0.01", "--save_steps", "100", "--save_total_limit", "1",
               "--num_threads", str(o.threads)]
    if any(name.startswith("checkpoint-") for name in os.listdir(model)):
        command += ["--resume_from_checkpoint", "last"]
    else:  # what a run left that was stopped before its first checkpoint
        command.append("--overwrite_output_dir")
    subprocess.run(command, check=True)
    for split in SPLITS:
        out = os.path.join(folder, f"{split}.jsonl")
        subprocess.run([o.mantissa, "predict", model, "--test_file",
                        os.path.join(o.data, f"{split}.conll"), "--format", "jsonl", "--output",
                        out, "--num_threads", str(o.threads)], check=True)
    check_own(o, folder)
    return {split: [[tag or "O" for tag in row["tags"]] for row in read(
        os.path.join(folder, f"{split}.jsonl"))] for split in SPLITS}


def check_own(o, folder):
    """Mantissa's metrics are seqeval's of the words that were read."""
    with open(os.path.join(folder, "model", "eval_results.json")) as file:
        own = json.load(file)
    truth, found = [], []
    for tags, row in zip(read_tags(os.path.join(o.data, "dev.conll")),
                         read(os.path.join(folder, "dev.jsonl"))):
        kept = [i for i, score in enumerate(row["scores"]) if score]
        truth.append([tags[i] for i in kept])
        found.append([row["tags"][i] for i in kept])
    for key, value in scores_of(truth, found).items():
        if own[f"eval_{key}"] != value:
            sys.exit(f"{folder}: eval_{key}: seqeval has {value!r}, found {own[f'eval_{key}']!r}")


def run_torch(o, run, folder):
    found = {}
    for split in SPLITS:  # the second only predicts: the training is done
        subprocess.run([sys.executable, os.path.join(HERE, "ner_reference.py"), "--model", o.model,
                        "--train", train_file(o), "--test",
                        os.path.join(o.data, f"{split}.conll"), "--output", folder, "--epochs",
                        run["epochs"], "--lr", run["lr"], "--batch", str(run["batch"]), "--seed",
                        str(run["seed"]), "--threads", str(o.threads)], check=True)
        with open(os.path.join(folder, "predictions.txt"), encoding="utf-8") as file:
            found[split] = [line.split() for line in file]
    return found


def scores_of(truth, found):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {name: float(score(truth, found)) for name, score in (
            ("precision", precision_score), ("recall", recall_score), ("f1", f1_score),
            ("accuracy", accuracy_score))}


def run_one(o, run):
    folder = os.path.join(o.work, "{precision}_{seed}_{sentences}".format(**run))
    os.makedirs(folder, exist_ok=True)
    start = time.time()
    found = (run_torch if run["precision"] == "torch" else run_mantissa)(o, run, folder)
    line = dict(run)
    for split in SPLITS:
        truth = read_tags(os.path.join(o.data, f"{split}.conll"))
        if [len(a) for a in truth] != [len(b) for b in found[split]]:
            sys.exit(f"{folder}: {split}: not a tag for each word")
        line |= {f"{split}_{key}": value for key, value in
                 scores_of(truth, found[split]).items()}
    return {**line, "seconds": round(time.time() - start)}


def read(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def print_table(lines):
    print("| precision | seeds | dev F1 | test precision | test recall | test F1 |")
    print("|---|---|---|---|---|---|")
    for precision in dict.fromkeys(line["precision"] for line in lines):
        found = [x for x in lines if x["precision"] == precision]
        cells = [f"{100 * statistics.mean(x[key] for x in found):.2f}"
                 for key in ("dev_f1", "test_precision", "test_recall", "test_f1")]
        print(f"| {precision} | {len(found)} | {' | '.join(cells)} |")


def main():
    o = parse()
    if not o.table:
        os.makedirs(o.work, exist_ok=True)
        for seed in o.seeds.split(","):
            for precision in o.precisions.split(","):
                run = {"precision": precision, "seed": int(seed), "lr": o.lr, "batch": o.batch,
                       "epochs": o.epochs, "sentences": o.sentences}
                if any(all(x[k] == v for k, v in run.items()) for x in read(o.out)):
                    continue
                line = run_one(o, run)
                with open(o.out, "a") as file:
                    file.write(json.dumps(line) + "\n")
                print(json.dumps(line), flush=True)
    print_table(read(o.out))


if __name__ == "__main__":
    main()
