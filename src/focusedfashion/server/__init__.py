"""The HTTP server and its web page: thin faces of a catalog."""
