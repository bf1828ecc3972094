"""Files of virtual folders: the workers that touch them, and what goes in and out over HTTP."""
