"""Tuning jobs of the local SageMaker: recorded, searched, run as trials, and told of."""
