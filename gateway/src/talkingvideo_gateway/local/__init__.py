"""This machine as the back end: objects in SQLite, files in a folder, the worker's command as the engine.

The folder survives the process: whatever was being made when it ended goes on from its last finished window.
"""
