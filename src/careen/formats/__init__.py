"""Bytes: digests, strict JSON, compression, tar."""
