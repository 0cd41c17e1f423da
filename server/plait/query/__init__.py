"""One operation: from its text to the bytes of the answer."""
