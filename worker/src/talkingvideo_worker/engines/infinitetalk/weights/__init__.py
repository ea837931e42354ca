"""From files of published weights to networks."""
