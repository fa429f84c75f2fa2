"""Features of a frozen backbone: computed once, kept on disk, and trained on in memory."""
