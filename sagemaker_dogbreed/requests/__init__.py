"""Specs to SageMaker API requests: pure functions from values to the dicts that boto3 sends."""
