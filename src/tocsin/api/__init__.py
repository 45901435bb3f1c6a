"""The HTTP API: reads and commands under /api/v1, its OpenAPI document and docs, and what amtool and its like read.

Decides nothing: commands go to the core, reads come from the store.
"""
