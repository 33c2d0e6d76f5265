"""Rules of decode steps: whose inputs count, what random draws follow from, and what the account finds."""

from __future__ import annotations

from typing import Any

import tt_metal_april
import tt_metal_september
import tt_transformers_dispatcher
from contract_driver import Driver, Row, Rules, raises
from record import ContractViolation

A = tt_metal_april.LlamaForCausalLM
N = tt_metal_september.LlamaForCausalLM
T = tt_transformers_dispatcher.LlamaForCausalLM


def add(rules: Rules) -> None:
    add_inputs(rules)
    add_draws(rules)
    add_account(rules)


def add_inputs(rules: Rules) -> None:
    for letter, model_class in (("A", A), ("N", N), ("T", T)):
        rules.add(f"{letter}: a token that the host changed counts without traces", lambda m=model_class: changed(rules, m, False))
        rules.add(f"{letter}: in a steady traced step the device's own counts", lambda m=model_class: not changed(rules, m, True))
        rules.add(f"{letter}: the same after the page table grew {'counts' if model_class is A else 'does not count'}",
                  lambda m=model_class: changed(rules, m, True, grows=True) == (m is A))  # fmt: skip
        rules.add(f"{letter}: nobody reads a step before the next one overwrites it: a violation", lambda m=model_class: raises(
            ContractViolation, lambda: unread(rules, m), "before the last one is read"))  # fmt: skip
    rules.add("N: a row at the position where its slot's last row was gets that row's token", lambda: not taken_over(rules, [0, 1]))
    rules.add("N: unless its prefill named the slot", lambda: taken_over(rules, [0, 2]))
    rules.add("N: so does one that the host sampled meanwhile", lambda: not resumed(rules, claims=False))
    rules.add("N: unless all slots count as prefilled", lambda: resumed(rules, claims=True))
    rules.add("N: a remap moves the device's tokens with the rows", lambda: remapped(rules, [1, 0, 2, 3]))
    rules.add("N: rows that move without a remap get each other's tokens", lambda: not remapped(rules, None))


def changed(rules: Rules, model_class: Any, trace: bool, grows: bool = False) -> bool:
    """Whether a row goes on as from the token that the host put in the place of the sampled one."""
    driver = rules.driver(model_class)
    row = Row(0, rules.prompt(30 if grows else 20), [1])
    params = driver.sampling(4)
    driver.prefill([row])
    driver.run([row], 2, trace=trace, params=params)
    kept = rules.reference.tokens(row.tokens, 3)
    changes = ([*row.tokens[:-1], token] for token in range(3, 288))
    other = next(tokens for tokens in changes if rules.reference.tokens(tokens, 3) != kept)
    row.tokens = list(other)
    if grows:
        row.blocks = [1, 2]
    driver.run([row], 3, trace=trace, params=params)
    return row.tokens[len(other) :] == rules.reference.tokens(other, 3)


def unread(rules: Rules, model_class: Any) -> None:
    driver = rules.driver(model_class)
    row = Row(0, rules.prompt(20), [1])
    driver.prefill([row])
    driver.decode([row], reads=False)
    row.tokens.append(5)
    driver.decode([row])


def taken_over(rules: Rules, named: list[int]) -> bool:
    """Slot 2's row ends; the next one starts at its position, with a prefill that named the slots."""
    driver = rules.driver(N)
    params = driver.sampling(4)
    kept, ended = Row(0, rules.prompt(20), [1]), Row(2, rules.prompt(20), [2])
    driver.prefill([kept, ended], slots=[0, 2], trace=False)
    driver.run([kept, ended], 3, trace=True, params=params)
    # The device is at 23 there.
    following = Row(2, rules.prompt(23), [3])
    driver.prefill([following], slots=[named[1]])
    driver.run([kept, following], 3, trace=True, params=params)
    return rules.reference.agrees(kept, following)


def resumed(rules: Rules, claims: bool) -> bool:
    """Slot 0's row ends; the next one is prefilled and decoded by the host up to its position, then by the device."""
    driver = rules.driver(N, enforces=claims)
    params = driver.sampling(4)
    ended, following = Row(0, rules.prompt(20), [1]), Row(0, rules.prompt(20), [2])
    driver.prefill([ended])
    driver.run([ended], 3, trace=True, params=params)
    driver.prefill([following])
    # The device is at 23 there.
    driver.run([following], 3, trace=True)
    driver.decode([following], trace=True, params=params, claims=claims)
    driver.run([following], 2, trace=True, params=params)
    return rules.reference.agrees(following)


def remapped(rules: Rules, remap: list[int] | None) -> bool:
    driver = rules.driver(N, enforces=remap is not None)
    params = driver.sampling(4)
    rows = [Row(slot, rules.prompt(20), [1 + slot]) for slot in range(2)]
    driver.prefill(rows)
    driver.run(rows, 2, trace=True, params=params)
    rows[0].slot, rows[1].slot = 1, 0
    driver.decode(rows, trace=True, params=params, remap=remap, commands={"reset_batch": True})
    driver.run(rows, 2, trace=True, params=params)
    return rules.reference.agrees(*rows)


def add_draws(rules: Rules) -> None:
    rules.add("A: without a sampling prefill a slot draws the same number at every step", lambda: numbers(rules, A) == 1)
    rules.add("A: with a sampling prefill it does not", lambda: numbers(rules, A, prefill=True) > 5)
    rules.add("A: nor after reset_seed", lambda: numbers(rules, A, reset=True) > 5)
    rules.add("A: seeds that come with decode steps are not looked at", lambda: numbers(rules, A, seed=7) == 1)
    rules.add("A: after a warm-up without sampling in prefill the numbers are the same still", lambda: numbers(
        rules, A, warm=False) == 1)  # fmt: skip
    rules.add("A: after one with it they are not", lambda: numbers(rules, A, warm=True) > 5)
    for letter, model_class in (("N", N), ("T", T)):
        rules.add(f"{letter}: unseeded draws differ", lambda m=model_class: numbers(rules, m) > 5)
        rules.add(f"{letter}: seeded draws follow from seed and position, in every slot and batch", lambda m=model_class: (
            drawn(rules, m, 0, [9]) == drawn(rules, m, 3, [9]) != drawn(rules, m, 0, [8])))  # fmt: skip
        rules.add(f"{letter}: equal seeds in one batch are told apart", lambda m=model_class: not alike(rules, m))
    rules.add("N: not where salt_duplicate_seeds is taken back", lambda: alike(rules, N, salted=False))
    rules.add("T: a new seed without a reset of the sampling state is a RuntimeError", lambda: raises(
        RuntimeError, lambda: reseeded(rules), "need a reset"))  # fmt: skip


def sampled(driver: Driver, rows: list[Row], seeds: list[Any], steps: int) -> None:
    full: list[Any] = [None] * 4
    for row, seed in zip(rows, seeds):
        full[row.slot] = seed
    driver.run(rows, steps, trace=True, params=driver.sampling(4, 1.0, full))


def numbers(rules: Rules, model_class: Any, prefill: bool = False, reset: bool = False, seed: Any = None, warm: Any = None) -> int:
    """How many different numbers a slot's first eight draws are."""
    driver = rules.driver(model_class)
    if warm is not None:
        driver.warm_up(sample_prefill=warm)
    row = Row(1, rules.prompt(10), [1])
    driver.prefill([row], params=driver.sampling(1, 1.0) if prefill else None)
    if reset:
        driver.model.model[0].sampling.seed_manager.reset_seed([None], [1])
    driver.model.sampler.drawn.clear()
    sampled(driver, [row], [seed], 8)
    return len({numbers[1] for numbers in driver.model.sampler.drawn})


def drawn(rules: Rules, model_class: Any, slot: int, seeds: list[int]) -> list[int]:
    """The tokens of one and the same prompt."""
    driver = rules.driver(model_class)
    row = Row(slot, list(range(40, 50)), [1])
    others = [Row((slot + 1) % 4, rules.prompt(30), [2, 3])] if slot else []
    for one in [row, *others]:
        driver.prefill([one], params=driver.sampling(1, 1.0, seeds if one is row else None))
    sampled(driver, sorted([row, *others], key=lambda one: one.slot), seeds if not slot else [None] * (slot == 3) + seeds, 6)
    return row.generated


def alike(rules: Rules, model_class: Any, salted: bool = True) -> bool:
    """Whether two rows of one prompt and one seed get the same tokens."""
    driver = rules.driver(model_class)
    if not salted:
        driver.model.model[0].sampling.seed_manager.salt_duplicate_seeds = False
    rows = [Row(slot, list(range(40, 50)), [1 + slot]) for slot in range(2)]
    for row in rows:
        driver.prefill([row])
        row.tokens[-1] = 77
    sampled(driver, rows, [5, 5], 8)
    return rows[0].generated == rows[1].generated


def reseeded(rules: Rules) -> None:
    driver = rules.driver(T)
    row = Row(0, rules.prompt(10), [1])
    driver.prefill([row])
    sampled(driver, [row], [5], 2)
    sampled(driver, [row], [6], 1)


def add_account(rules: Rules) -> None:
    rules.add("N: a violation of 'old' is found", lambda: raises(
        ContractViolation, lambda: violate(rules, N, "old"), "before the last step"))  # fmt: skip
    for what, words in (
        ("top_k", "top_k 40"), ("unknown", "decodes position"), ("position", "decodes position"), ("blocks", "decodes position"),
        ("shared", "also elsewhere"), ("padding", "padding row"), ("taken", "decodes position"), ("reset", "does not reset"),
    ):  # fmt: skip
        for letter, model_class in (("A", A), ("N", N), ("T", T)):
            rules.add(f"{letter}: a violation of '{what}' is found", lambda m=model_class, k=what, w=words: raises(
                ContractViolation, lambda: violate(rules, m, k), w))  # fmt: skip


def violate(rules: Rules, model_class: Any, kind: str) -> None:
    driver = rules.driver(model_class)
    rows = [Row(slot, rules.prompt(31), [1 + slot, 7 + slot]) for slot in range(2)]
    driver.prefill(rows)
    driver.decode(rows)
    if kind == "top_k":
        driver.decode(rows, params=driver.sampling(4, 1.0, top_k=40))
    elif kind == "unknown":
        driver.decode([*rows, Row(2, rules.prompt(5), [9])])
    elif kind == "position":
        rows[0].tokens.append(5)
        driver.decode(rows)
    elif kind == "blocks":
        rows[0].blocks = [9, 10]
        driver.decode(rows)
    elif kind == "shared":
        rows[0].blocks, rows[1].blocks = [1, 7], [2, 7]
        driver.decode(rows)
    elif kind == "padding":
        driver.decode(rows[:1], stray=rows[1])
    elif kind == "taken":
        # The third row gets the first one's block while that one still runs.
        driver.prefill([Row(2, rules.prompt(20), [1])])
        driver.decode(rows)
    elif kind == "old":
        driver.decode(rows, trace=True, params=driver.sampling(4))
        driver.decode(rows, trace=True)
        driver.decode(rows, trace=True, params=driver.sampling(4))
    elif kind == "reset":
        unset = {"reset_sampling_state": False} if driver.is_explicit else {"reset_batch": False}
        driver.decode(rows, params=driver.sampling(4), commands=unset)
