"""The files that steps change: snapshots before and after, rolling back, and a work tree to itself for a step beside others."""
