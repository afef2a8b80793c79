"""The image-spec's nouns, as frozen values over raw bytes."""
