"""The SCIM 2.0 server (RFC 7643, RFC 7644) for a company's directory."""
