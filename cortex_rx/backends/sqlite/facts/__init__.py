"""Facts in the file: statements, which never change, and the facts that are folded from them.

`statements` stores what was said and where; `folding` makes the facts of a slot; `changes` makes statements known,
retracts them, and removes those of a stream, a memory or a message; `indexing` keeps the words of facts; `extractions`
says how far the texts of a stream were read.

A memory space is given by its number (`text_store.number_of`).
"""
