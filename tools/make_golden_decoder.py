#!/usr/bin/env python3
"""Make the golden values of tests/golden/test_golden_decoder.c with transformers.

    make_golden_decoder.py [FOLDER [NAME ...]]

FOLDER is tests/golden/data of this repository if not given; NAME: only these.  Tiny random decoders, one folder each
as transformers writes it, with golden.safetensors beside: one batch of documents (lengths, ids and
targets one behind the other, targets -100 where nothing is to be predicted), the loss of the next
tokens, its gradients by all parameters, and -log p of each token with a target.  PyTorch computes in
double precision, one document at a time.  Versions are in the metadata.

  llama    grouped keys and values, rope_scaling llama3, a matrix of its own for the outputs
  smollm   tied words, three layers, a document longer than one block of causal rows, a padding
           token that occurs
  qwen2    biases of q, k and v, one key and value head
  mistral  linear scaling, GELU gates, head_dim that is not hidden_size / heads
  window   Mistral with a window in all layers, shorter than a document of two blocks of rows; the
           padding token counted from the end
  qwen3    norms of q and k, a head_dim of its own, a window in the last layer
  gemma3   four norms a layer, norms of q and k, windows in two layers with rope of their own
  falcon   as 7B: one key and value head, attention and MLP in parallel after one norm
  falcon40 as 40B: a fused matrix in groups of heads, two norms; biases
  falconrw as falcon-rw: heads of their own, ALiBi, one after the other, biases; a padding token,
           which Falcon's table does not know

Needs safetensors, torch and transformers.
"""
import sys
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from transformers import (AutoModelForCausalLM, FalconConfig, Gemma3TextConfig, LlamaConfig,
                          MistralConfig, Qwen2Config, Qwen3Config)

SMALL = {"hidden_size": 32, "intermediate_size": 44, "num_hidden_layers": 2,
         "num_attention_heads": 4, "vocab_size": 61, "max_position_embeddings": 256,
         "attention_dropout": 0.0}
FALCON = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 61,
          "max_position_embeddings": 256}
CASES = {
    "llama": (LlamaConfig, {**SMALL, "num_key_value_heads": 2, "tie_word_embeddings": False,
                            "rms_norm_eps": 1e-5, "rope_theta": 500000.0,
                            "rope_scaling": {"rope_type": "llama3", "factor": 8.0,
                                             "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                                             "original_max_position_embeddings": 32}},
              [9, 1, 21]),
    "smollm": (LlamaConfig, {**SMALL, "num_hidden_layers": 3, "hidden_size": 24,
                             "num_attention_heads": 3, "num_key_value_heads": 1,
                             "intermediate_size": 40, "tie_word_embeddings": True,
                             "pad_token_id": 8, "rms_norm_eps": 1e-5, "rope_theta": 10000.0}, [150, 5]),
    "qwen2": (Qwen2Config, {**SMALL, "num_key_value_heads": 1, "tie_word_embeddings": True,
                            "rms_norm_eps": 1e-6, "rope_theta": 1000000.0}, [17, 8]),
    "mistral": (MistralConfig, {**SMALL, "num_key_value_heads": 4, "head_dim": 6,
                                "tie_word_embeddings": False, "sliding_window": None,
                                "hidden_act": "gelu",
                                "rope_scaling": {"rope_type": "linear", "factor": 4.0}}, [30]),
    "window": (MistralConfig, {**SMALL, "num_key_value_heads": 2, "tie_word_embeddings": False,
                               "pad_token_id": -2, "sliding_window": 17}, [150, 30]),
    "qwen3": (Qwen3Config, {**SMALL, "num_key_value_heads": 2, "head_dim": 12,
                            "tie_word_embeddings": False, "use_sliding_window": True,
                            "sliding_window": 6, "max_window_layers": 1}, [19, 7]),
    "gemma3": (Gemma3TextConfig, {**SMALL, "num_hidden_layers": 3, "num_key_value_heads": 1,
                                  "head_dim": 10, "sliding_window": 5,
                                  "layer_types": ["sliding_attention", "full_attention",
                                                  "sliding_attention"],
                                  "query_pre_attn_scalar": 21,
                                  "rope_parameters": {
                                      "full_attention": {"rope_type": "linear", "factor": 2.0,
                                                         "rope_theta": 500.0},
                                      "sliding_attention": {"rope_type": "default",
                                                            "rope_theta": 30.0}}}, [21, 12]),
    "falcon": (FalconConfig, {**FALCON}, [18, 9]),
    "falcon40": (FalconConfig, {**FALCON, "new_decoder_architecture": True, "num_kv_heads": 2,
                                "bias": True, "ffn_hidden_size": 44}, [11, 20]),
    "falconrw": (FalconConfig, {**FALCON, "num_attention_heads": 6, "hidden_size": 24,
                                "alibi": True, "parallel_attn": False, "multi_query": False,
                                "pad_token_id": 7, "bias": True}, [140, 8]),
}


def make(folder, kind, config, lengths):
    torch.manual_seed(sum(map(ord, folder.name)))
    # Falcon's eager attention of transformers 5 adds ALiBi twice
    attention = "sdpa" if kind is FalconConfig else "eager"
    model = AutoModelForCausalLM.from_config(kind(**config), attn_implementation=attention)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() == 1 and name.endswith("weight"):
                p.normal_(0.0 if kind is Gemma3TextConfig else 1.0, 0.2)
            else:
                p.normal_(0.0, 0.1 if p.dim() == 1 else p.shape[1]**-0.5)
    model.save_pretrained(folder)
    model = model.double().eval()
    ids = [torch.randint(0, config["vocab_size"], (n,)) for n in lengths]
    targets, losses = [], []
    for document in ids:
        target = torch.full_like(document, -100)
        target[:-1] = document[1:]
        target[1::5] = -100
        logits = model(document[None]).logits[0]
        losses.append(torch.nn.functional.cross_entropy(logits, target, reduction="none"))
        targets.append(target)
    losses, targets = torch.cat(losses), torch.cat(targets)
    loss = losses.sum() / (targets >= 0).sum()
    loss.backward()
    values = {"lengths": torch.tensor(lengths), "ids": torch.cat(ids).int(),
              "targets": targets.int(), "loss": loss.detach().float().reshape(1),
              "losses": losses.detach().float()}
    for name, p in model.named_parameters():
        values[f"grad.{name}"] = p.grad.float().contiguous()
    save_file(values, folder / "golden.safetensors",
              {"transformers": transformers.__version__, "torch": torch.__version__})


def main():
    top = Path(__file__).resolve().parent.parent
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else top / "tests" / "golden" / "data"
    for name in sys.argv[2:] or CASES:
        make(out / name, *CASES[name])


if __name__ == "__main__":
    main()
