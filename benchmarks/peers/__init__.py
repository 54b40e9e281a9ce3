"""Programs that run in the environment of a peer (``make peers``), as processes of their own."""
