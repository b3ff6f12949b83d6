"""What the gates share that compare the command with transformers and PEFT: no gate of its own.

Checks      counts the comparisons that failed
Command     runs the command; train gives the losses of its steps
run_gate    what main is: the command by argument or $MANTISSA_BUILD, a folder, the number of failures
"""
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import peft
import torch
import transformers


class Checks:
    """Prints each comparison as it is made and remembers whether one failed."""

    def __init__(self):
        self.failed = 0

    def check(self, ok, text):
        self.failed += not ok
        print(f"  {'ok    ' if ok else 'FAILED'} {text}", flush=True)


class Command:
    """steps, batch: of a training; everywhere: words of each call."""

    def __init__(self, program, steps, batch, everywhere=()):
        self.program, self.steps, self.batch, self.everywhere = program, steps, batch, everywhere

    def run(self, *words):
        command = [self.program, *map(str, words), *map(str, self.everywhere), "--num_threads", "1"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"
                             f"exit status {done.returncode}")
        return done.stdout

    def train(self, model, file, out, rate, *words):
        """The losses of the steps."""
        self.run("train", "--model_name_or_path", model, "--train_file", file, "--output_dir", out,
                 "--max_steps", self.steps, "--per_device_train_batch_size", self.batch,
                 "--learning_rate", rate, "--lr_scheduler_type", "constant", "--max_grad_norm", 0,
                 "--weight_decay", 0, "--train_sampling_strategy", "sequential", "--save_strategy",
                 "no", "--logging_steps", 1, *words)
        lines = map(json.loads, (out / "metrics.jsonl").read_text().splitlines())
        return [line["loss"] for line in lines if "loss" in line]


def run_gate(doc, make_checks, make_command, check_all):
    """check_all(make_checks(), make_command(path of the program), empty folder); the exit status."""
    words = sys.argv[1:]
    if not words and not os.environ.get("MANTISSA_BUILD"):
        print("skipped: MANTISSA_BUILD not set")
        return 77
    if len(words) > 1:
        print(doc)
        return 2
    program = Path(words[0] if words else Path(os.environ["MANTISSA_BUILD"]) / "mantissa").resolve()
    started = time.monotonic()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    warnings.filterwarnings("ignore", category=FutureWarning)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    print(f"torch {torch.__version__}, transformers {transformers.__version__}, "
          f"peft {peft.__version__}")
    checks = make_checks()
    with tempfile.TemporaryDirectory() as name:
        check_all(checks, make_command(program), Path(name))
    print(f"\n{checks.failed} comparisons failed, {time.monotonic() - started:.0f} s")
    return 1 if checks.failed else 0
