"""The dashboard in a real browser. No asynchronous tests here: the browser keeps an event loop in the thread."""
