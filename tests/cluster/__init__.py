"""A real Kubernetes for the tests, on one machine, with no image registry.

Two tiers. The *control plane* (etcd, API server, controllers, scheduler) needs no root; nodes are objects only, and the
test plays their kubelet. The *real node* adds containerd, a kubelet and images built from this repository's Dockerfiles.
Everything is built from pinned Go modules and Debian packages; ``python -m tests.cluster.cli up`` runs it by hand.
"""
