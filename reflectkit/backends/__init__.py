"""Who answers: the embedded model, a server, a function of your own."""
