"""careen hardens OCI images without a Docker daemon.

The line through the house: a reference is copied into an image layout; its layers are scanned
into a rootfs; a profile and the package catalog decide a plan; rewrite applies the plan; verify
proves the outcome from its bytes; transport pushes it. `careen.workflow` is that line as code.
"""

__version__ = "0.1.0"
