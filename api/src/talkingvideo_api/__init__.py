"""The TalkingVideo resource as types: the contract between users, operator and worker.

Every other distribution imports this one, and it imports none of them: no Kubernetes client, no media, no models.

Public modules:

- ``resource``, ``spec``, ``status``, ``conditions``: the resource; ``crd`` generates its CustomResourceDefinition.
- ``profile``, ``engines``: what an administrator configures, and the engines of this release.
- ``effective``, ``values``, ``support``: effective values of a revision, and fields that are unsupported or have no effect.
- ``stage_input``, ``plan``, ``reports``: the documents that operator and stages exchange.
- ``inputs``, ``uris``, ``revision``, ``names``, ``errors``: questions about these documents that have one answer.

``model`` and ``rules`` are the base of these types.
"""
