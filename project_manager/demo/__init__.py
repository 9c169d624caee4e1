"""A demonstration for newcomers: scripted agents that work on a project of their own over the REST API.

It is a client like any other and imports no other package of the project. The server runs it within its own process.
"""
