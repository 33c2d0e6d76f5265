"""A llama-architecture GGUF file as a transformers model, its weights dequantised by the gguf package."""

from pathlib import Path

import numpy as np
import torch
from gguf import GGUFReader
from gguf.quants import dequantize
from transformers import LlamaConfig, LlamaForCausalLM

GLOBAL_TENSORS = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
LAYER_TENSORS = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def metadata(reader: GGUFReader, key: str, default=None):
    """One metadata value of the file as a Python value."""
    field = reader.get_field(key)
    return default if field is None else field.contents()


def load_model(path: Path, dtype: torch.dtype = torch.float32) -> LlamaForCausalLM:
    """Computes in `dtype` on weights dequantised to float32."""
    reader = GGUFReader(path)
    state = {_transformers_name(t.name): torch.from_numpy(_weights(reader, t)) for t in reader.tensors}
    config = _config(reader, tied="lm_head.weight" not in state)
    if config.tie_word_embeddings:
        state["lm_head.weight"] = state["model.embed_tokens.weight"]
    model = LlamaForCausalLM(config)
    model.load_state_dict(state, strict=True)
    return model.to(dtype).eval()


def _config(reader: GGUFReader, tied: bool) -> LlamaConfig:
    heads = metadata(reader, "llama.attention.head_count")
    hidden = metadata(reader, "llama.embedding_length")
    return LlamaConfig(
        hidden_size=hidden,
        intermediate_size=metadata(reader, "llama.feed_forward_length"),
        num_hidden_layers=metadata(reader, "llama.block_count"),
        num_attention_heads=heads,
        num_key_value_heads=metadata(reader, "llama.attention.head_count_kv"),
        head_dim=hidden // heads,
        vocab_size=len(metadata(reader, "tokenizer.ggml.tokens")),
        max_position_embeddings=metadata(reader, "llama.context_length"),
        rms_norm_eps=metadata(reader, "llama.attention.layer_norm_rms_epsilon"),
        rope_parameters={"rope_type": "default", "rope_theta": metadata(reader, "llama.rope.freq_base")},
        hidden_act="silu",
        tie_word_embeddings=tied,
    )


def _transformers_name(name: str) -> str:
    if name in GLOBAL_TENSORS:
        return GLOBAL_TENSORS[name]
    _, layer, kind, _ = name.split(".")
    return f"model.layers.{layer}.{LAYER_TENSORS[kind]}.weight"


def _weights(reader: GGUFReader, tensor) -> np.ndarray:
    shape = [int(n) for n in reversed(tensor.shape)]
    weights = dequantize(tensor.data, tensor.tensor_type).astype(np.float32).reshape(shape)
    if ".attn_q." in tensor.name:
        weights = _halves_apart(weights, metadata(reader, "llama.attention.head_count"))
    if ".attn_k." in tensor.name:
        weights = _halves_apart(weights, metadata(reader, "llama.attention.head_count_kv"))
    return np.ascontiguousarray(weights)


def _halves_apart(weights: np.ndarray, heads: int) -> np.ndarray:
    """RoPE turns pairs of rows: neighbours in a GGUF file, half a head apart in transformers."""
    rows, columns = weights.shape
    pairs = weights.reshape(heads, rows // heads // 2, 2, columns)
    return pairs.transpose(0, 2, 1, 3).reshape(rows, columns)
