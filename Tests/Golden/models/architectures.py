"""The random models: what each one's configuration sets beside `SHARED`, in the words of transformers 5.

Windows are of 16 tokens, original contexts of 32 or 128, so that sequences of 104 tokens cross them. Multipliers and
caps differ from their defaults. Width and heads agree (64 = 4 · 16) where llama.cpp's converter expects it.
"""

from dataclasses import dataclass

VOCABULARY = 264
CONTEXT = 256
WINDOW = 16
SHARED = dict(
    vocab_size=VOCABULARY, hidden_size=64, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2,
    intermediate_size=96, max_position_embeddings=CONTEXT, tie_word_embeddings=False,
    bos_token_id=256, eos_token_id=257, pad_token_id=258,
)  # fmt: skip


@dataclass(frozen=True)
class Architecture:
    model_type: str
    settings: dict
    dtype: str = "bfloat16"  # of the matrices, in both files; every weight is exact in it
    max_model_len: int = CONTEXT
    has_gguf: bool = True
    weights_of: str | None = None  # the model whose seed and folder this one shares


def rope(theta: float = 10_000.0, kind: str = "default", **settings) -> dict:
    return dict(rope_type=kind, rope_theta=theta, **settings)


def pattern(period: int, layers: int = 4) -> list[str]:
    """Every `period`-th layer sees everything, the others a window."""
    return ["sliding_attention" if (i + 1) % period else "full_attention" for i in range(layers)]


def longrope(pairs: int) -> dict:
    return rope(
        kind="longrope", original_max_position_embeddings=128, factor=2.0,
        short_factor=[1 + 0.0625 * i for i in range(pairs)], long_factor=[1.25 + 0.5 * i for i in range(pairs)],
    )  # fmt: skip


def yarn(theta: float, factor: float, original: int, **settings) -> dict:
    return rope(theta, "yarn", factor=factor, original_max_position_embeddings=original, **settings)


YARN_LIMITS = dict(beta_fast=32.0, beta_slow=1.0)
LLAMA_3 = rope(500_000.0, "llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
               original_max_position_embeddings=32)  # fmt: skip
GEMMA_2 = dict(
    head_dim=32, sliding_window=WINDOW, query_pre_attn_scalar=32, attn_logit_softcapping=10.0,
    final_logit_softcapping=8.0, tie_word_embeddings=True, rms_norm_eps=1e-3, rope_parameters=rope(),
)  # fmt: skip
GEMMA_3 = dict(
    num_hidden_layers=8, head_dim=32, sliding_window=WINDOW, query_pre_attn_scalar=32, tie_word_embeddings=True,
    rms_norm_eps=1e-3, layer_types=pattern(6, layers=8),
    rope_parameters=dict(full_attention=rope(1e6, "linear", factor=8.0), sliding_attention=rope(1e4)),
)  # fmt: skip
GRANITE = dict(
    embedding_multiplier=6.0, attention_multiplier=0.375, residual_multiplier=0.5, logits_scaling=2.0,
    tie_word_embeddings=True, rms_norm_eps=1e-3, rope_parameters=rope(),
)  # fmt: skip
PHI_LONG = dict(
    num_key_value_heads=4, sliding_window=None, original_max_position_embeddings=128,
    rope_parameters=longrope(8) | dict(partial_rotary_factor=1.0),
)  # fmt: skip
PHI_4_MINI = dict(
    sliding_window=None, original_max_position_embeddings=128, partial_rotary_factor=0.75, tie_word_embeddings=True,
    rope_parameters=longrope(6) | dict(partial_rotary_factor=0.75),
)  # fmt: skip


def phi3(**settings) -> dict:
    return dict(sliding_window=None, original_max_position_embeddings=CONTEXT) | settings


ARCHITECTURES = {
    "llama": Architecture("llama", dict(rope_parameters=rope(), rms_norm_eps=1e-5)),
    "llama31": Architecture("llama", dict(head_dim=32, tie_word_embeddings=True, rope_parameters=LLAMA_3)),
    "llama_linear": Architecture("llama", dict(rope_parameters=rope(kind="linear", factor=4.0)), dtype="float16"),
    "llama_yarn": Architecture("llama", dict(head_dim=32, rope_parameters=yarn(1e4, 4.0, 64))),
    "llama_bias": Architecture(
        "llama", dict(attention_bias=True, mlp_bias=True, rope_parameters=rope()), dtype="float32"
    ),
    "mistral": Architecture("mistral", dict(head_dim=32, sliding_window=None, rope_parameters=rope(1e6))),
    # llama.cpp's converter leaves the window of this family out of the file.
    "mistral_swa": Architecture(
        "mistral", dict(head_dim=32, sliding_window=WINDOW, rope_parameters=rope(1e4)), has_gguf=False
    ),
    "ministral3": Architecture(
        "ministral3",
        dict(
            head_dim=32,
            rope_parameters=yarn(
                1e6, 8.0, 32, **YARN_LIMITS, mscale=1.0, mscale_all_dim=1.0, llama_4_scaling_beta=0.1
            ),
        ),
    ),
    "qwen2": Architecture("qwen2", dict(rope_parameters=rope(1e6))),
    "qwen2_yarn": Architecture("qwen2", dict(rope_parameters=yarn(1e6, 4.0, 64))),
    "qwen3": Architecture("qwen3", dict(head_dim=32, tie_word_embeddings=True, rope_parameters=rope(1e6))),
    "smollm3": Architecture(
        "smollm3",
        dict(
            no_rope_layers=[1, 1, 1, 0], no_rope_layer_interval=4, use_sliding_window=False,
            tie_word_embeddings=True, rope_parameters=rope(5e6),
        ),  # fmt: skip
    ),
    "granite": Architecture("granite", GRANITE),
    "phi3": Architecture("phi3", phi3(num_key_value_heads=4, rope_parameters=rope(partial_rotary_factor=1.0))),
    "phi3_window": Architecture(
        "phi3",
        phi3(num_key_value_heads=4, sliding_window=WINDOW, rope_parameters=rope(partial_rotary_factor=1.0)),
    ),
    "phi3_partial": Architecture(
        "phi3", phi3(partial_rotary_factor=0.75, rope_parameters=rope(partial_rotary_factor=0.75))
    ),
    "phi3_longrope": Architecture("phi3", PHI_LONG),
    "phi3_longrope_short": Architecture("phi3", PHI_LONG, max_model_len=128, weights_of="phi3_longrope"),
    "phi4": Architecture(
        "phi3", phi3(num_key_value_heads=1, rope_parameters=rope(250_000.0, partial_rotary_factor=1.0))
    ),
    "phi4_mini": Architecture("phi3", PHI_4_MINI),
    "gemma": Architecture(
        "gemma",
        dict(head_dim=32, num_key_value_heads=1, tie_word_embeddings=True, rms_norm_eps=1e-3, rope_parameters=rope()),
    ),
    "gemma2": Architecture("gemma2", GEMMA_2),
    # A GGUF file cannot tell the scale of this family's scores.
    "gemma2_scale": Architecture("gemma2", GEMMA_2 | dict(query_pre_attn_scalar=24), has_gguf=False),
    "gemma3": Architecture("gemma3_text", GEMMA_3),
    "olmo2": Architecture("olmo2", dict(rope_parameters=rope(5e5))),
    "olmo3": Architecture(
        "olmo3",
        dict(
            sliding_window=WINDOW, layer_types=pattern(4),
            rope_parameters=dict(
                full_attention=yarn(5e5, 8.0, 32, **YARN_LIMITS, attention_factor=1.2079441541679836),
                sliding_attention=rope(5e5),
            ),
        ),  # fmt: skip
    ),
    "glm4": Architecture(
        "glm4", dict(head_dim=16, attention_bias=True, rope_parameters=rope(partial_rotary_factor=0.5))
    ),
    "seed_oss": Architecture(
        "seed_oss", dict(head_dim=32, attention_bias=True, attention_out_bias=False, rope_parameters=rope(1e7))
    ),
    "exaone4": Architecture(
        "exaone4",
        dict(sliding_window=WINDOW, sliding_window_pattern=4, layer_types=pattern(4), rope_parameters=LLAMA_3),
    ),
    "exaone4_full": Architecture(
        "exaone4", dict(sliding_window=None, layer_types=["full_attention"] * 4, rope_parameters=LLAMA_3)
    ),
    "cohere2": Architecture(
        "cohere2",
        dict(
            sliding_window=WINDOW, layer_types=pattern(4), logit_scale=0.75, layer_norm_eps=1e-5,
            tie_word_embeddings=True, rope_parameters=rope(5e4),
        ),  # fmt: skip
    ),
    "ernie45": Architecture(
        "ernie4_5", dict(head_dim=32, use_bias=False, tie_word_embeddings=True, rope_parameters=rope(5e5))
    ),
    # llama.cpp's converter wants this context.
    "hunyuan_dense": Architecture(
        "hunyuan_v1_dense",
        dict(head_dim=32, max_position_embeddings=32_768, rope_parameters=rope(kind="dynamic", alpha=50.0, factor=1.0)),
    ),
    "nemotron": Architecture(
        "nemotron",
        dict(
            head_dim=16, partial_rotary_factor=0.5, norm_eps=1e-5, rope_parameters=rope(partial_rotary_factor=0.5)
        ),  # fmt: skip
    ),
    # llama.cpp's converter leaves the window of this family out of the file.
    "starcoder2_window": Architecture(
        "starcoder2",
        dict(use_bias=True, sliding_window=WINDOW, norm_epsilon=1e-5, rope_parameters=rope(1e5)),
        has_gguf=False,
    ),
    "starcoder2": Architecture(
        "starcoder2",
        dict(use_bias=True, sliding_window=None, norm_epsilon=1e-5, rope_parameters=rope(1e5)),
    ),
}
