"""Uploads over HTTP: a file as a form or as the whole body, received in bounded memory.

`stream.receive_body` writes the body to a temporary file, `form` parses multipart bodies, `intake`
stores the file and submits the request. Public to `api.openai`: all three and `responses`.
"""
