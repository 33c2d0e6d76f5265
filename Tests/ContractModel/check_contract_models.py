"""Shows each rule of the contract models: right calls give the tokens of the arithmetic alone, wrong ones what they give for real.

    python check_contract_models.py [WORD...]    the rules whose names have all the words; status 1 where one does not hold

A is tt-metal's class of April 2026, N that of September, T tt-transformers'. Runs in seconds, with numpy and Tests/Golden/tiny.
"""

from __future__ import annotations

import sys
import time

from contract_driver import Rules


def main() -> int:
    rules = Rules()
    # Their modules import vllm, for which `Rules` has put something in place.
    import rules_of_calls
    import rules_of_decode
    import rules_of_prefill

    for module in (rules_of_prefill, rules_of_decode, rules_of_calls):
        module.add(rules)
    began, shown, failures = time.time(), 0, 0
    for name, holds in rules.all:
        if not all(word in name for word in sys.argv[1:]):
            continue
        shown += 1
        try:
            outcome = "holds" if holds() else "DOES NOT HOLD"
        except Exception as error:
            outcome = f"DOES NOT HOLD: {type(error).__name__}: {error}"
        failures += outcome != "holds"
        print(f"{name}: {outcome}", flush=True)
    print(f"{shown - failures} of {shown} rules hold, {time.time() - began:.1f} s")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
