"""The console: pages for people, rendered on the server. They decide nothing: they call the API's own use cases."""
