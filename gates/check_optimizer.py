"""Compare the optimizers, clipping and schedules of Mantissa with torch, transformers and, where it
is installed, bitsandbytes.

    check_optimizer.py TEST_SCHEDULE TEST_OPTIMIZER    run cases through `--dump` of the built
                                                       tests/unit programs and compare
    check_optimizer.py --golden                        print the golden values of those programs

Schedules agree to 1e-12 at every step.  Norms agree to 1e-6.  A parameter differs from torch's by
at most 1e-6 of its own size plus 1e-6 of the length of the way it has gone.

adamw_8bit: its maps are those of bitsandbytes' create_dynamic_map, bit for bit as torch computes
them element by element, within 2 units in the last place as it computes them with vectors.  Its
parameters are, bit for bit, those of the same algorithm in numpy (EightBit below).  Those of
bitsandbytes' AdamW8bit differ by at most 1 % of the way (in the norm): its quantizer for CPUs does
not always take the nearest number.  With one that does in its place, by at most 0.1 %: a number
near a tie is rounded apart now and then, which is 1 % of a moment.

Needs numpy, torch and transformers; bitsandbytes (0.50.2 was used) for what names it above.
"""
import contextlib
import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
import torch
from transformers import get_scheduler

SCHEDULE_TOLERANCE = 1e-12
NORM_TOLERANCE = 1e-6
VALUE_TOLERANCE = 1e-6
BNB_TOLERANCE = 1e-2
BNB_NEAREST_TOLERANCE = 1e-3
BLOCK, MIN_8BIT = 256, 4096
WAY_TOLERANCE = 1e-6
SCHEDULES = ("linear", "cosine", "constant", "constant_with_warmup")


def schedule_factors(name, steps, warmup, count):
    """The factors of updates 0 .. count-1, by the scheduler itself."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = get_scheduler(name, optimizer, num_warmup_steps=warmup, num_training_steps=steps)
    factors = []
    for _ in range(count):
        factors.append(float(scheduler.get_last_lr()[0]))
        optimizer.step()
        scheduler.step()
    return factors


def check_schedules(program):
    sizes = ((1, 0), (1, 1), (2, 1), (10, 0), (10, 3), (10, 10), (10, 20), (345, 21), (1000, 1),
             (1000, 100), (1037, 1036))
    cases = [(name, n, w) for name in SCHEDULES for n, w in sizes]
    text = "".join(f"{name} {n} {w}\n" for name, n, w in cases)
    run = subprocess.run([program, "--dump"], input=text, capture_output=True, text=True,
                         check=True)
    lines = run.stdout.splitlines()
    assert len(lines) == len(cases)
    values, worst = 0, 0.0
    for (name, n, w), line in zip(cases, lines):
        found = [float(word) for word in line.split()]
        wanted = schedule_factors(name, n, w, n + 3)
        assert len(found) == len(wanted)
        values += len(found)
        worst = max(worst, max(abs(a - b) for a, b in zip(found, wanted)))
    print(f"schedules: {len(cases)} cases, {values} values, largest difference {worst:.3g}")
    return worst <= SCHEDULE_TOLERANCE


def make_optimizer(case, params):
    groups = [{"params": [p for p, decay in zip(params, case["decay"]) if decay],
               "weight_decay": case["weight_decay"]},
              {"params": [p for p, decay in zip(params, case["decay"]) if not decay],
               "weight_decay": 0.0}]
    groups = [group for group in groups if group["params"]]
    if case["kind"] == "adamw_8bit":
        import bitsandbytes
        return bitsandbytes.optim.AdamW8bit(groups, lr=1.0, betas=(case["beta1"], case["beta2"]),
                                            eps=case["epsilon"])
    if case["kind"] == "adamw":
        return torch.optim.AdamW(groups, lr=1.0, betas=(case["beta1"], case["beta2"]),
                                 eps=case["epsilon"], foreach=False)
    return torch.optim.SGD(groups, lr=1.0, momentum=case["momentum"], foreach=False)


def reference(case):
    """Values after all steps, the sum of what each element moved by, the norm at each step."""
    def flat():
        return np.concatenate([p.detach().numpy().ravel() for p in params])

    params, start = [], 0
    for rows, cols in case["shapes"]:
        part = np.array(case["value"][start:start + rows * cols], dtype=np.float32)
        params.append(torch.nn.Parameter(torch.from_numpy(part).reshape(rows, cols)))
        start += rows * cols
    optimizer = make_optimizer(case, params)
    norms, value, way = [], flat(), 0.0
    for rate, grads in zip(case["rates"], case["grads"]):
        start = 0
        for p in params:
            part = np.array(grads[start:start + p.numel()], dtype=np.float32)
            p.grad = torch.from_numpy(part).reshape(p.shape)
            start += p.numel()
        for group in optimizer.param_groups:
            group["lr"] = rate
        limit = case["max_norm"] if case["max_norm"] > 0 else float("inf")
        norms.append(float(torch.nn.utils.clip_grad_norm_(params, limit)))
        optimizer.step()
        way = way + np.abs(flat() - value)
        value = flat()
    return value, way, norms


def make_case(kind, shapes, decay, value, grads, rates, **changes):
    case = {"kind": kind, "shapes": shapes, "decay": decay, "value": value, "grads": grads,
            "rates": rates, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "momentum": 0.9,
            "weight_decay": 0.01, "max_norm": 1.0}
    case.update(changes)
    return case


def random_cases(rng):
    shapes = [[50, 37], [1, 37], [130, 128], [1, 1]]
    decay = [True, False, True, False]
    n = sum(rows * cols for rows, cols in shapes)
    for kind, changes in (
            ("adamw", {}), ("adamw", {"weight_decay": 0.0}), ("adamw", {"beta1": 0.0}),
            ("adamw", {"beta1": 0.8, "beta2": 0.95, "epsilon": 1e-6, "weight_decay": 0.3}),
            ("adamw", {"max_norm": 0.0}), ("adamw", {"max_norm": 1e9}),
            ("sgd", {}), ("sgd", {"momentum": 0.0}), ("sgd", {"momentum": 0.5, "max_norm": 0.0}),
            ("sgd", {"weight_decay": 0.5}), ("sgd", {"momentum": 0.0, "weight_decay": 0.0})):
        for peak, size in ((1e-3, 1.0), (0.05, 0.01), (5e-5, 1e-6)):
            steps = 10
            value = rng.normal(size=n) * 0.1
            grads = rng.normal(size=(steps, n)) * size * rng.random(n) ** 4
            grads[:, ::7] = 0.0
            rates = [peak * factor for factor in schedule_factors("linear", steps, 2, steps)]
            yield make_case(kind, shapes, decay,
                            [float(x) for x in value.astype(np.float32)],
                            [[float(x) for x in row] for row in grads.astype(np.float32)],
                            rates, **changes)


def check_optimizers(program):
    cases = list(random_cases(np.random.default_rng(20220718)))
    run = subprocess.run([program, "--dump"], input=json.dumps(cases), capture_output=True,
                         text=True, check=True)
    results = json.loads(run.stdout)
    assert len(results) == len(cases)
    worst = whole = worst_norm = 0.0
    for case, found in zip(cases, results):
        wanted, way, norms = reference(case)
        difference = np.abs(np.array(found["value"]) - wanted)
        allowed = VALUE_TOLERANCE * np.abs(wanted) + WAY_TOLERANCE * way + 1e-12
        worst = max(worst, float(np.max(difference / allowed)))
        whole = max(whole, float(np.linalg.norm(difference) / np.linalg.norm(wanted)))
        worst_norm = max(worst_norm, max(abs(a - b) / b for a, b in zip(found["norms"], norms)))
    ok = worst <= 1.0 and worst_norm <= NORM_TOLERANCE
    print(f"optimizers: {len(cases)} cases of {len(cases[0]['value'])} elements and "
          f"{len(cases[0]['rates'])} steps; a value differs by at most {worst:.3g} of what is "
          f"allowed, a model by {whole:.3g} of its norm, a gradient norm by {worst_norm:.3g}")
    return ok


# ---- adamw_8bit

def dynamic_map(signed):
    """FORMATS.md (11): create_dynamic_map(signed) in the order of torch's scalar linspace."""
    f32, positive = np.float32, []
    for j in range(7):
        parts = 2 ** j if signed else 2 ** (j + 1)
        step = (f32(1) - f32(0.1)) / f32(parts)
        points = [f32(0.1) + step * f32(i) if i < (parts + 1) // 2 else
                  f32(1) - step * f32(parts - i) for i in range(parts + 1)]
        positive += [f32(10.0 ** (j - 6)) * ((a + b) / f32(2)) for a, b in zip(points, points[1:])]
    negative = [-x for x in reversed(positive)] if signed else []
    return np.array(negative + [f32(0)] + positive + [f32(1)], dtype=np.float32)


def has_bitsandbytes():
    return importlib.util.find_spec("bitsandbytes") is not None


def bitsandbytes_maps(capability):
    """Both maps by bitsandbytes in a process of its own, where torch may use these instructions."""
    code = ("from bitsandbytes.functional import create_dynamic_map as m\n"
            "for s in (True, False): print(*(f'{x:.9g}' for x in m(s).tolist()), sep='\\n')")
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                         env={**os.environ, "ATEN_CPU_CAPABILITY": capability})
    return np.array(run.stdout.split(), dtype=np.float32)


def check_maps(program):
    run = subprocess.run([program, "--maps"], capture_output=True, text=True, check=True)
    found = np.array(run.stdout.split(), dtype=np.float32)
    ok = found.tobytes() == np.concatenate([dynamic_map(True), dynamic_map(False)]).tobytes()
    print(f"maps of adamw_8bit: {len(found)} numbers, "
          f"{'those' if ok else 'NOT THOSE'} of the formula in numpy")
    if not has_bitsandbytes():
        print("skipped: create_dynamic_map: bitsandbytes is not installed")
        return ok
    for capability, limit in (("default", 0), ("avx2", 2)):
        wanted = bitsandbytes_maps(capability)
        ulps = np.abs(found.view(np.int32).astype(np.int64) - wanted.view(np.int32))
        print(f"  against create_dynamic_map, torch's {capability} code: "
              f"{np.count_nonzero(ulps)} differ, by at most {ulps.max()} units in the last place")
        ok = ok and ulps.max() <= limit
    return ok


class EightBit:
    """One parameter of adamw_8bit in numpy: every operation in float32, in the kernel's order."""

    def __init__(self, elements, maps):
        self.maps = maps if elements >= MIN_8BIT else None
        self.blocks = [slice(i, i + BLOCK) for i in range(0, elements, BLOCK)]
        self.moments = [np.zeros(elements, dtype=np.float32) for _ in range(2)]
        self.codes = [np.zeros(elements, dtype=np.uint8) for _ in range(2)]
        self.absmax = [np.zeros(len(self.blocks), dtype=np.float32) for _ in range(2)]

    def load(self):
        for k in range(2):
            for part, top in zip(self.blocks, self.absmax[k]):
                self.moments[k][part] = self.maps[k][self.codes[k][part]] * top

    def store(self):
        for k in range(2):
            numbers = self.maps[k].astype(np.float64)
            middles = (numbers[1:] + numbers[:-1]) / 2
            zero = int(np.flatnonzero(numbers == 0)[0])
            for b, part in enumerate(self.blocks):
                top = np.abs(self.moments[k][part]).max()
                x = (self.moments[k][part] / (top if top > 0 else np.float32(1))).astype(np.float64)
                # a tie goes to the smaller magnitude
                code = np.where(x < 0, np.searchsorted(middles, x, side="right"),
                                np.searchsorted(middles, x, side="left"))
                self.codes[k][part] = np.where(x == 0, zero, code)
                self.absmax[k][b] = top

    def step(self, value, grad, decay, args):
        if self.maps:
            self.load()
        m, v = self.moments
        one = np.float32(1)
        g = grad * args["scale"]
        m[:] = args["beta1"] * m + (one - args["beta1"]) * g
        v[:] = args["beta2"] * v + (one - args["beta2"]) * g * g
        shrink = one - args["rate"] * (args["decay"] if decay else np.float32(0))
        value[:] = value * shrink - args["rate"] / args["correction1"] * (
            m / (np.sqrt(v) * (one / args["correction2"]) + args["epsilon"]))
        if self.maps:
            self.store()


def reference_8bit(case, norms):
    """Values after all steps; the norm of each step, which scales it, is given."""
    value = np.array(case["value"], dtype=np.float32)
    maps = (dynamic_map(True), dynamic_map(False))
    sizes = [rows * cols for rows, cols in case["shapes"]]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    state = [EightBit(n, maps) for n in sizes]
    power1 = power2 = 1.0
    beta1, beta2 = np.float32(case["beta1"]), np.float32(case["beta2"])
    for rate, grads, norm in zip(case["rates"], case["grads"], norms):
        power1, power2 = power1 * case["beta1"], power2 * case["beta2"]
        clips = 0 < case["max_norm"] < norm + 1e-6
        args = {
            "rate": np.float32(rate), "beta1": beta1, "beta2": beta2,
            "epsilon": np.float32(case["epsilon"]), "decay": np.float32(case["weight_decay"]),
            "correction1": np.float32((1 - power1) * (1 - float(beta1)) / (1 - case["beta1"])),
            "correction2": np.float32(np.sqrt((1 - power2) * (1 - float(beta2)) /
                                              (1 - case["beta2"]))),
            "scale": np.float32(case["max_norm"] / (norm + 1e-6) if clips else 1.0)}
        grad = np.array(grads, dtype=np.float32)
        for p, n, start, decay in zip(state, sizes, starts, case["decay"]):
            p.step(value[start:start + n], grad[start:start + n], decay, args)
    return value


@contextlib.contextmanager
def nearest_in_bitsandbytes():
    """AdamW8bit of bitsandbytes takes the nearest number, within this context."""
    from bitsandbytes.backends.cpu import ops

    def quantize(x, code, absmax, out, block):
        pad = torch.nn.functional.pad(x.reshape(-1), (0, -x.numel() % block)).reshape(-1, block)
        absmax.copy_(pad.abs().max(dim=1).values)
        scaled = pad / torch.where(absmax > 0, absmax, torch.ones_like(absmax))[:, None]
        scaled = scaled.reshape(-1)[:x.numel()].double()
        middles = (code[1:].double() + code[:-1].double()) / 2
        up, down = (torch.bucketize(scaled, middles, right=right) for right in (True, False))
        out.copy_(torch.where(scaled < 0, up, down).to(torch.uint8).reshape(x.shape))

    original = ops._quant_blockwise_fp32_direct
    ops._quant_blockwise_fp32_direct = quantize
    try:
        yield
    finally:
        ops._quant_blockwise_fp32_direct = original


def cases_8bit(rng, even):
    """Even: gradients of one size.  Otherwise of many in each block: second moments become 0 where
    first moments do not, steps grow, and two runs that differ by one code drift apart."""
    shapes, decay = [[50, 37], [64, 64], [1, 37], [130, 127]], [True, False, False, True]
    n = sum(rows * cols for rows, cols in shapes)
    for changes in ({}, {"max_norm": 0.0}, {"beta1": 0.0}, {"weight_decay": 0.0},
                    {"beta1": 0.8, "beta2": 0.95, "epsilon": 1e-6, "weight_decay": 0.3}):
        for peak, size in ((1e-3, 1.0), (0.05, 0.01), (5e-5, 1e-6)):
            steps = 12
            grads = rng.normal(size=(steps, n)) * size
            grads *= 0.5 + rng.random(n) if even else rng.random(n) ** 4
            grads[:, ::7] = 0.0
            grads[:, 2000:3000] = 0.0  # whole blocks
            rates = [peak * factor for factor in schedule_factors("linear", steps, 2, steps)]
            yield make_case("adamw_8bit", shapes, decay,
                            [float(x) for x in (rng.normal(size=n) * 0.1).astype(np.float32)],
                            [[float(x) for x in row] for row in grads.astype(np.float32)],
                            rates, **changes)


def check_8bit(program):
    rng = np.random.default_rng(20211006)
    cases = list(cases_8bit(rng, True)) + list(cases_8bit(rng, False))
    run = subprocess.run([program, "--dump"], input=json.dumps(cases), capture_output=True,
                         text=True, check=True)
    results = json.loads(run.stdout)
    assert len(results) == len(cases)
    differing, apart, nearest, plain = 0, 0.0, 0.0, 0.0
    for i, (case, found) in enumerate(zip(cases, results)):
        value = np.array(found["value"], dtype=np.float32)
        differing += np.count_nonzero(value != reference_8bit(case, found["norms"]))
        if has_bitsandbytes() and i < len(cases) // 2:
            wanted, way, norms = reference(case)
            assert max(abs(a - b) / b for a, b in zip(found["norms"], norms)) <= NORM_TOLERANCE
            apart = max(apart, float(np.linalg.norm(value - wanted) / np.linalg.norm(way)))
            with nearest_in_bitsandbytes():
                wanted = reference(case)[0]
            nearest = max(nearest, float(np.linalg.norm(value - wanted) / np.linalg.norm(way)))
            fp32 = reference({**case, "kind": "adamw"})[0]
            plain = max(plain, float(np.linalg.norm(value - fp32) / np.linalg.norm(way)))
    print(f"adamw_8bit: {len(cases)} cases of {len(cases[0]['value'])} elements and "
          f"{len(cases[0]['rates'])} steps; {differing} values differ from numpy's")
    if has_bitsandbytes():
        print(f"  {len(cases) // 2} of them: from bitsandbytes' AdamW8bit by at most {apart:.3g} "
              f"of the way, if it takes the nearest number {nearest:.3g}; from AdamW {plain:.3g}")
    else:
        print("skipped: AdamW8bit: bitsandbytes is not installed")
    return differing == 0 and apart <= BNB_TOLERANCE and nearest <= BNB_NEAREST_TOLERANCE


def fnv1a(data):
    value = 2166136261
    for byte in data:
        value = (value ^ byte) * 16777619 % 2 ** 32
    return value


def golden():
    for signed in (True, False):
        print(f"map, signed {signed}: {fnv1a(dynamic_map(signed).astype('<f4').tobytes()):#x}")
    for name in SCHEDULES:
        factors = ", ".join(f"{factor:.17g}" for factor in schedule_factors(name, 10, 3, 11))
        print(f"SCHEDULE_{name.upper()}: {factors}")
    shapes, decay, steps = [[3, 4], [1, 5]], [True, False], 4
    value = [((37 * i + 11) % 101 - 50) / 64 for i in range(17)]
    grads = [[((53 * i + 17 * t + 5) % 89 - 44) / 32 for i in range(17)] for t in range(steps)]
    for kind, changes in (("adamw", {}), ("sgd", {}), ("sgd", {"momentum": 0.0})):
        case = make_case(kind, shapes, decay, value, grads, [0.0, 0.004, 0.002, 0.001],
                         weight_decay=0.1, **changes)
        wanted, _, norms = reference(case)
        print(kind, changes, "value:", ", ".join(f"{x:.9g}f" for x in wanted))
        print(kind, changes, "norms:", ", ".join(f"{x:.9g}" for x in norms))


if __name__ == "__main__":
    if sys.argv[1:] == ["--golden"]:
        golden()
    elif len(sys.argv) == 3:
        agree = [check_schedules(sys.argv[1]), check_optimizers(sys.argv[2]),
                 check_maps(sys.argv[2]), check_8bit(sys.argv[2])]
        sys.exit(0 if all(agree) else 1)
    else:
        sys.exit(__doc__)
