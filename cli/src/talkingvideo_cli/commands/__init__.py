"""What each command does, whatever its options are called."""
