# ruff: noqa: A005  # named after the room that its tests are of
