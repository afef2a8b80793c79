"""The roof: arguments, environment, terminal, exit codes."""
