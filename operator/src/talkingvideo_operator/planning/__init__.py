"""What happens next to a video: pure decisions, which know no client and read no clock."""
