#!/usr/bin/env python3
"""Make the golden values of tests/golden/test_golden_bert.c, or check them, with transformers.

    make_golden.py [FOLDER]            write the model folders and the values
    make_golden.py --check [FOLDER]    compute the values anew from the model folders and compare

FOLDER is tests/golden/data of this repository if not given.  Three tiny random BERTs:

  classifier  three classes, GELU; bfloat16 file; 10 steps of AdamW, linear schedule
  regression  one output, tanh approximation of GELU; float16 file; 10 steps of SGD with momentum,
              cosine schedule
  multi_label five labels, of which each row has a set; bfloat16 file; AdamW as above

each a folder as transformers writes it, with golden.safetensors beside: batches (rows one behind
the other, without padding); activations, logits, loss and all gradients of the first batch; losses
of the steps (batches in turn); for the classifier also the first batch with other activation
functions.  PyTorch computes on padded batches with an attention mask, without dropout, in double
precision, so that the values are exact to the last digit of the float32 in which they are kept.
Versions are in the metadata of golden.safetensors.

Needs safetensors, torch and transformers.
"""
import sys
from pathlib import Path

import torch
import transformers
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import AutoModelForSequenceClassification, BertConfig
from transformers import BertForSequenceClassification, get_scheduler
from transformers.trainer_pt_utils import get_parameter_names

STEPS = 10
TOLERANCE = 1e-5  # of --check, relative to the largest element of a tensor
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"0123456789.,",
              *"abcdefghijklmnopqrstuvwxyz", *(f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz")]
CASES = {
    "classifier": {
        "config": {"hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 2,
                   "intermediate_size": 44, "vocab_size": len(VOCABULARY),
                   "max_position_embeddings": 24, "num_labels": 3, "hidden_act": "gelu"},
        "dtype": torch.bfloat16, "lengths": [[7, 1, 12], [5, 9, 3, 2]],
        "activations": True, "variants": ["gelu_new", "relu", "silu", "tanh"],
        "train": {"optim": "adamw", "rate": 3e-3, "decay": 0.1, "clip": 1.0, "warmup": 2,
                  "schedule": "linear"}},
    "regression": {
        "config": {"hidden_size": 12, "num_attention_heads": 3, "num_hidden_layers": 3,
                   "intermediate_size": 20, "vocab_size": len(VOCABULARY),
                   "max_position_embeddings": 16, "num_labels": 1, "hidden_act": "gelu_new",
                   "problem_type": "regression", "layer_norm_eps": 1e-5},
        "dtype": torch.float16, "lengths": [[6, 16, 2, 4], [3, 11]],
        "activations": False, "variants": [],
        "train": {"optim": "sgd", "rate": 0.02, "decay": 0.05, "clip": 2.0, "warmup": 3,
                  "schedule": "cosine", "momentum": 0.9}},
    "multi_label": {
        "config": {"hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 2,
                   "intermediate_size": 28, "vocab_size": len(VOCABULARY),
                   "max_position_embeddings": 16, "num_labels": 5, "hidden_act": "gelu",
                   "problem_type": "multi_label_classification"},
        "dtype": torch.bfloat16, "lengths": [[4, 9, 1, 6], [8, 2, 5]],
        "activations": False, "variants": [],
        "train": {"optim": "adamw", "rate": 3e-3, "decay": 0.1, "clip": 1.0, "warmup": 2,
                  "schedule": "linear"}},
}


def make_model(folder, case):
    """Weights larger than a real initialisation, so that every path of a gradient counts."""
    model = BertForSequenceClassification(BertConfig(**case["config"]))
    with torch.no_grad():
        for name, p in model.named_parameters():
            mean = 1.0 if name.endswith("LayerNorm.weight") else 0.0
            p.normal_(mean, 0.1 if p.dim() == 1 else p.shape[1]**-0.5)
    model.to(case["dtype"]).save_pretrained(folder)
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in VOCABULARY))


def make_batch(lengths, config):
    n, labels = len(lengths), config["num_labels"]
    if labels == 1:
        targets = torch.randn(n)
    elif config.get("problem_type") == "multi_label_classification":
        targets = torch.randint(2, (n, labels)).float()
    else:
        targets = torch.randint(labels, (n,)).float()
    return {"lengths": torch.tensor(lengths),
            "ids": torch.cat([torch.randint(1, config["vocab_size"], (n,)) for n in lengths]).int(),
            "type_ids": torch.cat([(torch.arange(n) > n // 2) for n in lengths]).int(),
            "labels": targets}


def padded(batch, config):
    """What transformers is given; and which positions are real."""
    lengths = batch["lengths"].tolist()

    def pad(x):
        return torch.nn.utils.rnn.pad_sequence(x.long().split(lengths), batch_first=True)

    mask = pad(torch.ones_like(batch["ids"]))
    labels = batch["labels"].double() if "problem_type" in config else batch["labels"].long()
    return {"input_ids": pad(batch["ids"]), "token_type_ids": pad(batch["type_ids"]),
            "attention_mask": mask, "labels": labels}, mask.bool()


def open_model(folder, **words):
    model, info = AutoModelForSequenceClassification.from_pretrained(
        folder, dtype=torch.float64, attn_implementation="eager", output_loading_info=True, **words)
    assert not any(info.values()), info
    return model.eval()


def watch(model, kept):
    """Keep what some modules return."""
    def keep(name):
        def hook(_module, _inputs, output):
            kept[name] = output[0] if isinstance(output, tuple) else output
        return hook

    model.bert.embeddings.register_forward_hook(keep("layer.0.input"))
    for i, layer in enumerate(model.bert.encoder.layer):
        layer.attention.self.register_forward_hook(keep(f"layer.{i}.context"))
        layer.attention.output.register_forward_hook(keep(f"layer.{i}.h1"))
        layer.intermediate.dense.register_forward_hook(keep(f"layer.{i}.u"))
        layer.register_forward_hook(keep(f"layer.{i + 1}.input"))


def first_batch(folder, case, batch, values):
    model, kept = open_model(folder), {}
    inputs, real = padded(batch, case["config"])
    watch(model, kept)
    out = model(**inputs)
    out.loss.backward()
    values["logits"], values["loss"] = out.logits, out.loss
    values |= {f"grad.{name}": p.grad for name, p in model.named_parameters()}
    last = kept.pop(f"layer.{model.config.num_hidden_layers}.input")
    if case["activations"]:
        values |= {name: x[real] for name, x in kept.items()}
        values["first"] = last[:, 0]
        values["pooled"] = model.bert.pooler(last)
    return values


def variants(folder, case, batch, values):
    inputs, _ = padded(batch, case["config"])
    for act in case["variants"]:
        model = open_model(folder, hidden_act=act)
        out = model(**inputs)
        out.loss.backward()
        values[f"{act}.logits"], values[f"{act}.loss"] = out.logits, out.loss
        values[f"{act}.grad"] = model.bert.encoder.layer[0].intermediate.dense.bias.grad


def make_optimizer(model, train):
    """The groups of transformers' Trainer."""
    decayed = set(get_parameter_names(model, [torch.nn.LayerNorm], [r"bias", r"layernorm"]))
    named = list(model.named_parameters())
    groups = [{"params": [p for n, p in named if n in decayed], "weight_decay": train["decay"]},
              {"params": [p for n, p in named if n not in decayed], "weight_decay": 0.0}]
    if train["optim"] == "adamw":
        return torch.optim.AdamW(groups, lr=train["rate"])
    return torch.optim.SGD(groups, lr=train["rate"], momentum=train["momentum"])


def train_steps(folder, case, batches, values):
    """The loss and the norm of the gradients before each step; the logits after the last."""
    train, model = case["train"], open_model(folder)
    optimizer = make_optimizer(model, train)
    scheduler = get_scheduler(train["schedule"], optimizer, train["warmup"], STEPS)
    losses, norms = [], []
    for step in range(STEPS):
        inputs, _ = padded(batches[step % len(batches)], case["config"])
        optimizer.zero_grad()
        loss = model(**inputs).loss
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), train["clip"]).item())
        losses.append(loss.item())
        optimizer.step()
        scheduler.step()
    inputs, _ = padded(batches[0], case["config"])
    values["train.losses"] = torch.tensor(losses)
    values["train.norms"] = torch.tensor(norms)
    values["train.logits"] = model(**inputs).logits
    for key in ("rate", "decay", "clip", "warmup"):
        values[f"train.{key}"] = torch.tensor(float(train[key]))


def compute(folder, case, batches):
    values = {}
    first_batch(folder, case, batches[0], values)
    variants(folder, case, batches[0], values)
    train_steps(folder, case, batches, values)
    return {name: x.detach().float().contiguous() for name, x in values.items()}


def make(folder, case):
    make_model(folder, case)
    batches = [make_batch(lengths, case["config"]) for lengths in case["lengths"]]
    tensors = compute(folder, case, batches)
    for i, batch in enumerate(batches):
        tensors |= {f"batch.{i}.{name}": x for name, x in batch.items()}
    versions = {"torch": torch.__version__, "transformers": transformers.__version__,
                "made_by": "tools/make_golden.py"}
    save_file(tensors, folder / "golden.safetensors", versions)
    for path in folder.iterdir():
        path.chmod(0o644)
    print(f"{folder}: {sum(path.stat().st_size for path in folder.iterdir())} bytes")


def check(folder, case):
    """Whether the file holds what this PyTorch computes from the model and the batches."""
    with safe_open(folder / "golden.safetensors", "pt") as file:
        versions, kept = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}
    batches = [{name: kept.pop(f"batch.{i}.{name}") for name in ("lengths", "ids", "type_ids",
                                                               "labels")}
               for i in range(len(case["lengths"]))]
    values = compute(folder, case, batches)
    assert values.keys() == kept.keys()
    worst = max(((values[name] - x).abs().max() / (x.abs().max() + 1e-6)).item()
                for name, x in kept.items())
    print(f"{folder.name}: {len(kept)} tensors of torch {versions['torch']} and transformers "
          f"{versions['transformers']}, largest difference {worst:.2e} (at most {TOLERANCE:g})")
    return worst <= TOLERANCE


def main():
    words = sys.argv[1:]
    only_check = words[:1] == ["--check"]
    words = words[only_check:]
    data = Path(words[0] if words else Path(__file__).parent.parent / "tests/golden/data").resolve()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    if only_check:
        return 0 if all([check(data / name, case) for name, case in CASES.items()]) else 1
    for name, case in CASES.items():
        (data / name).mkdir(parents=True, exist_ok=True)
        make(data / name, case)
    return 0


if __name__ == "__main__":
    sys.exit(main())
