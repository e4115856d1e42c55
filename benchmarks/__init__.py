"""What things cost. One file answers one question, stated in its docstring with the baseline it is compared to.

Run one as a module: `python -m benchmarks.bench_dag --quick`. All share `timing`, so that their
figures mean the same: medians over interleaved rounds, and ratios within one run.
"""

import sys

if sys.argv[0] == "-m":
    # It is being run, by `python -m`, rather than imported by a test. Here, before anything slow is imported: Ctrl-C is for that, too.
    from benchmarks.stopping import stop_in_order

    stop_in_order()
