"""A cluster as the back end: TalkingVideo objects are its database, a watch its cache, a bucket its files.

Nothing is kept here that is not in an object: any number of gateways serve the same videos, and a restart loses nothing.
"""
