"""The three stages, each idempotent and resumable: what runs in pods is what runs locally."""
