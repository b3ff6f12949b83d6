#!/usr/bin/env python3
"""Compare fine-tuning by Mantissa with PyTorch and transformers, on MiniLM and real data.

    check_parity.py [MANTISSA MODEL_DIR DATA_DIR]

MANTISSA   the command                               default: $MANTISSA_BUILD/mantissa
MODEL_DIR  MiniLM-L6 (tools/fetch_minilm.sh)         default: $MANTISSA_TEST_MODEL
DATA_DIR   the folder with MRPC and SST-2, or the
           folder above, where they are in glue      default: $MANTISSA_TEST_DATA

Both start from one folder with a classification head and see the same batches, without dropout:

  gradients  of the first step on MRPC, from one step of SGD with a large rate, as (before - after)
             / rate: of each tensor, the largest difference to 1e-3 of the largest gradient.  Keys'
             biases have none (softmax does not change when all scores of a row grow by one number):
             both sides hold rounding noise, measured by the gradient of the queries' biases
  losses     20 steps of AdamW on MRPC in fp32: each loss to 1e-4 of itself
  folder     transformers opens what was written: weights, labels, tokenizer, trainer state
  logits     200 texts by `mantissa predict` and by transformers from the same folder, MRPC trained
             in fp32 and SST-2 trained in int8: fp32 to 1e-4; b bits to an error that halves with
             each bit, root mean square 0.2 and largest 1 times 2^(8-b) of the logits' spread
             (the root mean square deviation of a logit from its mean over the texts)
  case       folders whose tokenizer.json keeps capitals and accents, while no other file says so,
             or tokenizer_config.json says otherwise: after a step, the same logits in transformers
             as in `mantissa predict`, for texts with both
Exit status 1 if anything differs by more, 77 if a program or folder is not given.

Needs numpy, safetensors, torch and transformers.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.numpy import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from transformers.trainer_callback import TrainerState
from transformers.trainer_pt_utils import get_parameter_names

STEPS, BATCH, RATE, DECAY, CLIP, SEED, MAX_LENGTH = 20, 16, 5e-5, 0.01, 1.0, 42, 128
SGD_RATE = 1000.0
SST2_STEPS, SST2_ROWS, SST2_RATE = 60, 2000, 2e-4
TEXTS = 200
LOSS_TOLERANCE = 1e-4
GRADIENT_TOLERANCE = 1e-3
LOGIT_TOLERANCE = 1e-4
RMS_OF_INT8, LARGEST_OF_INT8 = 0.2, 1.0
MRPC_LABELS = {0: "not_equivalent", 1: "equivalent"}
SST2_LABELS = {0: "negative", 1: "positive"}
CASED = ("The", "Berlin", "caf\u00e9", "\u00dcber", "X", "##Y")
CASED_TEXTS = ("The Berlin caf\u00e9 is \u00dcBER all", "the berlin cafe is \u00fcber all",
               "THE BERLIN CAF\u00c9", "\u00dcber XY, xy", "cafe\u0301 Caf\u00e9 na\u00efve",
               "X Y x y")
TOKENIZER_FILES = ("vocab.txt", "tokenizer.json", "tokenizer_config.json",
                   "special_tokens_map.json")


# ------------------------------------------------------------------------------ the same batches

def splitmix64(x):
    x = (x + 0x9E3779B97F4A7C15) & (2**64 - 1)
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & (2**64 - 1)
    return x ^ (x >> 31)


def row_order(n, seed, epoch):
    """The order of an epoch's rows, as src/data/sampler.h and src/base/rng.h define it."""
    shuffle = 6  # RNG_SHUFFLE, of tensor 0
    key = splitmix64(splitmix64(splitmix64(seed) ^ epoch) ^ shuffle)
    a, b = key & 0xFFFFFFFF, key >> 32

    def draw(i):
        x = i ^ a
        x = ((x ^ (x >> 16)) * 0x21F0AAAD) & 0xFFFFFFFF
        x = (x + b) & 0xFFFFFFFF
        x = ((x ^ (x >> 15)) * 0x735A2D97) & 0xFFFFFFFF
        return x ^ (x >> 15)

    order = list(range(n))
    for i in range(n - 1, 0, -1):
        j = (draw(2 * i) << 32 | draw(2 * i + 1)) % (i + 1)
        order[i], order[j] = order[j], order[i]
    return order


def read_table(path, *columns):
    """The columns of a file of GLUE, which has no quoting."""
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8-sig").split("\n") if line]
    return [[row[rows[0].index(name)] for row in rows[1:]] for name in columns]


def encode(tokenizer, texts):
    """texts: one column, or two."""
    return dict(tokenizer(*texts, padding=True, truncation=True, max_length=MAX_LENGTH,
                          return_tensors="pt"))


class Batches:
    """Those of the first epoch on MRPC."""

    def __init__(self, tokenizer, path):
        self.tokenizer = tokenizer
        *self.texts, self.labels = read_table(path, "#1 String", "#2 String", "Quality")
        self.order = row_order(len(self.labels), SEED, 0)

    def get(self, step):
        rows = self.order[step * BATCH:(step + 1) * BATCH]
        inputs = encode(self.tokenizer, [[column[i] for i in rows] for column in self.texts])
        return inputs | {"labels": torch.tensor([int(self.labels[i]) for i in rows])}


# ------------------------------------------------------------------------------------- both sides

class Checks:
    """Prints each comparison as it is made and remembers whether one failed."""

    def __init__(self):
        self.failed = 0

    def check(self, ok, text):
        self.failed += not ok
        print(f"  {'ok    ' if ok else 'FAILED'} {text}", flush=True)


class Mantissa:
    def __init__(self, program, start, data, folder):
        self.program, self.start, self.data, self.folder = program, start, data, folder

    def run(self, *words):
        command = [self.program, *map(str, words), "--num_threads", "1"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}"
                             f"exit status {done.returncode}")
        return done.stdout

    def train(self, name, task, *words):
        """The folder that this run wrote."""
        out = self.folder / name
        self.run("train", "--model_name_or_path", self.start, "--task_name", task, "--data_dir",
                 self.data, "--output_dir", out, "--seed", SEED, "--max_seq_length", MAX_LENGTH,
                 "--per_device_train_batch_size", BATCH, "--do_eval", 0, "--save_strategy", "no",
                 "--logging_steps", 1, "--hidden_dropout", 0, "--attention_dropout", 0,
                 "--classifier_dropout", 0, *words)
        return out

    def predict(self, model, texts, precision):
        lines = self.folder / "lines"
        lines.write_text("".join("\t".join(row) + "\n" for row in zip(*texts)), encoding="utf-8")
        out = self.run("predict", model, "--input", lines, "--format", "jsonl", "--precision",
                       precision, "--max_seq_length", MAX_LENGTH)
        return np.array([json.loads(line)["logits"] for line in out.splitlines()])


def open_model(folder, **words):
    """The model in evaluation mode (no dropout), and what from_pretrained said of its tensors."""
    model, info = AutoModelForSequenceClassification.from_pretrained(
        folder, output_loading_info=True, dtype=torch.float32, attn_implementation="eager", **words)
    return model.eval(), {key: sorted(value) for key, value in info.items() if value}


def make_start(model_dir, folder):
    """MiniLM with a new head: both sides begin with the same numbers."""
    torch.manual_seed(SEED)
    model, _ = open_model(model_dir, num_labels=2)
    model.save_pretrained(folder)
    for name in TOKENIZER_FILES:
        if (model_dir / name).exists():
            shutil.copy(model_dir / name, folder)


def torch_losses(start, batches):
    model, _ = open_model(start)
    decayed = set(get_parameter_names(model, [torch.nn.LayerNorm], [r"bias", r"layernorm"]))
    named = list(model.named_parameters())
    groups = [{"params": [p for n, p in named if n in decayed], "weight_decay": DECAY},
              {"params": [p for n, p in named if n not in decayed], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=RATE)
    scheduler = transformers.get_linear_schedule_with_warmup(optimizer, 0, STEPS)
    losses = []
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = model(**batches.get(step)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    return losses


def torch_gradients(start, batches):
    model, _ = open_model(start)
    model(**batches.get(0)).loss.backward()
    return {name: p.grad.numpy() for name, p in model.named_parameters()}


# ------------------------------------------------------------------------------------ comparisons

def check_gradients(checks, mantissa, batches):
    out = mantissa.train("sgd", "mrpc", "--precision", "fp32", "--max_steps", 1, "--optim", "sgd",
                         "--learning_rate", SGD_RATE, "--lr_scheduler_type", "constant",
                         "--max_grad_norm", 0, "--weight_decay", 0)
    before = load_file(mantissa.start / "model.safetensors")
    after = load_file(out / "model.safetensors")
    wanted = torch_gradients(mantissa.start, batches)
    assert before.keys() == after.keys() == wanted.keys()
    rows = []
    for name, gradient in wanted.items():
        found = (before[name].astype(np.float64) - after[name]) / SGD_RATE
        largest = np.abs(wanted[name.replace(".key.bias", ".query.bias")]).max()
        rows.append((np.abs(found - gradient).max() / largest, largest, name))
    rows.sort(reverse=True)
    print(f"\ngradients of the first step, {len(rows)} tensors, the worst of them\n"
          "  difference   largest gradient")
    for error, largest, name in rows[:5]:
        print(f"  {error:10.2e}   {largest:.2e}  {name}")
    checks.check(all(largest > 0 for _, largest, _ in rows), "every tensor has a gradient")
    checks.check(rows[0][0] <= GRADIENT_TOLERANCE,
                 f"largest difference {rows[0][0]:.2e} (at most {GRADIENT_TOLERANCE:g})")


def check_losses(checks, mantissa, batches):
    """The folder written."""
    out = mantissa.train("fp32", "mrpc", "--precision", "fp32", "--max_steps", STEPS,
                         "--learning_rate", RATE, "--lr_scheduler_type", "linear",
                         "--weight_decay", DECAY, "--max_grad_norm", CLIP)
    log = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    found = [line["loss"] for line in log if "loss" in line]
    wanted = torch_losses(mantissa.start, batches)
    assert len(found) == STEPS
    errors = [abs(f - w) / abs(w) for f, w in zip(found, wanted)]
    print(f"\nlosses of {STEPS} steps, fp32\n  step    mantissa     PyTorch   relative difference")
    for step, (f, w, e) in enumerate(zip(found, wanted, errors), 1):
        print(f"  {step:4} {f:11.7f} {w:11.7f}   {e:.2e}")
    worst = max(errors)
    checks.check(worst <= LOSS_TOLERANCE,
                 f"largest difference {worst:.2e} (at most {LOSS_TOLERANCE:g})")
    return out


def check_folder(checks, folder, labels, steps, tokenizer, texts):
    """What transformers makes of the folder; the model."""
    print(f"\nthe {folder.name} folder in transformers")
    model, info = open_model(folder)
    checks.check(not info, f"no tensor is missing, unexpected or of another shape {info or ''}")
    checks.check(type(model).__name__ == "BertForSequenceClassification",
                 f"class {type(model).__name__}")
    names = {int(i): name for i, name in model.config.id2label.items()}
    numbers = {int(i): name for name, i in model.config.label2id.items()}
    checks.check(names == numbers == labels, f"labels {names}")
    found, wanted = encode(AutoTokenizer.from_pretrained(folder), texts), encode(tokenizer, texts)
    checks.check(found.keys() == wanted.keys() and
                 all(torch.equal(found[key], wanted[key]) for key in wanted),
                 f"tokenizer: the same ids for {len(texts[0])} rows")
    state = TrainerState.load_from_json(str(folder / "trainer_state.json"))
    logged = [line["step"] for line in state.log_history if "loss" in line]
    checks.check(state.global_step == state.max_steps == steps and
                 logged == list(range(1, steps + 1)),
                 f"trainer_state.json: step {state.global_step} of {state.max_steps}, "
                 f"{len(logged)} losses")
    results = [json.loads((folder / name).read_text())
               for name in ("train_results.json", "all_results.json")]
    checks.check(all(r.get("train_loss", 0) > 0 for r in results),
                 "train_results.json, all_results.json")
    return model


def torch_logits(model, tokenizer, texts):
    with torch.no_grad():
        return np.concatenate([
            model(**encode(tokenizer, [column[i:i + 20] for column in texts])).logits.numpy()
            for i in range(0, len(texts[0]), 20)])


def check_logits(checks, mantissa, folder, model, tokenizer, texts, precisions):
    wanted = torch_logits(model, tokenizer, texts)
    spread = np.sqrt(((wanted - wanted.mean(axis=0))**2).mean())
    print(f"\nlogits of {len(wanted)} rows from the {folder.name} folder: {wanted.min():.3f} to "
          f"{wanted.max():.3f}, spread {spread:.4f}")
    for precision in precisions:
        found = mantissa.predict(folder, texts, precision)
        assert found.shape == wanted.shape
        error = np.abs(found - wanted)
        if precision == "fp32":
            checks.check(error.max() <= LOGIT_TOLERANCE, f"fp32   largest difference "
                         f"{error.max():.2e} (at most {LOGIT_TOLERANCE:g})")
            continue
        part = 2.0**(8 - int(precision.removeprefix("int")))
        rms, largest = np.sqrt((error**2).mean()) / spread, error.max() / spread
        agree = (found.argmax(axis=1) == wanted.argmax(axis=1)).mean()
        checks.check(rms <= RMS_OF_INT8 * part and largest <= LARGEST_OF_INT8 * part,
                     f"{precision:6} error / spread: root mean square {rms:.5f} (at most "
                     f"{RMS_OF_INT8 * part:.5f}), largest {largest:.5f} (at most "
                     f"{LARGEST_OF_INT8 * part:.5f}); same label {agree:.1%}")


# ------------------------------------------------------------------------------------------- main

def check_mrpc(checks, mantissa, tokenizer):
    batches = Batches(tokenizer, mantissa.data / "MRPC" / "train.tsv")
    texts = read_table(mantissa.data / "MRPC" / "dev.tsv", "#1 String", "#2 String")
    texts = [column[:TEXTS] for column in texts]
    check_gradients(checks, mantissa, batches)
    folder = check_losses(checks, mantissa, batches)
    model = check_folder(checks, folder, MRPC_LABELS, STEPS, tokenizer, texts)
    check_logits(checks, mantissa, folder, model, tokenizer, texts, ["fp32"])


def check_sst2(checks, mantissa, tokenizer):
    """Long enough to learn: what integers do to the logits is compared with their spread."""
    folder = mantissa.train("int8", "sst2", "--precision", "int8", "--max_steps", SST2_STEPS,
                            "--max_train_samples", SST2_ROWS, "--learning_rate", SST2_RATE)
    texts = [read_table(mantissa.data / "SST-2" / "dev.tsv", "sentence")[0][:TEXTS]]
    model = check_folder(checks, folder, SST2_LABELS, SST2_STEPS, tokenizer, texts)
    check_logits(checks, mantissa, folder, model, tokenizer, texts,
                 ["fp32", "int16", "int12", "int10", "int8"])


def make_cased(start, folder, config):
    """The start with words of capitals and accents in tokenizer.json; `config`: the settings."""
    folder.mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copy(start / name, folder)
    root = json.loads((start / "tokenizer.json").read_text(encoding="utf-8"))
    vocab = root["model"]["vocab"]
    for i, word in enumerate(CASED):
        vocab[word] = vocab.pop(f"[unused{10 + i}]")
    root["normalizer"].update(lowercase=False, strip_accents=None)
    (folder / "tokenizer.json").write_text(json.dumps(root), encoding="utf-8")
    if config is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")


def check_case(checks, mantissa):
    """What is written has one rule of case, whichever file a reader goes by."""
    settings = {"no settings": None, "a class": {"tokenizer_class": "BertTokenizer"},
                "as json says": {"tokenizer_class": "PreTrainedTokenizerFast"},
                "contradicted": {"tokenizer_class": "BertTokenizer", "do_lower_case": True}}
    for name, config in settings.items():
        start, texts = mantissa.folder / f"{name}, before", [list(CASED_TEXTS)]
        make_cased(mantissa.start, start, config)
        folder = mantissa.train(f"{name}, cased", "mrpc", "--precision", "fp32", "--max_steps", 1,
                                "--model_name_or_path", start)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        capitals, small = (tokenizer(text)["input_ids"] for text in ("The Berlin", "the berlin"))
        checks.check((capitals != small) == (name != "contradicted"),
                     f"{folder.name}: capitals {'count' if capitals != small else 'do not count'}")
        check_logits(checks, mantissa, folder, open_model(folder)[0], tokenizer, texts, ["fp32"])


def arguments():
    """Program and folders, or an exit status."""
    words = sys.argv[1:]
    if not words:
        names = ("MANTISSA_BUILD", "MANTISSA_TEST_MODEL", "MANTISSA_TEST_DATA")
        missing = [name for name in names if not os.environ.get(name)]
        if missing:
            print(f"skipped: {', '.join(missing)} not set")
            return 77
        words = [os.environ[name] for name in names]
        words[0] += "/mantissa"
    if len(words) != 3:
        print(__doc__)
        return 2
    program, model_dir, data = (Path(word).resolve() for word in words)
    return program, model_dir, data / "glue" if (data / "glue").is_dir() else data


def main():
    given = arguments()
    if isinstance(given, int):
        return given
    program, model_dir, data = given
    started = time.monotonic()
    torch.set_num_threads(1)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    print(f"torch {torch.__version__}, transformers {transformers.__version__}")
    checks = Checks()
    with tempfile.TemporaryDirectory() as name:
        start = Path(name) / "start"
        make_start(model_dir, start)
        mantissa = Mantissa(program, start, data, Path(name))
        tokenizer = AutoTokenizer.from_pretrained(start)
        check_mrpc(checks, mantissa, tokenizer)
        check_sst2(checks, mantissa, tokenizer)
        check_case(checks, mantissa)
    print(f"\n{checks.failed} comparisons failed, {time.monotonic() - started:.0f} s")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
