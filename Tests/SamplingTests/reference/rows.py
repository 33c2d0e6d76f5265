#!/usr/bin/env python3
"""States in numpy what happens to a row's logits, for random rows and parameters.

    rows.py CASES SEED                     writes cases to standard output: what is given, and what must come out
    rows.py --transformers CASES SEED      the same by the processors of transformers, where these mean the same

The order is vLLM's: the constraint's mask (here logprobs are taken), the request's mask, bias, excluded tokens, repetition,
frequency and presence penalty; then temperature, min-p, top-k, top-p, and typical-p at the end. `transformers_rows.bin` is
the output of `rows.py --transformers 200 1` with transformers 5.24 and torch; `NumpyRowsTests.swift` reads both.
"""
import struct
import sys

import numpy as np


def random_case(rng, plain):
    """A row, the tokens before it, and its parameters. `plain` leaves out what transformers does otherwise."""
    vocabulary = int(rng.choice([2, 5, 31, 32, 33, 64, 90] if plain else [1, 2, 5, 31, 32, 33, 64, 90]))
    spread = float(rng.choice([0.1, 3, 8, 20]))
    logits = rng.uniform(-spread, spread, vocabulary).astype(np.float32)
    if not plain and rng.random() < 0.3:
        logits = np.round(logits)  # ties
    def tokens(most):
        return rng.integers(0, vocabulary, int(rng.integers(0, most + 1))).astype(np.int32)
    def maybe(probability, value, otherwise):
        return value() if rng.random() < probability else otherwise
    case = {
        "logits": logits, "prompt": tokens(12), "generated": tokens(12),
        "temperature": float(np.float32(rng.choice([0.01, 0.3, 0.7, 1, 1, 1.5, 2]))),
        "top_k": maybe(0.4, lambda: int(rng.integers(1, vocabulary + 3)), 0),
        "top_p": float(np.float32(maybe(0.4, lambda: rng.uniform(0.05, 1), 1))),
        "min_p": float(np.float32(maybe(0.4, lambda: rng.choice([0.001, 0.05, 0.3, 1]), 0))),
        "typical_p": float(np.float32(maybe(0.3, lambda: rng.uniform(0.1, 1), 1))),
        "repetition": float(np.float32(maybe(0.5, lambda: rng.uniform(0.5, 2), 1))),
        "frequency": float(np.float32(maybe(0.5, lambda: rng.uniform(-2, 2), 0))),
        "presence": float(np.float32(maybe(0.5, lambda: rng.uniform(-2, 2), 0))),
        "bias": maybe(0.3, lambda: {int(t): float(np.float32(rng.uniform(-100, 100))) for t in tokens(5)}, {}),
        "min_tokens": 0, "stops": np.zeros(0, np.int32), "allowed": None, "constraint": None, "bad_words": [],
        "top": int(rng.integers(0, min(vocabulary, 20) + 1)), "requested": tokens(4),
    }
    if not plain:
        case["min_tokens"] = maybe(0.3, lambda: int(rng.integers(0, 20)), 0)
        case["stops"] = np.unique(tokens(3))
        case["allowed"] = maybe(0.2, lambda: np.unique(rng.integers(0, vocabulary, 1 + vocabulary // 3)), None)
        case["constraint"] = maybe(0.2, lambda: np.unique(rng.integers(0, vocabulary, 1 + vocabulary // 2)), None)
        words = [w for w in (tokens(3) for _ in range(4)) if len(w)]
        if len(case["generated"]):  # words that the answer has begun
            last = case["generated"][-int(rng.integers(1, 3)):]
            words += [np.append(last, rng.integers(0, vocabulary)).astype(np.int32) for _ in range(2)]
        case["bad_words"] = maybe(0.3, lambda: words, [])
    return case


def only(logits, tokens):
    """Excludes all others."""
    out = np.full_like(logits, -np.inf)
    out[tokens] = logits[tokens]
    return out


def edited(case):
    """The logits from which logprobs are taken, and those from which a token is drawn."""
    x = case["logits"].astype(np.float64)
    raw = x if case["constraint"] is None else only(x, case["constraint"])
    x = raw.copy() if case["allowed"] is None else only(raw, case["allowed"])
    excluded = {int(w[-1]) for w in case["bad_words"]
                if len(w) == 1 or list(case["generated"][-(len(w) - 1):]) == list(w[:-1])}
    if len(case["generated"]) < case["min_tokens"]:
        both = excluded | set(int(t) for t in case["stops"])
        possible = case["allowed"] if case["allowed"] is not None else np.arange(len(x))
        if set(int(t) for t in possible) - both:
            excluded = both
    for token, bias in case["bias"].items():
        x[token] += bias
    seen = np.unique(np.concatenate([case["prompt"], case["generated"]]))
    x[seen] = np.where(x[seen] > 0, x[seen] / case["repetition"], x[seen] * case["repetition"])
    answer, counts = np.unique(case["generated"], return_counts=True)
    x[answer] -= case["frequency"] * counts
    x[answer] -= case["presence"]
    x[list(excluded)] = -np.inf
    return raw, x


def softmax(x):
    if not np.isfinite(x.max()):
        return np.zeros_like(x)
    e = np.exp(x - x.max())
    return e / e.sum()


def probabilities(x, case):
    """The probability of each token to be drawn."""
    p = softmax(x / case["temperature"])
    if not p.any():
        return p
    order = np.lexsort((np.arange(len(p)), -x))
    kept = order[p[order] >= case["min_p"] * p.max()]
    if case["top_k"] > 0:
        kept = kept[: case["top_k"]]
    kept = kept[p[kept] > 0]
    if case["top_p"] < 1:
        share = np.cumsum(p[kept]) / p[kept].sum()
        kept = kept[: int(np.searchsorted(share, case["top_p"])) + 1]
    if case["typical_p"] < 1:
        q = p[kept] / p[kept].sum()
        distance = np.abs(-np.log(q) - -(q * np.log(q)).sum())
        near = np.lexsort((kept, distance))
        share = np.cumsum(q[near])
        kept = kept[near[: int(np.searchsorted(share, case["typical_p"])) + 1]]
    out = np.zeros_like(p)
    out[kept] = p[kept] / p[kept].sum()
    return out


def by_transformers(case):
    """The same by transformers' processors, in the same order."""
    import torch
    import transformers as t
    ids = torch.tensor(np.concatenate([case["prompt"], case["generated"]]).astype(np.int64))[None]
    x = torch.tensor(case["logits"], dtype=torch.float64)[None]
    raw = x[0].numpy().copy()
    for token, bias in case["bias"].items():
        x[0, token] += bias
    if case["repetition"] != 1 and ids.numel():
        x = t.RepetitionPenaltyLogitsProcessor(case["repetition"])(ids, x)
    answer, counts = np.unique(case["generated"], return_counts=True)
    x[0, answer] -= case["frequency"] * torch.tensor(counts, dtype=torch.float64)
    x[0, answer] -= case["presence"]
    changed = x[0].numpy().copy()
    x = t.TemperatureLogitsWarper(case["temperature"])(ids, x)
    if case["min_p"] > 0:
        x = t.MinPLogitsWarper(case["min_p"])(ids, x)
    if case["top_k"] > 0:
        x = t.TopKLogitsWarper(case["top_k"])(ids, x)
    if case["top_p"] < 1:
        x = t.TopPLogitsWarper(case["top_p"])(ids, x)
    if case["typical_p"] < 1:
        x = t.TypicalLogitsWarper(case["typical_p"])(ids, x)
    return raw, changed, torch.softmax(x, -1)[0].numpy()


def write(case, raw, changed, drawn, out):
    def ints(values):
        values = np.asarray(values, dtype=np.int32)
        out.write(struct.pack("<i", len(values)) + values.tobytes())
    def optional(values):
        out.write(struct.pack("<i", -1)) if values is None else ints(values)
    with np.errstate(divide="ignore"):
        logprobs = np.log(softmax(raw))
    ints([len(case["logits"]), case["top_k"], case["min_tokens"], case["top"]])
    out.write(struct.pack("<7f", *(case[k] for k in (
        "temperature", "top_p", "min_p", "typical_p", "repetition", "frequency", "presence"))))
    for name in ("prompt", "generated", "stops", "requested"):
        ints(case[name])
    optional(case["allowed"])
    optional(case["constraint"])
    ints(list(case["bias"]))
    out.write(np.asarray(list(case["bias"].values()), dtype=np.float32).tobytes())
    ints([len(case["bad_words"])])
    for word in case["bad_words"]:
        ints(word)
    out.write(case["logits"].astype(np.float32).tobytes())
    for expected in (changed, drawn, logprobs):
        out.write(expected.astype(np.float64).tobytes())


def main(arguments):
    plain = arguments[0] == "--transformers"
    count, seed = (int(a) for a in arguments[-2:])
    rng = np.random.default_rng(seed)
    for _ in range(count):
        case = random_case(rng, plain)
        raw, changed = edited(case)
        drawn = probabilities(changed, case)
        if plain:
            theirs = by_transformers(case)
            np.testing.assert_allclose(changed, theirs[1], atol=1e-9)
            np.testing.assert_allclose(drawn, theirs[2], atol=1e-9)
            raw, changed, drawn = theirs
        write(case, raw, changed, drawn, sys.stdout.buffer)


if __name__ == "__main__":
    main(sys.argv[1:])
