"""Rules of the calls around steps: loading and its limits, the weight cache, warm-up, contract 1's commands, cleanup."""

from __future__ import annotations

import os
import tempfile
from typing import Any, Callable

import numpy as np

import faulty_llama
import scalar_llama
import tt_metal_april
import tt_metal_september
import tt_transformers_dispatcher
from contract_driver import ID, Row, Rules, configuration, raises
from record import ContractViolation
from right_caller import RightCaller, jobs

A = tt_metal_april.LlamaForCausalLM
N = tt_metal_september.LlamaForCausalLM
T = tt_transformers_dispatcher.LlamaForCausalLM


def add(rules: Rules) -> None:
    add_loading(rules)
    add_warm_up(rules)
    add_commands(rules)
    add_others(rules)


def add_loading(rules: Rules) -> None:
    make = lambda m, name=ID, rows=4, length=512, **more: m.initialize_vllm_model(  # noqa: E731
        configuration(name), rules.mesh, rows, max_seq_len=length, tt_data_parallel=1, **more)  # fmt: skip
    large = "meta-llama/Llama-3.1-8B-Instruct"
    for letter, m in (("A", A), ("N", N)):
        rules.add(f"{letter}: 5 rows are refused", lambda m=m: raises(ValueError, lambda: make(m, rows=5), "Batch size 5 not supported"))
        rules.add(f"{letter}: 131072 positions of the 8B on N150 are refused", lambda m=m: raises(
            ValueError, lambda: make(m, large, length=131072), "greater than 32768 on N150"))  # fmt: skip
        rules.add(f"{letter}: optimizations may be None and not 'fast'", lambda m=m: bool(make(m, optimizations=None)) and raises(
            ValueError, lambda: make(m, optimizations="fast"), "performance"))  # fmt: skip
        rules.add(f"{letter}: without device sampling a sampling prefill gives logits", lambda m=m: no_device_sampling(rules, m))
        rules.add(f"{letter}: a second model in one TT_CACHE_PATH gets the first one's weights", lambda m=m: not in_cache(rules, m))
        rules.add(f"{letter}: a model that finds its own weights there is right", lambda m=m: in_cache(rules, m, own=True))
    rules.add("A: has no get_max_tokens_all_users, and declares no sampling on the device", lambda: (
        not hasattr(A, "get_max_tokens_all_users") and "supports_sample_on_device" not in A.model_capabilities))  # fmt: skip
    rules.add("N: 32768 tokens for all rows of the 8B on N150, else 131072", lambda: (
        N.get_max_tokens_all_users(model_name=large, num_devices=1) == 32768
        and N.get_max_tokens_all_users(model_name="Meta Llama 3.1 8B Instruct", num_devices=1) == 131072))  # fmt: skip
    rules.add("T: a name that is no known id is refused, by all calls", lambda: all(
        raises(tt_transformers_dispatcher.UnsupportedModelError, work, "is not served") for work in
        (lambda: make(T, "/models/llama"), lambda: make(T, "llama"), lambda: T.get_max_tokens_all_users(model_name="tiny-f32"))
    ))  # fmt: skip
    rules.add("T: a snapshot of Hugging Face's cache is served", lambda: bool(make(
        T, "/cache/models--meta-llama--Llama-3.2-1B-Instruct/snapshots/0123")))  # fmt: skip
    rules.add("T: its class says nothing of contract and steps, its model does", lambda: not any(
        hasattr(T, name) for name in ("decode_input_update_contract", "decode_forward", "prefill_forward")
    ) and "max_device_top_k" not in T.model_capabilities and make(T).model_capabilities["max_device_top_k"] == 32)  # fmt: skip


def no_device_sampling(rules: Rules, model_class: Any) -> bool:
    os.environ["CONTRACT_NO_DEVICE_SAMPLING"] = "1"
    try:
        driver = rules.driver(model_class)
    finally:
        del os.environ["CONTRACT_NO_DEVICE_SAMPLING"]
    row = Row(0, rules.prompt(20), [1])
    driver.prefill([row], params=driver.sampling(1))
    is_marked = not driver.model.model[0]._supports_on_device_sampling
    steps = raises(AssertionError, lambda: driver.decode([row], params=driver.sampling(4)), "no sampling module")
    return rules.reference.agrees(row) and is_marked and steps


def in_cache(rules: Rules, model_class: Any, own: bool = False) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TT_CACHE_PATH"] = folder
        given = os.environ["CONTRACT_GGUF"]
        try:
            if not own:
                os.environ["CONTRACT_GGUF"] = given.replace("tiny-f32", "tiny-f16")
            rules.driver(model_class)
            os.environ["CONTRACT_GGUF"] = given
            driver = rules.driver(model_class)
        finally:
            os.environ["CONTRACT_GGUF"] = given
            del os.environ["TT_CACHE_PATH"]
    row = Row(0, rules.prompt(20), [1])
    driver.prefill([row])
    driver.run([row], 2)
    return rules.reference.agrees(row)


def add_warm_up(rules: Rules) -> None:
    flag = {"non_greedy_decoding_on_device": True}
    for letter, model_class in (("A", A), ("N", N), ("T", T)):
        rules.add(f"{letter}: its warm-up in two phases, and right tokens after it", lambda m=model_class: warmed(rules, m))
        for name in ("warmup_model_prefill", "warmup_model_decode"):
            given = {} if model_class is A else flag
            rules.add(f"{letter}: {name} {'needs' if model_class is A else 'does not take'} the flag for non-greedy sampling", (
                lambda m=model_class, n=name, g=given: raises(TypeError, lambda: call_warm_up(rules, m, n, g))))  # fmt: skip
    rules.add("T: its warm-up takes keywords only", lambda: raises(
        TypeError, lambda: rules.driver(T).model.warmup_model_prefill(None, False, False)))  # fmt: skip


def call_warm_up(rules: Rules, model_class: Any, name: str, given: dict[str, Any]) -> None:
    driver = rules.driver(model_class)
    sizes = {"max_batch_size": 4, "num_blocks": driver.width} if name == "warmup_model_decode" else {}
    getattr(driver.model, name)(kv_cache=driver.kv_cache, enable_trace=False, can_sample_on_device=True, **sizes, **given)


def warmed(rules: Rules, model_class: Any) -> bool:
    driver = rules.driver(model_class)
    driver.warm_up(sample_prefill=True)
    rows = [Row(slot, rules.prompt(20 + slot), [1 + 2 * slot, 2 + 2 * slot]) for slot in range(2)]
    driver.prefill(rows, trace=True, params=driver.sampling(2))
    driver.run(rows, 15, trace=True, params=driver.sampling(4))
    return rules.reference.agrees(*rows)


def add_commands(rules: Rules) -> None:
    refused: list[tuple[str, type[BaseException], dict[str, Any]]] = [
        ("both reloads", ValueError, {"reload_inputs": True, "reload_page_table": True}),
        ("a reset without reload_inputs", ValueError, {"reload_inputs": False, "reset_sampling_state": True}),
        ("reset_batch", TypeError, {"reset_batch": True}),
        ("enable_trace that is no bool", TypeError, {"enable_trace": 1}),
    ]
    for name, kind, commands in refused:
        rules.add(f"T: {name} is a {kind.__name__}", lambda k=kind, c=commands: raises(k, lambda: step(rules, c)))
    rules.add("T: sampling parameters must be there to be reloaded", lambda: raises(
        ValueError, lambda: step(rules, {"sampling_params": None, "reload_sampling_params": True})))  # fmt: skip
    rules.add("T: a page table that grew and is not reloaded is not seen", lambda: not grown(rules, False) and grown(rules, True))


def step(rules: Rules, commands: dict[str, Any]) -> None:
    driver = rules.driver(T)
    row = Row(0, rules.prompt(10), [1])
    driver.prefill([row])
    driver.decode([row], params=driver.sampling(4), commands=commands)


def grown(rules: Rules, reloads: bool) -> bool:
    driver = rules.driver(T)
    row = Row(0, rules.prompt(30), [1])
    driver.prefill([row])
    for _ in range(8):
        if len(row.tokens) == 33:
            row.blocks = [1, 2]
        driver.decode([row], trace=True, params=driver.sampling(4), commands={} if reloads else {"reload_page_table": False})
    # Where it was not reloaded, keys and values went to block 0.
    return bool((driver.model.pool.identities[2] != 0).any())


def add_others(rules: Rules) -> None:
    rules.add("T: a mesh that is closed before cleanup is a violation", lambda: closes(rules, False))
    rules.add("T: after cleanup it may be closed", lambda: not closes(rules, True))
    for kind, model_class, alignment in (("A", A, 32), ("N", N, 64), ("T", T, 32)):
        rules.add(f"{kind}: sixty jobs of a right caller get the right tokens", lambda k=kind, m=model_class, a=alignment: (
            sixty_jobs(rules, m, k, a)))  # fmt: skip
    rules.add("the faulty model works until it fails", lambda: plain(rules, faulty_llama.FaultyLlama))
    rules.add("the oldest form works", lambda: scalar(rules))


def closes(rules: Rules, cleans: bool) -> bool:
    """Whether the close is a violation for want of a cleanup."""
    import model_base
    import ttnn

    known = set(model_base._uncleaned)
    driver = rules.driver(T)
    if cleans:
        driver.model.cleanup()
    model_base._uncleaned -= known
    is_violation = raises(ContractViolation, lambda: ttnn.close_mesh_device(rules.mesh), "cleanup was called")
    # Other models of the script live on, so the mesh is still open.
    model_base._uncleaned |= known
    return is_violation


def sixty_jobs(rules: Rules, model_class: Any, kind: str, alignment: int) -> bool:
    """With shared prefixes, preemption, and steps that are sampled here and there."""
    driver = rules.driver(model_class)
    driver.warm_up(sample_prefill=False)
    caller = RightCaller(rules, driver, kind=kind, alignment=alignment, seed=1)
    done = caller.run(jobs(rules, 60))
    return rules.reference.agrees(*done) and len(done) == 60 and min(caller.preempted, caller.shared) > 5


def plain(rules: Rules, model_class: Any) -> bool:
    driver = rules.driver(model_class)
    row = Row(0, rules.prompt(20), [1])
    driver.prefill([row])
    driver.run([row], 3)
    return rules.reference.agrees(row)


def scalar(rules: Rules) -> bool:
    make: Callable[..., Any] = scalar_llama.ScalarLlama.initialize_vllm_model
    model = make(configuration(), rules.mesh, 4, max_seq_len=512, tt_data_parallel=1, optimizations=None)
    cache = model.allocate_kv_cache((20, model.llama.kv_heads, 32, model.llama.head_size), "bfloat16", model.llama.layers)
    row = rules.prompt(20)
    table = np.zeros((4, 16), np.int32)
    table[0, 0] = 1
    given = {"page_table": table[:1], "kv_cache": cache}
    first = model.prefill_forward(tokens=np.array([row], np.int32), prompt_lens=[20], **given)[0, 0].argmax()
    tokens, positions = np.zeros((4, 1), np.int32), np.array([20, -1, -1, -1], np.int32)
    tokens[0] = first
    given = {"page_table": table, "kv_cache": cache, "enable_trace": False, "read_from_device": True}
    second = model.decode_forward(tokens=tokens, start_pos=positions, **given)[0, 0].argmax()
    return [int(first), int(second)] == rules.reference.tokens(row, 2)
