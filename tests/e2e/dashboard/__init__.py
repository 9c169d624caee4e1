"""The dashboard in a real browser.

The tests are synchronous, because the browser keeps an event loop in the thread.
"""
