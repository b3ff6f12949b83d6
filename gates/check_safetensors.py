#!/usr/bin/env python3
"""Compare our safetensors files with the safetensors library (needs torch, safetensors).

--golden   print, as a C array, the file that the library writes for the tensors of
           tests/unit/test_safetensors.c (constant `golden` there)
FILE...    open files with the library; print name, type, shape and sum of each tensor
"""
import sys

import torch
from safetensors import safe_open
from safetensors.torch import save


def golden():
    return save(
        {
            "scalar": torch.tensor(1.5),
            "embeddings.weight": torch.tensor([[1.0, -2.0, 0.5], [3.0, -0.25, 8.0]]),
            "half": torch.tensor([1.0, -0.5, 65504.0, 2.0**-24], dtype=torch.float16),
            "brain": torch.tensor([[1.0, -3.0]], dtype=torch.bfloat16),
            "bytes": torch.tensor([-128, 0, 127], dtype=torch.int8),
            "ids": torch.tensor([[0, 1, -1]], dtype=torch.int64),
            "empty": torch.zeros(0, 4),
            'a "quoted" \u00e9': torch.tensor([7], dtype=torch.int32),
            "mask": torch.tensor([1, 2, 255], dtype=torch.uint8),
            "short": torch.tensor([-32768], dtype=torch.int16),
        },
        {"format": "pt"},
    )


def print_array(data):
    print("static const uint8_t golden[] = {")
    for i in range(0, len(data), 16):
        print("    " + " ".join(f"{b}," for b in data[i : i + 16]))
    print("};")


def print_file(path):
    with safe_open(path, framework="pt") as f:
        print(path, f.metadata())
        for name in f.keys():
            t = f.get_tensor(name)
            print(f"  {name} {t.dtype} {list(t.shape)} sum {t.double().sum().item()!r}")


if len(sys.argv) < 2:
    sys.exit(__doc__)
if sys.argv[1] == "--golden":
    print_array(golden())
else:
    for name in sys.argv[1:]:
        print_file(name)
