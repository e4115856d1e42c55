"""Contracts: what a value must be, and how it is read, written and refused."""
