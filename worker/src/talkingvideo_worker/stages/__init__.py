"""The three stages, each idempotent and resumable. Pods and local runs run the same functions."""
