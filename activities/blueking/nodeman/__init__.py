"""Components of the node manager: agents, proxies and their plugins on hosts."""
