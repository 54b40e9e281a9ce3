"""Benchmarks: one command each, figures appended to ``results.jsonl`` by the program that measured them."""
