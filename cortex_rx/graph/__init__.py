"""The graph: a projection of the memories, facts and other records into a graph server.

The names are imported from the modules in it, so that only what is used is loaded. `cypher` imports `neo4j`.
"""
