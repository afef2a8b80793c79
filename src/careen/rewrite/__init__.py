"""Doing, without deciding: a plan applied to an image."""
