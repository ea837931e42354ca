"""prepare, in three steps that run in three containers: untrusted media are parsed where there are no credentials.

``fetch`` has network and credentials and parses nothing. ``process`` parses and has neither credentials nor a reason to
use the network. ``publish`` has credentials and touches only the files that ``process`` wrote.
"""
