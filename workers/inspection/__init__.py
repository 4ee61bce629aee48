"""What is known of a run beside its own word: from the server's description and its history."""
