"""Compare the metrics of Mantissa with scikit-learn and scipy.

    check_metrics.py TEST_METRICS    run random and degenerate cases through `TEST_METRICS --dump`
                                     (the built tests/unit/test_metrics), compare to 1e-12
    check_metrics.py --golden        print the golden values that test_metrics.c holds
    check_metrics.py --golden-sets   those of sets of labels, which test_set_metrics.c holds

Needs numpy, scipy and scikit-learn.
"""
import json
import math
import subprocess
import sys
import warnings

import numpy as np
import scipy.stats
import sklearn.metrics

TOLERANCE = 1e-12
warnings.filterwarnings("ignore")


def correlation(function, x, y):
    """The correlation of x and y; None where scipy has none."""
    if len(x) < 2:
        return None
    value = float(function(x, y)[0])
    return None if math.isnan(value) else value


def mean(values):
    return None if None in values else sum(values) / len(values)


def expected(case):
    kind, x, y = case["kind"], case["predictions"], case["labels"]
    sk = sklearn.metrics
    if kind in ("correlation", "regression"):
        x, y = np.array(x, dtype=np.float64), np.array(y, dtype=np.float64)
        values = {"pearson": correlation(scipy.stats.pearsonr, x, y),
                  "spearmanr": correlation(scipy.stats.spearmanr, x, y)}
        if kind == "correlation":
            values["combined_score"] = mean(list(values.values()))
        else:
            values["mse"] = float(sk.mean_squared_error(y, x))
    elif kind == "matthews":
        values = {"matthews_correlation": float(sk.matthews_corrcoef(y, x))}
    else:
        values = {"accuracy": float(sk.accuracy_score(y, x))}
        binary = kind == "accuracy_f1" or (kind == "classes" and case["num_labels"] == 2)
        if binary:
            positive = case["positive"]
            values["f1"] = float(sk.f1_score(np.array(y) == positive, np.array(x) == positive,
                                             zero_division=0))
        elif kind == "classes":
            values["f1_macro"] = float(sk.f1_score(y, x, average="macro", zero_division=0))
        if kind == "accuracy_f1":
            values["combined_score"] = mean(list(values.values()))
    return {"eval_" + key: value for key, value in values.items()}


def class_case(kind, num_labels, predictions, labels, positive=1):
    return {"kind": kind, "num_labels": num_labels, "positive": positive,
            "predictions": [int(v) for v in predictions], "labels": [int(v) for v in labels]}


def score_case(kind, predictions, labels):
    """Scores are floats in Mantissa: give both sides the same float32 values."""
    as_floats = [[float(np.float32(v)) for v in values] for values in (predictions, labels)]
    return {"kind": kind, "num_labels": 1, "positive": 0,
            "predictions": as_floats[0], "labels": as_floats[1]}


def random_cases(rng):
    for n in (1, 2, 3, 5, 17, 100, 1043, 9815):
        for num_labels in (2, 3, 7):
            labels = rng.integers(num_labels, size=n)
            noise = rng.integers(num_labels, size=n)
            predictions = np.where(rng.random(n) < 0.7, labels, noise)
            kinds = ["accuracy", "matthews", "classes"] + ["accuracy_f1"] * (num_labels == 2)
            for kind in kinds:
                for positive in (0, 1):
                    yield class_case(kind, num_labels, predictions, labels, positive)
                    yield class_case(kind, num_labels, noise, labels, positive)
        for kind in ("correlation", "regression"):
            scores = rng.random(n) * 5
            yield score_case(kind, scores + rng.normal(size=n), scores)
            yield score_case(kind, rng.normal(size=n) * 1e-6 + 3, scores * 1e6)
            yield score_case(kind, np.round(scores + rng.normal(size=n)), np.round(scores))
            yield score_case(kind, -scores, np.round(scores * 4) / 4)


def degenerate_cases():
    for kind in ("accuracy", "matthews", "classes", "accuracy_f1"):
        for predictions, labels in (([0, 0, 0], [0, 0, 0]), ([1, 1, 1], [1, 1, 1]),
                                    ([0, 0, 0], [1, 1, 1]), ([1, 1, 1], [0, 0, 0]),
                                    ([0, 0, 0], [0, 1, 1]), ([0, 1, 1], [0, 0, 0]),
                                    ([0, 1, 0, 1], [1, 0, 1, 0]), ([0], [0]), ([0], [1])):
            yield class_case(kind, 2, predictions, labels)
    yield class_case("classes", 5, [0, 0, 3], [0, 3, 3])
    yield class_case("matthews", 5, [0, 0, 3], [0, 3, 3])
    for kind in ("correlation", "regression"):
        yield score_case(kind, [1, 1, 1], [1, 2, 3])
        yield score_case(kind, [1, 2, 3], [0.1, 0.1, 0.1])
        yield score_case(kind, [2.5], [2.5])
        yield score_case(kind, [1, 2], [5, 3])
        yield score_case(kind, [1, 2], [3, 3])
        yield score_case(kind, [0, 0, 0, 1], [0, 0, 1, 0])
        yield score_case(kind, [1e30, 2e30, 4e30], [1e-30, 3e-30, 2e-30])


def differs(found, wanted):
    if found is None or wanted is None:
        return found is not wanted
    return abs(found - wanted) > TOLERANCE * max(1.0, abs(wanted))


def check(program):
    cases = list(random_cases(np.random.default_rng(20240229))) + list(degenerate_cases())
    run = subprocess.run([program, "--dump"], input=json.dumps(cases), capture_output=True,
                         text=True, check=True)
    results = json.loads(run.stdout)
    assert len(results) == len(cases)
    wrong = values = 0
    worst = 0.0
    for case, found in zip(cases, results):
        wanted = expected(case)
        assert found.keys() == wanted.keys(), (case["kind"], found.keys(), wanted.keys())
        for key in wanted:
            values += 1
            if found[key] is not None and wanted[key] is not None:
                worst = max(worst, abs(found[key] - wanted[key]) / max(1.0, abs(wanted[key])))
            if differs(found[key], wanted[key]):
                wrong += 1
                print(f"{case['kind']} n={len(case['labels'])} {key}: "
                      f"expected {wanted[key]}, found {found[key]}")
    print(f"{len(cases)} cases, {values} values, largest difference {worst:.3g}, {wrong} wrong")
    return 1 if wrong else 0


def golden():
    """The cases of test_golden in test_metrics.c."""
    def classes(n, k):
        """Labels from a linear congruential generator; the prediction is wrong now and then."""
        predictions, labels, state = [], [], 1
        for _ in range(n):
            state = (1103515245 * state + 12345) % 2**31
            labels.append((state >> 16) % k)
            predictions.append(labels[-1] if (state >> 10) % 4 else (state >> 20) % k)
        return predictions, labels

    for kind, k in (("accuracy", 3), ("accuracy_f1", 2), ("matthews", 2), ("matthews", 5),
                    ("classes", 2), ("classes", 5)):
        x, y = classes(200, k)
        for key, value in expected(class_case(kind, k, x, y)).items():
            print(kind, k, key, value.hex(), repr(value))
    x = [(37 * i) % 101 / 8 for i in range(200)]
    y = [(37 * i) % 101 // 7 + (53 * i + 11) % 97 / 16 for i in range(200)]
    for kind in ("correlation", "regression"):
        for key, value in expected(score_case(kind, x, y)).items():
            print(kind, key, value.hex(), repr(value))


def golden_sets():
    """The cases of test_set_metrics.c: sets from a linear congruential generator, every eleventh
    label never wanted nor predicted, every seventh row predicted exactly."""
    for k in (2, 7, 8, 9, 45, 128, 129, 300):
        state, labels, predictions = 1, np.zeros((60, k), int), np.zeros((60, k), int)
        for i in range(60):
            for j in range(k):
                state = (1103515245 * state + 12345) % 2**31
                never = j % 11 == 10
                labels[i, j] = not never and (state >> 16) % 3 == 0
                predictions[i, j] = not never and (state >> 20) % 4 != 0
            if i % 7 == 0:
                predictions[i] = labels[i]
        values = [sklearn.metrics.accuracy_score(labels, predictions)]
        values += [sklearn.metrics.f1_score(labels, predictions, average=average, zero_division=0)
                   for average in ("micro", "macro")]
        print(k, *(float(value).hex() for value in values))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if sys.argv[1] == "--golden":
        golden()
    elif sys.argv[1] == "--golden-sets":
        golden_sets()
    else:
        sys.exit(check(sys.argv[1]))
