"""What ran: the profile manifest."""
