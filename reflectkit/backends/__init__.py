"""Who answers: the embedded model, any OpenAI-compatible server, a function of your own."""
