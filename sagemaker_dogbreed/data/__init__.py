"""Image folders: fetched, unpacked, divided, inspected and described before anything is uploaded."""
