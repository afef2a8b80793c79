"""Deciding, without I/O: from a rootfs, a catalog and a profile to a plan."""
