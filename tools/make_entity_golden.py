#!/usr/bin/env python3
"""Print the golden values of tests/unit/test_entity_metrics.c: what seqeval makes of its cases.

    tools/make_entity_golden.py

The cases by hand are CASES; the random ones are drawn as the test draws them.  Needs seqeval.
"""
import warnings

from seqeval.metrics import accuracy_score, f1_score, precision_score, recall_score

# Sentences are parted by "|", words by blanks: the true tags, and the predicted ones.
CASES = [
    ("B-PER I-PER O B-LOC", "B-PER I-PER O B-LOC"),
    ("B-PER I-PER O B-LOC", "B-PER O O B-LOC"),
    ("O O O B-MISC I-MISC I-MISC O | B-PER I-PER O", "O O B-MISC I-MISC I-MISC I-MISC O | B-PER I-PER O"),
    ("B-PER I-PER | I-PER O", "B-PER I-PER | B-PER O"),
    ("O I-PER I-PER O", "O B-PER I-PER O"),
    ("B-PER B-PER O", "B-PER I-PER O"),
    ("B-PER I-LOC O", "B-PER B-LOC O"),
    ("B-PER I-LOC I-LOC", "B-PER I-PER I-LOC"),
    ("O O | O", "O O | O"),
    ("O O O", "B-PER O O"),
    ("B-PER O O", "O O O"),
    ("B-A I-A E-A S-B O", "B-A I-A I-A B-B O"),
    ("S-A S-A E-A I-A O", "S-A B-A E-A I-A O"),
    ("E-A E-A I-A S-A I-A", "I-A E-A I-A B-A I-A"),
    ("B I O B", "B-_ I-_ O B-"),
    ("NN VB NN DT", "NN NN NN DT"),
    ("B-A-C I-A-C O", "B-A-D I-A-C O"),
    (". B-A . I-A", "O B-A . B-A"),
    ("BPER IPER O", "B-PER I-PER O"),
]
TAGS = ["O", "B-A", "I-A", "B-B", "I-B", "E-A", "S-A", "E-B", "S-B", "O", "I-A", ".", "X-A", "B-A-C",
        "I", "B"]
SENTENCES = 400


def random_case():
    """A linear congruence, its upper bits; the prediction is the truth in two of three places."""
    state = 1

    def below(n):
        nonlocal state
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (state >> 33) % n

    truth, found = [], []
    for _ in range(SENTENCES):
        words = 1 + below(12)
        truth.append([])
        found.append([])
        for _ in range(words):
            truth[-1].append(TAGS[below(len(TAGS))])
            found[-1].append(truth[-1][-1] if below(3) > 0 else TAGS[below(len(TAGS))])
    return truth, found


def values(truth, found):
    scores = [score(truth, found) for score in (precision_score, recall_score, f1_score,
                                                accuracy_score)]
    return ", ".join(float(x).hex() for x in scores)


def main():
    warnings.simplefilter("ignore")
    for truth, found in CASES:
        split = [[sentence.split() for sentence in text.split("|")] for text in (truth, found)]
        print(f'    {{"{truth}",\n     "{found}",\n     {{{values(*split)}}}}},')
    print(f"static const double of_random[] = {{{values(*random_case())}}};")


if __name__ == "__main__":
    main()
