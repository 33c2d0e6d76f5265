"""The lines of the comparison's table, and the operations behind a rate."""

from engines.workload import Measurement, Workload

COLUMNS = "{:<10} {:<9} {:>7} {:>8} {:>10} {:>7}  {}"
TITLE = COLUMNS.format("engine", "format", "load s", "wall s", "generated/s", "ratio", "")
PREFILL_GOP = 0.2123
"""10⁹ operations in the matrix products of SmolLM2-135M's layers for one token: 2 per weight."""
DECODE_GOP = 0.2690
"""The same with the LM head, which is needed only for tokens before a generated one."""


def row(measurement: Measurement, against: Measurement) -> str:
    """`ratio` is relative to the first row of the table."""
    ratio = measurement.tokens_per_second / against.tokens_per_second
    return COLUMNS.format(
        measurement.engine,
        measurement.format,
        f"{measurement.load_seconds:.1f}",
        f"{measurement.wall_seconds:.1f}",
        f"{measurement.tokens_per_second:.0f}",
        f"{ratio:.2f}x",
        measurement.note,
    )


def failure_row(engine: str, format: str, reason: str) -> str:
    return COLUMNS.format(engine, format, "-", "-", "-", "-", reason)


def achieved_gops(tokens_per_second: float, workload: Workload) -> float:
    """10⁹ operations per second in matrix products. A prompt's last token gives the first generated one."""
    heads = workload.generated_tokens
    layers = workload.prompt_tokens + workload.generated_tokens - len(workload.prompts)
    seconds = workload.generated_tokens / tokens_per_second
    return (layers * PREFILL_GOP + heads * (DECODE_GOP - PREFILL_GOP)) / seconds
