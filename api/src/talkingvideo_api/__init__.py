"""The TalkingVideo resource as types: what users write, what stages exchange, what names everything has.

The only distribution that both the operator and the worker import. It knows nothing of Kubernetes clients, media or
models, so that a reader can learn the whole contract here and nothing else.
"""
