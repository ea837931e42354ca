"""Clients that the operator and the worker share.

``kube`` talks to the Kubernetes API (extra ``kube``); ``stores`` keeps files in a bucket or a folder (extra ``stores``).
Neither knows anything of the other, of media or of models.
"""
