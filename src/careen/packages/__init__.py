"""Who owns what: package databases, read and edited."""
