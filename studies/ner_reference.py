#!/usr/bin/env python3
"""Token classification in PyTorch, fp32: what Mantissa's results are compared with.

    studies/ner_reference.py --model MODEL_DIR --train TRAIN.conll --test TEST.conll --output FOLDER
        [--epochs 3] [--batch 16] [--lr 2e-4] [--warmup_ratio 0.1] [--weight_decay 0.01] [--seed 1]
        [--max_length 512] [--threads 2] [--save_steps 100]

Fine-tunes a BERT folder by the rules of run_ner.py: the first token of a word has its tag, the others
are ignored; AdamW without decay of biases and layer norms, linear decay behind a warm-up, gradients
clipped to 1.  Rows are shuffled in each epoch and padded to the longest of their batch.

FOLDER gets predictions.txt, a line of tags for each sentence of TEST, O for words that were cut away
or have no tokens; and results.json.  A run that was stopped goes on from FOLDER/state.pt.
Development only: needs torch and transformers.
"""
import argparse
import json
import math
import random
import time
from pathlib import Path

import torch
from transformers import AutoModelForTokenClassification, AutoTokenizer

IGNORED = -100


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name in ("model", "train", "test", "output"):
        parser.add_argument(f"--{name}", required=True)
    for name, default in (("epochs", 3.0), ("lr", 2e-4), ("warmup_ratio", 0.1),
                          ("weight_decay", 0.01)):
        parser.add_argument(f"--{name}", type=float, default=default)
    for name, default in (("batch", 16), ("seed", 1), ("max_length", 512), ("threads", 2),
                          ("save_steps", 100)):
        parser.add_argument(f"--{name}", type=int, default=default)
    return parser.parse_args()


def read_columns(path, limit=-1):
    """[(words, tags)] of a file of columns: the word first, the tag last."""
    sentences, words, tags = [], [], []
    for line in [*Path(path).read_text(encoding="utf-8").split("\n"), ""]:
        line = line.rstrip("\r")
        if not line.strip() or line.split()[0] == "-DOCSTART-":
            if words:
                sentences.append((words, tags))
            words, tags = [], []
            continue
        columns = line.split("\t") if "\t" in line else line.split()
        words.append(columns[0])
        tags.append(columns[-1])
    return sentences[:limit] if limit >= 0 else sentences


def encode(tokenizer, sentences, number, max_length):
    """[(ids, targets, words)]: the word whose first token it is, or None."""
    rows = []
    for words, tags in sentences:
        row = tokenizer(words, is_split_into_words=True, truncation=True, max_length=max_length)
        places = row.word_ids()
        first = [w if w is not None and w not in places[:i] else None
                 for i, w in enumerate(places)]
        rows.append((row["input_ids"],
                     [IGNORED if w is None else number.get(tags[w], IGNORED) for w in first],
                     first))
    return rows


def tensors(rows, pad):
    longest = max(len(r[0]) for r in rows)
    ids = torch.tensor([r[0] + [pad] * (longest - len(r[0])) for r in rows])
    mask = torch.tensor([[1] * len(r[0]) + [0] * (longest - len(r[0])) for r in rows])
    labels = torch.tensor([r[1] + [IGNORED] * (longest - len(r[1])) for r in rows])
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def optimizer_of(model, o):
    groups = {True: [], False: []}
    for name, p in model.named_parameters():
        groups[not (name.endswith("bias") or "LayerNorm" in name)].append(p)
    return torch.optim.AdamW([{"params": groups[True], "weight_decay": o.weight_decay},
                              {"params": groups[False], "weight_decay": 0.0}], lr=o.lr)


def learning_rate(step, steps, o):
    """Of step 0, 1, ...: up over the warm-up, then down to 0."""
    warm = math.ceil(steps * o.warmup_ratio)
    if step < warm:
        return o.lr * step / max(1, warm)
    return o.lr * max(0.0, (steps - step) / max(1, steps - warm))


def save(state, path):
    torch.save(state, path.with_suffix(".tmp"))
    path.with_suffix(".tmp").replace(path)


def train(model, rows, pad, o, out):
    per_epoch = (len(rows) + o.batch - 1) // o.batch
    steps = math.ceil(per_epoch * o.epochs)
    optimizer, step, seconds, path = optimizer_of(model, o), 0, 0.0, out / "state.pt"
    if path.exists():
        state = torch.load(path, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["rng"])
        step, seconds = state["step"], state["seconds"]
        print(f"going on from step {step}", flush=True)
    begin, order, of_epoch = time.time(), [], -1
    model.train()
    while step < steps:
        if of_epoch != step // per_epoch:
            of_epoch = step // per_epoch
            order = list(range(len(rows)))
            random.Random(1000003 * o.seed + of_epoch).shuffle(order)
        first = step % per_epoch * o.batch
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps, o)
        loss = model(**tensors([rows[i] for i in order[first:first + o.batch]], pad)).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
        if step % 50 == 0 or step == steps:
            print(f"step {step}/{steps}: loss {loss.item():.4f}", flush=True)
        if step % o.save_steps == 0 or step == steps:
            save({"model": model.state_dict(), "optimizer": optimizer.state_dict(),
                  "rng": torch.get_rng_state(), "step": step,
                  "seconds": seconds + time.time() - begin}, path)
    return seconds + time.time() - begin


@torch.no_grad()
def predict(model, sentences, rows, names, pad, out):
    model.eval()
    lines = []
    for begin in range(0, len(rows), 32):
        part = rows[begin:begin + 32]
        batch = tensors(part, pad)
        batch.pop("labels")
        best = model(**batch).logits.argmax(-1).tolist()
        for k, row in enumerate(part):
            tags = ["O"] * len(sentences[begin + k][0])
            for i, word in enumerate(row[2]):
                if word is not None:
                    tags[word] = names[best[k][i]]
            lines.append(" ".join(tags) + "\n")
    (out / "predictions.txt").write_text("".join(lines), encoding="utf-8")


def main():
    o = parse()
    out = Path(o.output)
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(o.threads)
    torch.manual_seed(o.seed)
    sentences, test = read_columns(o.train), read_columns(o.test)
    names = sorted({tag for _, tags in sentences for tag in tags})
    number = {name: i for i, name in enumerate(names)}
    tokenizer = AutoTokenizer.from_pretrained(o.model)
    model = AutoModelForTokenClassification.from_pretrained(o.model, num_labels=len(names),
                                                            dtype=torch.float32)
    pad = tokenizer.pad_token_id
    seconds = train(model, encode(tokenizer, sentences, number, o.max_length), pad, o, out)
    predict(model, test, encode(tokenizer, test, number, o.max_length), names, pad, out)
    (out / "results.json").write_text(json.dumps({"train_seconds": seconds}) + "\n")


if __name__ == "__main__":
    main()
