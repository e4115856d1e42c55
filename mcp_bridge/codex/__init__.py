"""Stratum in Codex: what `stratum codex install` writes, and what the hooks it installs do.

owned_block.py and file_changes.py know files and nothing of Codex; installation.py says which files hold what.
"""
