"""Where a session's requests go, AWS or this machine: one interface, one room for each."""
