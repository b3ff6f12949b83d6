#!/usr/bin/env python3
"""Make the golden values of tests/golden/test_golden_tokens.c, or check them, with transformers.

    make_golden_tokens.py [FOLDER]            write the model folder and the values
    make_golden_tokens.py --check [FOLDER]    compute the values anew and compare

FOLDER is tests/golden/data/tokens of this repository if not given.  A tiny random
BertForTokenClassification of five tags, as transformers writes it, with golden.safetensors beside:
one batch (rows one behind the other, without padding; tags, some of them -100), logits, loss and all
gradients, in double precision, computed on the padded batch.  Needs safetensors, torch and
transformers.
"""
import sys
from pathlib import Path

import torch
import transformers
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import AutoModelForTokenClassification, BertConfig, BertForTokenClassification

TOLERANCE = 1e-5  # of --check, relative to the largest element of a tensor
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz"]
TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
LENGTHS = [7, 1, 12, 4]
CONFIG = {"hidden_size": 24, "num_attention_heads": 3, "num_hidden_layers": 2,
          "intermediate_size": 36, "vocab_size": len(VOCABULARY), "max_position_embeddings": 16,
          "id2label": dict(enumerate(TAGS)), "label2id": {tag: i for i, tag in enumerate(TAGS)}}


def make_model(folder):
    """Weights larger than a real initialisation, so that every path of a gradient counts."""
    model = BertForTokenClassification(BertConfig(**CONFIG))
    with torch.no_grad():
        for name, p in model.named_parameters():
            mean = 1.0 if name.endswith("LayerNorm.weight") else 0.0
            p.normal_(mean, 0.1 if p.dim() == 1 else p.shape[1]**-0.5)
    folder.mkdir(parents=True, exist_ok=True)
    model.to(torch.bfloat16).save_pretrained(folder)
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in VOCABULARY))


def make_batch():
    tokens = sum(LENGTHS)
    tags = torch.randint(len(TAGS), (tokens,)).int()
    tags[torch.arange(tokens) % 4 == 0] = -100
    return {"lengths": torch.tensor(LENGTHS), "tags": tags,
            "ids": torch.randint(1, len(VOCABULARY), (tokens,)).int()}


def compute(folder, batch):
    model, info = AutoModelForTokenClassification.from_pretrained(
        folder, dtype=torch.float64, attn_implementation="eager", output_loading_info=True)
    assert not any(info.values()), info
    model.eval()
    lengths = batch["lengths"].tolist()

    def pad(x, value=0):
        return torch.nn.utils.rnn.pad_sequence(x.long().split(lengths), batch_first=True,
                                               padding_value=value)
    mask = pad(torch.ones_like(batch["ids"]))
    out = model(input_ids=pad(batch["ids"]), attention_mask=mask, labels=pad(batch["tags"], -100))
    out.loss.backward()
    values = {"logits": out.logits[mask.bool()], "loss": out.loss}
    values |= {f"grad.{name}": p.grad for name, p in model.named_parameters()}
    return {name: x.detach().float().contiguous() for name, x in values.items()}


def make(folder):
    make_model(folder)
    batch = make_batch()
    tensors = compute(folder, batch) | {f"batch.{name}": x for name, x in batch.items()}
    save_file(tensors, folder / "golden.safetensors",
              {"torch": torch.__version__, "transformers": transformers.__version__,
               "made_by": "tools/make_golden_tokens.py"})
    for path in folder.iterdir():
        path.chmod(0o644)
    print(f"{folder}: {sum(path.stat().st_size for path in folder.iterdir())} bytes")


def check(folder):
    """Whether the file holds what this PyTorch computes from the model and the batch."""
    with safe_open(folder / "golden.safetensors", "pt") as file:
        kept = {name: file.get_tensor(name) for name in file.keys()}
    batch = {name: kept.pop(f"batch.{name}") for name in ("lengths", "tags", "ids")}
    values = compute(folder, batch)
    assert values.keys() == kept.keys()
    worst = max(((values[name] - x).abs().max() / (x.abs().max() + 1e-6)).item()
                for name, x in kept.items())
    print(f"{folder.name}: {len(kept)} tensors, largest difference {worst:.2e} (at most "
          f"{TOLERANCE:g})")
    return worst <= TOLERANCE


def main():
    words = sys.argv[1:]
    only_check = words[:1] == ["--check"]
    words = words[only_check:]
    usual = Path(__file__).parent.parent / "tests/golden/data/tokens"
    folder = Path(words[0] if words else usual).resolve()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    if only_check:
        return 0 if check(folder) else 1
    make(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
