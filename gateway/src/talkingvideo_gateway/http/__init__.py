"""What dialects share of HTTP: who calls, sending files, links, uploads."""
