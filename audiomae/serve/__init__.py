"""The service: a collection over HTTP, and the page that shows it."""
