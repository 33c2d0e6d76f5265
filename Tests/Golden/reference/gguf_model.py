"""A llama or gemma3 GGUF file as a transformers model, its weights dequantised by the gguf package."""

from pathlib import Path

import numpy as np
import torch
from gguf import GGUFReader
from gguf.quants import dequantize
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PretrainedConfig,
    PreTrainedModel,
)

MODEL_CLASSES = {"llama": LlamaForCausalLM, "gemma3": Gemma3ForCausalLM}
GLOBAL_TENSORS = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
SHARED_LAYER_TENSORS = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
LAYER_TENSORS = {
    "llama": SHARED_LAYER_TENSORS | {"ffn_norm": "post_attention_layernorm"},
    "gemma3": SHARED_LAYER_TENSORS
    | {
        "attn_q_norm": "self_attn.q_norm",
        "attn_k_norm": "self_attn.k_norm",
        "post_attention_norm": "post_attention_layernorm",
        "ffn_norm": "pre_feedforward_layernorm",
        "post_ffw_norm": "post_feedforward_layernorm",
    },
}
GEMMA_3_GLOBAL_EVERY = 6  # layers; the file does not say


def metadata(reader: GGUFReader, key: str, default=None):
    """One metadata value of the file as a Python value."""
    field = reader.get_field(key)
    return default if field is None else field.contents()


def load_model(path: Path, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """Computes in `dtype` on weights dequantised to float32."""
    reader = GGUFReader(path)
    architecture = metadata(reader, "general.architecture")
    state = {
        _transformers_name(architecture, t.name): torch.from_numpy(_weights(reader, architecture, t))
        for t in reader.tensors
    }
    config = _config(reader, architecture, tied="lm_head.weight" not in state)
    if config.tie_word_embeddings:
        state["lm_head.weight"] = state["model.embed_tokens.weight"]
    model = MODEL_CLASSES[architecture](config)
    model.load_state_dict(state, strict=True)
    return model.to(dtype).eval()


def _config(reader: GGUFReader, architecture: str, tied: bool) -> PretrainedConfig:
    def value(key: str, default=None):
        return metadata(reader, f"{architecture}.{key}", default)

    heads, hidden, layers = value("attention.head_count"), value("embedding_length"), value("block_count")
    theta = value("rope.freq_base")
    shared = dict(
        hidden_size=hidden,
        intermediate_size=value("feed_forward_length"),
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=value("attention.head_count_kv"),
        head_dim=value("attention.key_length", hidden // heads),
        vocab_size=len(metadata(reader, "tokenizer.ggml.tokens")),
        max_position_embeddings=value("context_length"),
        rms_norm_eps=value("attention.layer_norm_rms_epsilon"),
        tie_word_embeddings=tied,
    )
    if architecture == "llama":
        return LlamaConfig(
            **shared, hidden_act="silu", rope_parameters={"rope_type": "default", "rope_theta": theta}
        )
    kinds = [("full" if (i + 1) % GEMMA_3_GLOBAL_EVERY == 0 else "sliding") + "_attention" for i in range(layers)]
    return Gemma3TextConfig(
        **shared,
        hidden_activation="gelu_pytorch_tanh",
        sliding_window=value("attention.sliding_window"),
        query_pre_attn_scalar=shared["head_dim"],
        layer_types=kinds,
        rope_parameters={
            "full_attention": {"rope_type": "default", "rope_theta": theta},
            "sliding_attention": {"rope_type": "default", "rope_theta": value("rope.freq_base_swa", 10_000.0)},
        },
    )


def _transformers_name(architecture: str, name: str) -> str:
    if name in GLOBAL_TENSORS:
        return GLOBAL_TENSORS[name]
    _, layer, kind, _ = name.split(".")
    return f"model.layers.{layer}.{LAYER_TENSORS[architecture][kind]}.weight"


def _weights(reader: GGUFReader, architecture: str, tensor) -> np.ndarray:
    shape = [int(n) for n in reversed(tensor.shape)]
    weights = dequantize(tensor.data, tensor.tensor_type).astype(np.float32).reshape(shape)
    if architecture == "gemma3" and tensor.name.endswith("_norm.weight"):
        weights = weights - 1  # transformers adds it
    if architecture == "llama" and ".attn_q." in tensor.name:
        weights = _halves_apart(weights, metadata(reader, "llama.attention.head_count"))
    if architecture == "llama" and ".attn_k." in tensor.name:
        weights = _halves_apart(weights, metadata(reader, "llama.attention.head_count_kv"))
    return np.ascontiguousarray(weights)


def _halves_apart(weights: np.ndarray, heads: int) -> np.ndarray:
    """RoPE turns pairs of rows: neighbours in a llama's GGUF file, half a head apart in transformers."""
    rows, columns = weights.shape
    pairs = weights.reshape(heads, rows // heads // 2, 2, columns)
    return pairs.transpose(0, 2, 1, 3).reshape(rows, columns)
