"""How a command reaches a cluster: the connection to Ray, its token, and the job server."""
