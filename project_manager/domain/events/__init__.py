"""Events: one class per type, with its payload and the resources that it touches, in a module for each noun.

An event is written as a JSON object: an envelope, which is the same for all types, followed by the payload. Events of a
task also have `task`, the compact row of the task at the end of the transaction.

Docstrings and annotations are part of the API: docs/events.md and the JSON schema are generated from them. A string in
an annotation describes the field. An enumeration in an annotation lists its values.
"""
