"""Numbers for the real ttnn on a mock mesh, which checks every operation and computes nothing.

Each operation runs as it is, for its checks and for its output's shape; what it would compute is computed beside it with numpy in
float32. A tensor that no numbers are known of can be handed on, but reading it is an error that names where it came from.

`import ttnn_values` after `import ttnn` puts this around ttnn's operations; there is nothing else to call.
"""

from ttnn_values.counts import validated
from ttnn_values.tensors import NoValues
from ttnn_values.wrapping import activate

__all__ = ["NoValues", "validated"]

activate()
