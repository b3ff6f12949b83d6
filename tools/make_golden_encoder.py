#!/usr/bin/env python3
"""Make the golden values of tests/golden/test_golden_encoder.c with transformers, or check them.

    make_golden_encoder.py [FOLDER]            write the model folders and the values
    make_golden_encoder.py --check [FOLDER]    compute the values anew from the model folders

FOLDER is tests/golden/data of this repository if not given.  Tiny random relatives of BERT, each a
folder as transformers writes it:

  roberta      three classes; positions behind that of the padding, which some tokens are
  robertaqa    spans
  distilbert   three classes
  distilbertqa spans
  electra      three classes; embeddings narrower than the layers
  electraqa    spans; embeddings as wide as the layers

with golden.safetensors beside: a batch (rows one behind the other, without padding), logits, loss
and all gradients.  PyTorch computes row by row in double precision, without dropout.  The losses
and gradients of the batch are the means over its rows.  Versions are in the metadata.

Needs safetensors, torch and transformers.
"""
import sys
from pathlib import Path

import torch
import transformers
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import (DistilBertConfig, DistilBertForQuestionAnswering,
                          DistilBertForSequenceClassification, ElectraConfig,
                          ElectraForQuestionAnswering, ElectraForSequenceClassification,
                          RobertaConfig, RobertaForQuestionAnswering,
                          RobertaForSequenceClassification)

TOLERANCE = 1e-5  # of --check, relative to the largest element of a tensor
LENGTHS = [7, 1, 12, 4]
WORDS = 40
PADDING = 1  # RoBERTa's
SIZES = {"vocab_size": WORDS, "hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 2,
         "intermediate_size": 20, "max_position_embeddings": 16}
ROBERTA = SIZES | {"type_vocab_size": 1, "layer_norm_eps": 1e-5, "pad_token_id": PADDING}
DISTILBERT = {"vocab_size": WORDS, "dim": 16, "n_heads": 2, "n_layers": 2, "hidden_dim": 20,
              "max_position_embeddings": 16}
CASES = {
    "roberta": (RobertaForSequenceClassification, RobertaConfig, ROBERTA | {"num_labels": 3}),
    "robertaqa": (RobertaForQuestionAnswering, RobertaConfig, ROBERTA),
    "distilbert": (DistilBertForSequenceClassification, DistilBertConfig,
                   DISTILBERT | {"num_labels": 3}),
    "distilbertqa": (DistilBertForQuestionAnswering, DistilBertConfig,
                     DISTILBERT | {"activation": "relu"}),
    "electra": (ElectraForSequenceClassification, ElectraConfig,
                SIZES | {"num_labels": 3, "embedding_size": 10}),
    "electraqa": (ElectraForQuestionAnswering, ElectraConfig, SIZES | {"embedding_size": 16}),
}


def make_model(folder, case):
    """Weights larger than a real initialisation, so that every path of a gradient counts."""
    of_model, of_config, settings = case
    model = of_model(of_config(**settings))
    with torch.no_grad():
        for name, p in model.named_parameters():
            norm = name.endswith(("LayerNorm.weight", "layer_norm.weight"))
            p.normal_(1.0 if norm else 0.0, 0.1 if p.dim() == 1 else p.shape[1]**-0.5)
    model.save_pretrained(folder)


def make_batch(name):
    """Of RoBERTa's classes some tokens are padding, as a text can hold it."""
    tokens = sum(LENGTHS)
    ids = torch.randint(5, WORDS, (tokens,))
    if name == "roberta":
        ids[[3, 9, 10, 19]] = PADDING
    types = torch.cat([torch.arange(n) > n // 2 for n in LENGTHS]).int()
    ends = torch.tensor([sorted(torch.randint(n, (2,)).tolist()) for n in LENGTHS]).int()
    return {"lengths": torch.tensor(LENGTHS), "ids": ids.int(),
            "type_ids": types if name.startswith("electra") else torch.zeros(tokens).int(),
            "labels": torch.randint(3, (len(LENGTHS),)).float(), "begin": ends[:, 0].contiguous(),
            "end": ends[:, 1].contiguous()}


def compute(folder, case, batch):
    model, info = case[0].from_pretrained(folder, dtype=torch.float64, attn_implementation="eager",
                                          output_loading_info=True)
    assert not any(info.values()), info
    model.eval()
    losses, logits, first = [], [], 0
    for i, n in enumerate(LENGTHS):
        row = slice(first, first + n)
        first += n
        words = {"input_ids": batch["ids"][row].long()[None],
                 "attention_mask": torch.ones(1, n).long()}
        if "electra" in folder.name:
            words["token_type_ids"] = batch["type_ids"][row].long()[None]
        if "qa" in folder.name:
            words |= {"start_positions": batch["begin"][i:i + 1].long(),
                      "end_positions": batch["end"][i:i + 1].long()}
        else:
            words["labels"] = batch["labels"][i:i + 1].long()
        out = model(**words)
        losses.append(out.loss)
        logits.append(torch.stack([out.start_logits[0], out.end_logits[0]], 1)
                      if "qa" in folder.name else out.logits)
    loss = torch.stack(losses).mean()
    loss.backward()
    values = {"loss": loss, "logits": torch.cat(logits)}
    values |= {f"grad.{name}": p.grad for name, p in model.named_parameters()}
    return {name: x.detach().float().contiguous() for name, x in values.items()}


def make(folder, case):
    folder.mkdir(parents=True, exist_ok=True)
    make_model(folder, case)
    batch = make_batch(folder.name)
    versions = {"torch": torch.__version__, "transformers": transformers.__version__,
                "made_by": "tools/make_golden_encoder.py"}
    save_file(compute(folder, case, batch) | batch, folder / "golden.safetensors", versions)
    for path in folder.iterdir():
        path.chmod(0o644)
    print(f"{folder}: {sum(path.stat().st_size for path in folder.iterdir())} bytes")


def check(folder, case):
    """Whether the file holds what this PyTorch computes from the model and the batch."""
    with safe_open(folder / "golden.safetensors", "pt") as file:
        kept = {name: file.get_tensor(name) for name in file.keys()}
    batch = {name: kept.pop(name) for name in make_batch(folder.name)}
    values = compute(folder, case, batch)
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
    data = Path(words[0] if words else Path(__file__).parent.parent / "tests/golden/data").resolve()
    torch.set_num_threads(1)
    torch.manual_seed(3)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    if only_check:
        return 0 if all([check(data / name, case) for name, case in CASES.items()]) else 1
    for name, case in CASES.items():
        make(data / name, case)
    return 0


if __name__ == "__main__":
    sys.exit(main())
