"""Running an image under strace, without a daemon: what its application uses."""
