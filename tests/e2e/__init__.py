"""The end-to-end tests: real boards, a real broker, real TLS."""
