"""Speed of the main operations, and waiting times of whole searches."""
