"""Fetching inputs safely: limits on hosts, addresses, sizes and time; content is not parsed here."""
