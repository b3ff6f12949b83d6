"""Compare the optimizers, clipping and schedules of Mantissa with torch and transformers.

    check_optimizer.py TEST_SCHEDULE TEST_OPTIMIZER    run cases through `--dump` of the built
                                                       tests/unit programs and compare
    check_optimizer.py --golden                        print the golden values of those programs

Schedules agree to 1e-12 at every step.  Norms agree to 1e-6.  A parameter differs from torch's by
at most 1e-6 of its own size plus 1e-6 of the length of the way it has gone.

Needs numpy, torch and transformers.
"""
import json
import subprocess
import sys

import numpy as np
import torch
from transformers import get_scheduler

SCHEDULE_TOLERANCE = 1e-12
NORM_TOLERANCE = 1e-6
VALUE_TOLERANCE = 1e-6
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


def golden():
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
        schedules_agree = check_schedules(sys.argv[1])
        sys.exit(0 if check_optimizers(sys.argv[2]) and schedules_agree else 1)
    else:
        sys.exit(__doc__)
