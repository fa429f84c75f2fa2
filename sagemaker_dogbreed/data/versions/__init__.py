"""Versions of data sets in S3: immutable, listed by a manifest, brought there file by file."""
