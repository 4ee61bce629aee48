"""Components of the newer node manager: nodes and their plugins."""
