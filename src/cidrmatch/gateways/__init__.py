"""Requests in this process: a server in Python asks here, for each request, whether the request may pass.

    guard.py      finds the client, asks the engine, makes one decision
    pipeline.py   the order of a product's checks, with the address check among them
    face.py       what all faces share: the questions about one request, in order
    admin.py      the HTTP answer to a change that an engine refused

    wsgi.py, asgi.py       faces for the two protocols between servers and applications
    all other files        a face for the framework that the file is named after

Code of this floor knows requests and asks an engine; it holds no data of its own.  The face of a framework imports this
framework, which the host has installed.  No package that every user would have to install is imported.  Code that needs
a process, a port or a database of its own does not belong here.
"""
