"""Handles on what runs in SageMaker: wait, read logs, stop, attach, result."""
