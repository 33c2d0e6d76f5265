"""Rules of prefill: right calls, padding and block 0, starts after cached tokens, slots, and traces of batched passes."""

from __future__ import annotations

import os
from typing import Any

import tt_metal_april
import tt_metal_september
import tt_transformers_dispatcher
from contract_driver import Row, Rules, raises
from record import ContractViolation, counts

A = tt_metal_april.LlamaForCausalLM
N = tt_metal_september.LlamaForCausalLM
T = tt_transformers_dispatcher.LlamaForCausalLM


def add(rules: Rules) -> None:
    for letter, model_class in (("A", A), ("N", N), ("T", T)):
        for trace in (False, True):
            add_right_calls(rules, letter, model_class, trace)
    add_padding(rules)
    add_starts(rules)
    add_slots(rules)


def add_right_calls(rules: Rules, letter: str, model_class: Any, trace: bool) -> None:
    how = f"traces {'on' if trace else 'off'}"
    for params in (None, 0.0):
        where = "host" if params is None else "device"
        rules.add(f"{letter}, {how}: rows one by one, sampled on the {where}", lambda p=params: one_by_one(rules, model_class, trace, p))
    rules.add(f"{letter}, {how}: four rows in one pass", lambda: in_one_pass(rules, model_class, trace))
    right = model_class is not N or trace
    rules.add(
        f"{letter}, {how}: a row behind 128 cached tokens {'is right' if right else 'loses its table'}",
        lambda: behind_cached_tokens(rules, model_class, trace, 128) == right,
    )


def one_by_one(rules: Rules, model_class: Any, trace: bool, temperature: float | None) -> bool:
    """Rows join and leave, and grow into further blocks."""
    driver = rules.driver(model_class)
    rows = [Row(slot, rules.prompt(20 + 45 * slot), [1 + 6 * slot + n for n in range(6)]) for slot in range(4)]
    params = None if temperature is None else driver.sampling(4)
    for row in rows[:2]:
        driver.prefill([row], trace=trace, params=None if temperature is None else driver.sampling(1))
    driver.run(rows[:2], 3, trace=trace, params=params)
    for row in rows[2:]:
        driver.prefill([row], trace=trace)
    driver.run(rows, 30, trace=trace, params=params)
    driver.run(rows[1:], 3, trace=trace, params=params)
    return rules.reference.agrees(*rows)


def in_one_pass(rules: Rules, model_class: Any, trace: bool) -> bool:
    driver = rules.driver(model_class)
    rows = [Row(slot, rules.prompt(40 + slot), [1 + 6 * slot, 2 + 6 * slot]) for slot in range(4)]
    before = counts["prefill passes"], counts["padded tokens"]
    driver.prefill(rows, trace=trace)
    after = counts["prefill passes"], counts["padded tokens"]
    driver.run(rows, 3)
    return rules.reference.agrees(*rows) and (after[0] - before[0], after[1] - before[1]) == (1, 512)


def behind_cached_tokens(rules: Rules, model_class: Any, trace: bool, cached: int, length: int = 20, size: int = 32, **how: Any) -> bool:
    """Whether a row that begins behind another one's blocks is right, and the other one stays so."""
    driver = rules.driver(model_class, block_size=size, enforces=not how)
    shared = rules.prompt(cached)
    first = Row(0, [*shared, *rules.prompt(9)], [1 + n for n in range(-(-(cached + 9) // size) + 1)])
    second = Row(1, [*shared, *rules.prompt(length)], [*first.blocks[: cached // size], *range(20, 30)])
    driver.prefill([first], trace=trace)
    driver.run([first], 1)
    others = how.pop("others", [])
    driver.prefill([second, *others], starts=[cached] + [0] * len(others), trace=trace, **how)
    driver.run([first, second], 3)
    return rules.reference.agrees(first, second)


def add_padding(rules: Rules) -> None:
    for name, model_class, keeps, trace, cached, lengths in (
        ("A: a plain prefill", A, True, False, 0, [50]),
        ("A: a traced prefill", A, False, True, 0, [50]),
        ("A: a prefill behind cached tokens", A, False, False, 64, [50]),
        ("A: a batched prefill", A, False, False, 0, [50, 60]),
        ("N: an untraced prefill", N, False, False, 0, [50]),
        ("N: a traced prefill", N, True, True, 0, [50]),
        ("N: a traced prefill behind cached tokens", N, True, True, 64, [50]),
        ("N: a batched prefill", N, False, False, 0, [50, 60]),
        ("N: a traced batched prefill", N, False, True, 0, [50, 60]),
        ("T: a prefill", T, True, True, 0, [50]),
        ("T: a batched prefill", T, True, False, 0, [50, 60]),
        ("T: a prefill behind cached tokens", T, True, False, 64, [50]),
    ):
        rules.add(
            f"{name} {'keeps' if keeps else 'destroys'} a row in block 0",
            lambda m=model_class, k=keeps, t=trace, c=cached, n=lengths: row_in_block_0(rules, m, t, c, n) == k,
        )


def row_in_block_0(rules: Rules, model_class: Any, trace: bool, cached: int, lengths: list[int]) -> bool:
    driver = rules.driver(model_class)
    shared = rules.prompt(cached)
    # Prefilled such that it does not destroy itself.
    owner = Row(0, rules.prompt(30), [0, 60])
    driver.prefill([owner], trace=model_class is N)
    if cached:
        driver.prefill([Row(1, [*shared, 5], [2, 3, 4])], trace=model_class is N)
    driver.run([owner], 1)
    if not rules.reference.agrees(owner):
        return False
    blocks = [2, 3] if cached else []
    rows = [Row(n + 1, [*shared, *rules.prompt(size)], [*blocks, 20 + 5 * n, 21 + 5 * n]) for n, size in enumerate(lengths)]
    driver.prefill(rows, starts=[cached] * len(rows), slots=list(range(len(rows))), trace=trace)
    driver.run([owner], 2)
    return rules.reference.agrees(owner)


def add_starts(rules: Rules) -> None:
    fatal = "must be a positive multiple of TILE_SIZE"
    rules.add("A: a start of 16 is a fault of the device", lambda: raises(
        RuntimeError, lambda: behind_cached_tokens(rules, A, False, 16, size=16), fatal))  # fmt: skip
    rules.add("A: a start of 224 in blocks of 64 gives wrong tokens", lambda: not within_block(rules, A))
    rules.add("T: a start inside a block is refused", lambda: raises(ValueError, lambda: within_block(rules, T), "block aligned"))
    rules.add("N: a start of 96 is floored to 64, and is right", lambda: behind_cached_tokens(rules, N, True, 96))
    rules.add("N: 96 zeros for cached tokens destroy them from 64 on", lambda: not behind_cached_tokens(
        rules, N, True, 96, blank=[0]))  # fmt: skip
    rules.add("N: 64 zeros for cached tokens are not looked at", lambda: behind_cached_tokens(rules, N, True, 64, blank=[0]))
    other = [Row(2, rules.prompt(70), [40, 41, 42])]
    rules.add("A: two rows of one length are computed from the first token: zeros destroy the cached ones", lambda: (
        not behind_cached_tokens(rules, A, False, 64, blank=[0], slots=[0, 1], others=other)))  # fmt: skip
    rules.add("A: the same with whole rows is right", lambda: behind_cached_tokens(
        rules, A, False, 64, slots=[0, 1], others=other))  # fmt: skip
    rules.add("zeros for cached tokens are a violation", lambda: raises(
        ContractViolation, lambda: blank_cached(rules), "do not hold its 64 cached tokens"))  # fmt: skip
    rules.add("N, untraced: a rest that is padded beyond the whole prompt keeps its table", lambda: behind_cached_tokens(
        rules, N, False, 64, 200))  # fmt: skip
    rules.add("N, untraced, with 55630: a row behind 128 cached tokens is right", lambda: with_fixes(
        "55630", lambda: behind_cached_tokens(rules, N, False, 128)))  # fmt: skip


def within_block(rules: Rules, model_class: Any) -> bool:
    """A second call for the same row, which goes on inside its fourth block."""
    driver = rules.driver(model_class, block_size=64)
    row = Row(0, rules.prompt(224), [1, 2, 3, 4, 5])
    driver.prefill([row])
    row.tokens = [*row.tokens[:224], *rules.prompt(20)]
    row.prompt = len(row.tokens)
    driver.prefill([row], starts=[224])
    driver.run([row], 2)
    return rules.reference.agrees(row)


def blank_cached(rules: Rules) -> None:
    driver = rules.driver(A)
    shared = rules.prompt(64)
    driver.prefill([Row(0, [*shared, 7], [1, 2, 3])])
    driver.prefill([Row(1, [*shared, 9], [1, 2, 4])], starts=[64], blank=[0])


def with_fixes(fixes: str, work: Any) -> bool:
    os.environ["CONTRACT_FIXES"] = fixes
    try:
        return work()
    finally:
        del os.environ["CONTRACT_FIXES"]


def add_slots(rules: Rules) -> None:
    rules.add("A: two rows in the slots 2 and 3 are an IndexError", lambda: raises(IndexError, lambda: slots(rules, A, [2, 3])))
    rules.add("A: three rows in the slots 0, 1 and 3 are an IndexError", lambda: raises(
        IndexError, lambda: slots(rules, A, [0, 1, 3])))  # fmt: skip
    rules.add("A: two rows in the slots 1 and 0 get each other's output", lambda: not slots(rules, A, [1, 0]))
    rules.add("N: the same are right, in a pass of four", lambda: slots(rules, N, [2, 3], 512) and slots(rules, N, [1, 0], 256))
    rules.add("T: the same are right, in a pass of two", lambda: slots(rules, T, [2, 3], 256))
    rules.add("T: a slot that is not there is refused", lambda: raises(ValueError, lambda: slots(rules, T, [0, 4])))
    for letter, model_class in (("A", A), ("N", N)):
        rules.add(f"{letter}: a trace of three slots leaves out the fourth", lambda m=model_class: not frozen(rules, m, 3))
        rules.add(f"{letter}: a trace of all four is right", lambda m=model_class: frozen(rules, m, 4))
    rules.add("N, with 56095: the fourth is there", lambda: with_fixes("56095", lambda: frozen(rules, N, 3)))


def slots(rules: Rules, model_class: Any, chosen: list[int], padded: int | None = None) -> bool:
    driver = rules.driver(model_class, enforces=model_class is not T or max(chosen) < 4)
    rows = [Row(n, rules.prompt(30 + n), [1 + n, 6 + n]) for n in range(len(chosen))]
    before = counts["padded tokens"]
    driver.prefill(rows, slots=chosen)
    return rules.reference.agrees(*rows) and padded in (None, counts["padded tokens"] - before)


def frozen(rules: Rules, model_class: Any, first: int) -> bool:
    """The trace is captured with the first `first` slots, and replayed with four."""
    driver = rules.driver(model_class)
    for count in (first, 4):
        rows = [Row(n, rules.prompt(30 + n), [1 + n + 10 * count, 6 + n + 10 * count]) for n in range(count)]
        driver.prefill(rows, trace=True)
        driver.run(rows, 2)
    return rules.reference.agrees(*rows)
