"""SageMaker on this machine: a real boto3 client's requests, answered in process.

``service`` is the door. Its state is files beneath one root, so that every process with the same
root sees and controls the same jobs and endpoints; each of those is a process of its own that
outlives the caller.
"""
