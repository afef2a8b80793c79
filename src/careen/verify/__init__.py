"""Proving an image from its finished bytes, trusting nobody."""
