"""The tables on SQLite and PostgreSQL: their schema and migrations, the writer's hot statements, reads for people.

Decides nothing: it keeps what the engine decided, in the same commit as the input that led to it.
"""
