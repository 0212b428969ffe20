"""raygan: faces to shards, shards to generators, on a Ray cluster.

The three packages lie at the top of the repository; here they are linked under one name, so that no folder of a user's
that is called pipeline, jobs or sharding is imported in their place.
"""
