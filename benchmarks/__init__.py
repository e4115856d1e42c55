"""What things cost. One file answers one question, stated in its docstring with the baseline it is compared to.

Run one as a module: `python -m benchmarks.bench_dag --quick`. All share `timing`, so that their
figures mean the same: medians over interleaved rounds, and ratios within one run.
"""
