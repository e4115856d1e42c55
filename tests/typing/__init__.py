"""Code as users write it, read by mypy and pyright (`make types`) and never run."""
