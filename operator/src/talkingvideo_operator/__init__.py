"""The TalkingVideo operator: observe, plan (pure), apply, one status write."""
