"""actorkit's own guarantees (docs/guarantees.md), explored over thousands of seeds."""
