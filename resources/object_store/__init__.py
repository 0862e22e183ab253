"""Bytes by key, in a folder or in S3: audio, transcript documents and the lake's files.

`store.ObjectStore` is the interface, beside the builders of keys; `directory` and `s3` are its two
backends. This room must not know what the bytes are.
"""
